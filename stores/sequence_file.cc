#include "stores/sequence_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/check.h"
#include "base/sha256.h"
#include "stores/files.h"
#include "stores/journal_state.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

// The last byte is the version of the format.
constexpr std::string_view kMagicOfVersion1("SluSeq\0\1", 8);
constexpr std::string_view kMagic("SluSeq\0\2", 8);

// Number of bytes of a record with so many numbers.
constexpr std::size_t RecordBytes(std::size_t numbers) {
  return kMagic.size() + numbers * sizeof(std::int64_t) + sizeof(Sha256Digest);
}

std::string Encode(const SequenceFile::Numbers& last) {
  std::string bytes(kMagic);
  AppendInteger(last.saved, bytes);
  AppendInteger(last.assigned, bytes);
  bytes += DigestBlob(Sha256(bytes));
  return bytes;
}

// Reads the numbers of a record that begins with `magic`. `bytes` may go on
// after the record.
template <std::size_t kNumbers>
std::optional<std::array<std::int64_t, kNumbers>> DecodeNumbers(
    std::string_view bytes, std::string_view magic) {
  constexpr std::size_t kBytes = RecordBytes(kNumbers);
  if (bytes.size() < kBytes || !bytes.starts_with(magic)) return std::nullopt;
  const std::string_view sealed =
      bytes.substr(0, kBytes - sizeof(Sha256Digest));
  if (bytes.substr(sealed.size(), sizeof(Sha256Digest)) !=
      DigestBlob(Sha256(sealed))) {
    return std::nullopt;
  }
  std::array<std::int64_t, kNumbers> numbers;
  std::memcpy(numbers.data(), sealed.data() + magic.size(), sizeof(numbers));
  return numbers;
}

std::optional<SequenceFile::Numbers> Decode(std::string_view bytes) {
  if (const auto numbers = DecodeNumbers<2>(bytes, kMagic)) {
    return SequenceFile::Numbers{.saved = (*numbers)[0],
                                 .assigned = (*numbers)[1]};
  }
  if (const auto number = DecodeNumbers<1>(bytes, kMagicOfVersion1)) {
    return SequenceFile::Numbers{.saved = (*number)[0],
                                 .assigned = (*number)[0]};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<SequenceFile::Content> SequenceFile::Read(
    const std::string& path) {
  const auto content = SlotFile::Read(path, RecordBytes(2));
  if (!content.ok()) return content.status();
  Content known{.file_exists = content->file_exists, .last = {}};
  for (const std::string& slot : content->slots) {
    const std::optional<Numbers> numbers = Decode(slot);
    if (!numbers.has_value()) continue;
    // Numbers only grow, so the higher number is the newer one.
    if (!known.last.has_value()) known.last = *numbers;
    known.last->saved = std::max(known.last->saved, numbers->saved);
    known.last->assigned = std::max(known.last->assigned, numbers->assigned);
  }
  return known;
}

absl::StatusOr<SequenceFile> SequenceFile::Open(const std::string& path,
                                                const Numbers& last) {
  // The file beside a journal is opened before the journal, which creates this
  // directory otherwise.
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return absl::UnavailableError("cannot tell the working directory");
  absl::Status status = CreateDirectories(absolute.parent_path());
  if (!status.ok()) return status;
  absl::StatusOr<SlotFile> slots = SlotFile::Open(path);
  if (!slots.ok()) return slots.status();
  SequenceFile file(*std::move(slots));
  // Write both slots. If the server's number was changed, the old sequence
  // number may be higher and would count as the newer one.
  status = file.Write(last);
  if (status.ok()) status = file.Write(last);
  if (status.ok()) status = file.slots_.Sync();
  if (!status.ok()) return status;
  return file;
}

absl::Status SequenceFile::Write(const Numbers& last) {
  SLUICE_DCHECK_GE(last.assigned, last.saved);
  const absl::Status written = slots_.Write(next_slot_, Encode(last));
  if (written.ok()) next_slot_ = 1 - next_slot_;
  return written;
}

}  // namespace sluice

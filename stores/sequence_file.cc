#include "stores/sequence_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/sha256.h"
#include "stores/files.h"
#include "stores/journal_state.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

// The last byte is the version of the format.
constexpr std::string_view kSequenceMagic("SluSeq\0\1", 8);
constexpr std::size_t kSealedBytes = 8 + sizeof(std::int64_t);
constexpr std::size_t kRecordBytes = kSealedBytes + sizeof(Sha256Digest);

std::string Encode(std::int64_t last) {
  std::string bytes(kSequenceMagic);
  AppendInteger(last, bytes);
  bytes += DigestBlob(Sha256(bytes));
  return bytes;
}

std::optional<std::int64_t> Decode(std::string_view bytes) {
  if (bytes.size() != kRecordBytes || !bytes.starts_with(kSequenceMagic)) {
    return std::nullopt;
  }
  const std::string_view sealed = bytes.substr(0, kSealedBytes);
  if (bytes.substr(kSealedBytes) != DigestBlob(Sha256(sealed))) {
    return std::nullopt;
  }
  std::int64_t last = 0;
  std::memcpy(&last, sealed.data() + kSequenceMagic.size(), sizeof(last));
  return last;
}

}  // namespace

absl::StatusOr<SequenceFile::Content> SequenceFile::Read(
    const std::string& path) {
  const auto content = SlotFile::Read(path, kRecordBytes);
  if (!content.ok()) return content.status();
  Content known{.file_exists = content->file_exists, .last = {}};
  for (const std::string& slot : content->slots) {
    // Numbers only grow, so the higher number is the newer one.
    known.last = std::max(known.last, Decode(slot));
  }
  return known;
}

absl::StatusOr<SequenceFile> SequenceFile::Open(const std::string& path,
                                                std::int64_t last) {
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

absl::Status SequenceFile::Write(std::int64_t last) {
  const absl::Status written = slots_.Write(next_slot_, Encode(last));
  if (written.ok()) next_slot_ = 1 - next_slot_;
  return written;
}

}  // namespace sluice

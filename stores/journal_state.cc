#include "stores/journal_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/sha256.h"
#include "stores/files.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

// The last byte is the version of the format.
constexpr std::string_view kMagic("SluJst\0\1", 8);
constexpr std::size_t kDigestBytes = sizeof(Sha256Digest);

constexpr int kSlots = 2;
constexpr std::size_t kSlotDistanceBytes = 4096;

// Takes a value of a fixed size from the front of `bytes`.
template <typename Value>
Value Take(std::string_view& bytes) {
  Value value;
  SLUICE_DCHECK_GE(bytes.size(), sizeof(value));
  std::memcpy(&value, bytes.data(), sizeof(value));
  bytes.remove_prefix(sizeof(value));
  return value;
}

off_t OffsetOf(int slot) {
  return static_cast<off_t>(slot) * static_cast<off_t>(kSlotDistanceBytes);
}

// Returns nothing if the slot is invalid or beyond the end of the file.
absl::StatusOr<std::optional<JournalState>> ReadSlot(const std::string& path,
                                                     int descriptor, int slot) {
  char bytes[kJournalStateBytes];
  const ssize_t size = pread(descriptor, bytes, sizeof(bytes), OffsetOf(slot));
  if (size < 0) return SystemError(errno, "cannot read", path);
  return DecodeJournalState({bytes, static_cast<std::size_t>(size)});
}

struct Slots {
  std::optional<JournalState> newest;
  int newest_slot = 0;
};

absl::StatusOr<Slots> ReadSlots(const std::string& path, int descriptor) {
  Slots slots;
  for (int slot = 0; slot < kSlots; ++slot) {
    const auto state = ReadSlot(path, descriptor, slot);
    if (!state.ok()) return state.status();
    if (!state->has_value()) continue;
    if (slots.newest && slots.newest->commits >= (*state)->commits) continue;
    slots.newest = *state;
    slots.newest_slot = slot;
  }
  return slots;
}

}  // namespace

JournalId NewJournalId() {
  JournalId id;
  absl::BitGen random;
  for (std::uint8_t& byte : id) byte = absl::Uniform<std::uint8_t>(random);
  return id;
}

std::string JournalIdText(const JournalId& id) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
}

void AppendInteger(std::int64_t value, std::string& bytes) {
  static_assert(std::endian::native == std::endian::little);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

Sha256Digest NextChain(const Sha256Digest& chain,
                       const Sha256Digest& row_hash) {
  std::array<std::uint8_t, 2 * kDigestBytes> both;
  std::ranges::copy(chain, both.begin());
  std::ranges::copy(row_hash, both.begin() + kDigestBytes);
  return Sha256({reinterpret_cast<const char*>(both.data()), both.size()});
}

std::string EncodeJournalState(const JournalState& state) {
  std::string bytes(kMagic);
  bytes.reserve(kJournalStateBytes);
  bytes.append(reinterpret_cast<const char*>(state.id.data()), state.id.size());
  AppendInteger(state.commits, bytes);
  AppendInteger(state.last_position, bytes);
  AppendInteger(state.entries, bytes);
  AppendInteger(state.quarantined, bytes);
  AppendInteger(state.last_sequence, bytes);
  bytes += DigestBlob(state.chain);
  bytes += DigestBlob(Sha256(bytes));
  SLUICE_DCHECK_EQ(bytes.size(), kJournalStateBytes);
  return bytes;
}

std::optional<JournalState> DecodeJournalState(std::string_view bytes) {
  if (bytes.size() != kJournalStateBytes ||
      bytes.substr(0, kMagic.size()) != kMagic) {
    return std::nullopt;
  }
  const std::string_view sealed =
      bytes.substr(0, kJournalStateBytes - kDigestBytes);
  if (bytes.substr(sealed.size()) != DigestBlob(Sha256(sealed))) {
    return std::nullopt;
  }
  bytes.remove_prefix(kMagic.size());
  JournalState state;
  state.id = Take<JournalId>(bytes);
  state.commits = Take<std::int64_t>(bytes);
  state.last_position = Take<std::int64_t>(bytes);
  state.entries = Take<std::int64_t>(bytes);
  state.quarantined = Take<std::int64_t>(bytes);
  state.last_sequence = Take<std::int64_t>(bytes);
  state.chain = Take<Sha256Digest>(bytes);
  return state;
}

absl::StatusOr<KnownJournalState> JournalStateFile::Read(
    const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return KnownJournalState();
  if (descriptor < 0) return SystemError(errno, "cannot open", path);
  const absl::StatusOr<Slots> slots = ReadSlots(path, descriptor);
  close(descriptor);
  if (!slots.ok()) return slots.status();
  return KnownJournalState{.file_exists = true, .state = slots->newest};
}

absl::StatusOr<JournalStateFile> JournalStateFile::Open(
    const std::string& path, const JournalState& state) {
  const int descriptor =
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return SystemError(errno, "cannot open", path);
  JournalStateFile file(path, descriptor, 0);
  const absl::StatusOr<Slots> slots = ReadSlots(path, descriptor);
  if (!slots.ok()) return slots.status();
  if (slots->newest) file.next_slot_ = 1 - slots->newest_slot;
  const absl::Status written = file.Write(state);
  if (!written.ok()) return written;
  if (fsync(descriptor) != 0) return SystemError(errno, "cannot sync", path);
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  const absl::Status synced = SyncDirectory(parent.empty() ? "." : parent);
  if (!synced.ok()) return synced;
  // After damage was accepted, the new state may have fewer commits than the
  // other slot. Overwrite the other slot as well, so that it is not taken for
  // the newest slot.
  if (slots->newest && slots->newest->commits >= state.commits) {
    const absl::Status both = file.Write(state);
    if (!both.ok()) return both;
    if (fsync(descriptor) != 0) return SystemError(errno, "cannot sync", path);
  }
  return file;
}

JournalStateFile::JournalStateFile(JournalStateFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      next_slot_(other.next_slot_) {}

JournalStateFile::~JournalStateFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status JournalStateFile::Write(const JournalState& state) {
  const std::string bytes = EncodeJournalState(state);
  const ssize_t written =
      pwrite(descriptor_, bytes.data(), bytes.size(), OffsetOf(next_slot_));
  if (written < 0) return SystemError(errno, "cannot write", path_);
  if (static_cast<std::size_t>(written) != bytes.size()) {
    return SystemError(ENOSPC, "cannot write", path_);
  }
  next_slot_ = 1 - next_slot_;
  return absl::OkStatus();
}

}  // namespace sluice

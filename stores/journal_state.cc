#include "stores/journal_state.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/sequence_series.h"
#include "base/sha256.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

// The last byte is the version of the format.
constexpr std::string_view kMagic("SluJst\0\1", 8);
constexpr std::size_t kDigestBytes = sizeof(Sha256Digest);

// Takes a value of a fixed size from the front of `bytes`.
template <typename Value>
Value Take(std::string_view& bytes) {
  Value value;
  SLUICE_DCHECK_GE(bytes.size(), sizeof(value));
  std::memcpy(&value, bytes.data(), sizeof(value));
  bytes.remove_prefix(sizeof(value));
  return value;
}

// The newest valid slot of a state file.
struct Newest {
  std::optional<JournalState> state;
  std::size_t slot = 0;
};

Newest FindNewest(const SlotFile::Content& content) {
  Newest newest;
  for (std::size_t slot = 0; slot < SlotFile::kSlots; ++slot) {
    const auto state = DecodeJournalState(content.slots[slot]);
    if (!state.has_value()) continue;
    if (newest.state && newest.state->commits >= state->commits) continue;
    newest = {state, slot};
  }
  return newest;
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

void CountSequence(std::int64_t sequence, std::optional<std::int64_t> series,
                   JournalState& state) {
  if (series.has_value() && SeriesOf(sequence) != *series) return;
  state.last_sequence = std::max(state.last_sequence, sequence);
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
  const auto content = SlotFile::Read(path, kJournalStateBytes);
  if (!content.ok()) return content.status();
  return KnownJournalState{.file_exists = content->file_exists,
                           .state = FindNewest(*content).state};
}

absl::StatusOr<JournalStateFile> JournalStateFile::Open(
    const std::string& path, const JournalState& state) {
  const auto content = SlotFile::Read(path, kJournalStateBytes);
  if (!content.ok()) return content.status();
  absl::StatusOr<SlotFile> slots = SlotFile::Open(path);
  if (!slots.ok()) return slots.status();
  const Newest newest = FindNewest(*content);
  JournalStateFile file(*std::move(slots),
                        newest.state ? 1 - newest.slot : newest.slot);
  absl::Status status = file.Write(state);
  if (status.ok()) status = file.slots_.Sync();
  // After damage was accepted, the new state may have fewer commits than the
  // other slot. Overwrite the other slot as well, so that it is not taken for
  // the newest slot.
  if (status.ok() && newest.state && newest.state->commits >= state.commits) {
    status = file.Write(state);
    if (status.ok()) status = file.slots_.Sync();
  }
  if (!status.ok()) return status;
  return file;
}

absl::Status JournalStateFile::Write(const JournalState& state) {
  const absl::Status written =
      slots_.Write(next_slot_, EncodeJournalState(state));
  if (written.ok()) next_slot_ = 1 - next_slot_;
  return written;
}

}  // namespace sluice

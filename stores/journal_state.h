// The state of a journal after a commit, and the state file, which has a copy
// of the state outside the journal's file.
//
// Each commit writes the state into the journal's file, in the same
// transaction. After the commit, and before the callers are answered, the state
// is also written to the state file `<journal>.state`. A start compares the two
// states:
//
//   the journal's file is ahead    no damage: the process ended before it wrote
//                                  the state file, or a power cut undid the
//                                  write
//   the journal's file is behind   damage: acknowledged entries are missing
//
// The state file is not synced at each commit, because a sync would take time.
// It is never ahead of the journal on disk, because it is written after the
// sync of the commit.
//
// The state file has two slots (slot_file.h). Each slot has a checksum, so a
// torn write leaves the other slot valid.

#ifndef SLUICE_STORES_JOURNAL_STATE_H_
#define SLUICE_STORES_JOURNAL_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/slot_file.h"
#include "stores/store.h"

namespace sluice {

// Random id of a journal, assigned when the tables of its file are created.
using JournalId = std::array<std::uint8_t, 16>;

JournalId NewJournalId();
// Returns the id as 32 hexadecimal digits.
std::string JournalIdText(const JournalId& id);

struct JournalState {
  JournalId id{};
  std::int64_t commits = 0;        // number of commits so far
  std::int64_t last_position = 0;  // highest position ever assigned
  std::int64_t entries = 0;        // in the journal, not forgotten
  std::int64_t quarantined = 0;
  // Highest sequence number of the journal's own series that was ever in the
  // journal. See JournalOptions::series.
  std::int64_t last_sequence = 0;
  // Hash chain over all entries: SHA-256 of the chain before the last entry and
  // the row hash of the last entry.
  Sha256Digest chain{};

  bool operator==(const JournalState&) const = default;
};

// Appends the eight bytes of `value`, little-endian, so that a file can be
// moved between machines.
void AppendInteger(std::int64_t value, std::string& bytes);

// Returns the chain after an entry with `row_hash` was appended.
Sha256Digest NextChain(const Sha256Digest& chain, const Sha256Digest& row_hash);

// Raises the last sequence number of `state` to `sequence`. Numbers of another
// series than `series` do not count; without `series` all numbers count.
void CountSequence(std::int64_t sequence, std::optional<std::int64_t> series,
                   JournalState& state);

// Encodes the state in kJournalStateBytes bytes, with a format version and a
// checksum.
inline constexpr std::size_t kJournalStateBytes = 128;
std::string EncodeJournalState(const JournalState& state);
// Decodes a state. Returns nothing if EncodeJournalState did not write `bytes`.
std::optional<JournalState> DecodeJournalState(std::string_view bytes);

// The content of a state file.
struct KnownJournalState {
  bool file_exists = false;
  // State in the newest valid slot, or nothing if no slot is valid.
  std::optional<JournalState> state;
};

// The open state file. Movable, not thread-safe.
class JournalStateFile {
 public:
  // Reads the file at `path`. Returns UNAVAILABLE if the file exists and cannot
  // be read.
  static absl::StatusOr<KnownJournalState> Read(const std::string& path);

  // Opens the file at `path` for writing, and writes and syncs `state`. Creates
  // the file if it is missing. Returns UNAVAILABLE if an operation fails; the
  // newest slot is then unchanged.
  static absl::StatusOr<JournalStateFile> Open(const std::string& path,
                                               const JournalState& state);

  // Writes the state over the older slot, without a sync.
  absl::Status Write(const JournalState& state);

 private:
  JournalStateFile(SlotFile slots, std::size_t next_slot)
      : slots_(std::move(slots)), next_slot_(next_slot) {}

  SlotFile slots_;
  std::size_t next_slot_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_STATE_H_

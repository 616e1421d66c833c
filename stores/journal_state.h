// The state of a journal after a commit, and the state file that repeats the
// state outside the journal's file.
//
// The journal's file has the state of its last commit, written in the
// transaction of that commit. The state file `<journal>.state` gets the same
// state after the commit, before callers are told. A start compares both:
//
//   the file is ahead    no damage: the process ended between the commit and
//                        the write, or a power cut took back the write
//   the file is behind   damage: acknowledged entries are missing
//
// The state file is not synced at each commit, so it costs no time. Nor can it
// be ahead of what is on disk: it is written after the sync of the commit.
//
// It has two slots, in different blocks of the disk, that are written in turn.
// Each has a checksum, so a torn write leaves the other slot valid.

#ifndef SLUICE_STORES_JOURNAL_STATE_H_
#define SLUICE_STORES_JOURNAL_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/store.h"

namespace sluice {

// Random. Given to a journal's file when its tables are created.
using JournalId = std::array<std::uint8_t, 16>;

JournalId NewJournalId();
// Returns the id as 32 hexadecimal digits.
std::string JournalIdText(const JournalId& id);

struct JournalState {
  JournalId id{};
  std::int64_t commits = 0;        // number of commits so far
  std::int64_t last_position = 0;  // the highest that was ever given
  std::int64_t entries = 0;        // in the journal, not forgotten
  std::int64_t quarantined = 0;
  std::int64_t last_sequence = 0;  // the highest that was ever in the journal
  // SHA-256 over the chain before the last entry, and that entry's row hash.
  Sha256Digest chain{};

  bool operator==(const JournalState&) const = default;
};

// Returns the chain after an entry with `row_hash` was appended.
Sha256Digest NextChain(const Sha256Digest& chain, const Sha256Digest& row_hash);

// The state in kJournalStateBytes bytes, with a format version and a checksum.
inline constexpr std::size_t kJournalStateBytes = 128;
std::string EncodeJournalState(const JournalState& state);
// Returns nothing unless the bytes are those of EncodeJournalState.
std::optional<JournalState> DecodeJournalState(std::string_view bytes);

// The content of a state file.
struct KnownJournalState {
  bool file_exists = false;
  // The newest valid slot. Nothing if no slot is valid.
  std::optional<JournalState> state;
};

// The open state file. Movable, not thread-safe.
class JournalStateFile {
 public:
  // Reads the file at `path`. UNAVAILABLE if it exists and cannot be read.
  static absl::StatusOr<KnownJournalState> Read(const std::string& path);

  // Opens the file at `path` for writing, and writes and syncs `state`. Creates
  // the file if it is missing. UNAVAILABLE if that fails; the newest slot is
  // then as it was.
  static absl::StatusOr<JournalStateFile> Open(const std::string& path,
                                               const JournalState& state);

  JournalStateFile(JournalStateFile&& other) noexcept;
  JournalStateFile& operator=(JournalStateFile&& other) = delete;
  ~JournalStateFile();

  // Writes the state over the older slot, without a sync.
  absl::Status Write(const JournalState& state);

 private:
  JournalStateFile(std::string path, int descriptor, int next_slot)
      : path_(std::move(path)),
        descriptor_(descriptor),
        next_slot_(next_slot) {}

  std::string path_;
  int descriptor_;
  int next_slot_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_STATE_H_

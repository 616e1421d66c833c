// A queue on disk. Its entries survive kill -9 and power loss. It holds
// submissions that were acknowledged before the store had them (`ack: queued`),
// and the quarantine: acknowledged submissions that could not be stored.
//
// The life of an entry:
//
//   Append --> appended ---> in work ---> done ------> forgotten
//              ^   |             |  MarkDone    next Append, Forget
//              |   |             |
//       Replay |   | crash       | Quarantine
//              |   v             v
//            replayed       quarantined ---> released ---> appended again,
//                                |      Release            at the end
//                                | Discard
//                                v
//                            discarded
//
//   appended     durable, with a position. A crash before "forgotten", from
//                whichever state, leads to "replayed".
//   in work      known to the server only, not to the journal
//   done         the store has the submission. Known in memory only: a crash
//                replays the entry and the store recognises the submission.
//   forgotten    no longer in the file; its position is never assigned again
//   quarantined  moved to another table, in one transaction. It stays there
//                until somebody releases or discards it.
//   discarded    removed at an operator's request. A record of the entry, of
//                the reason and of the operator stays in the file.
//
// The journal is a SQLite file with an append-only table, a write-ahead log,
// and a sync at every commit. Entries are appended in groups, with one sync for
// each group, and forgotten by ranges of positions.
//
// The journal detects damage of its file. Each entry is verified against its
// hashes before it is used. An entry that differs from what was appended is
// quarantined as damaged. Missing entries are detected with the state file
// `<path>.state` (journal_state.h).

#ifndef SLUICE_STORES_JOURNAL_H_
#define SLUICE_STORES_JOURNAL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/files.h"
#include "stores/position_set.h"
#include "stores/quarantine_room.h"
#include "stores/quarantined_ids.h"
#include "stores/sqlite_copy.h"
#include "stores/store.h"
#include "stores/write_hang.h"

namespace sluice {

class JournalFile;

// `PRAGMA user_version` (the version of the schema) and `PRAGMA application_id`
// ("SluJ") of the file. Version 1 has no row hashes. A file of version 2 is in
// the middle of the migration from version 1. Version 3 cannot record discarded
// submissions.
inline constexpr std::int64_t kJournalVersion = 4;
inline constexpr std::int64_t kJournalApplicationId = 0x536c754a;

struct JournalEntry {
  // Order in the journal, from 1. While the journal is open, positions are
  // assigned without gaps.
  std::int64_t position = 0;
  // Name of the RPC that carried the submission, e.g. "ImportPatients".
  std::string method;
  // Times are precise to the microsecond.
  ReceivedSubmission submission;
};

// An entry to be appended. Both members must outlive the call of Append.
struct NewJournalEntry {
  std::string_view method;
  const ReceivedSubmission* submission;
};

// An entry that cannot be stored and must be quarantined.
struct UnstorableEntry {
  std::int64_t position = 0;
  std::string reason;  // contains no patient data
  int tries = 0;
  // Sequence number under which the entry is quarantined, because another
  // submission in quarantine has the entry's own number. 0: the own number.
  std::int64_t new_sequence = 0;
};

struct Quarantined {
  std::string method;
  ReceivedSubmission submission;
  std::string reason;  // contains no patient data
  int tries = 0;
  absl::Time quarantined_at;
  // True if the submission was damaged in the file, so that it differs from
  // what was appended. `reason` describes the damage. Any value of the
  // submission may be wrong, and a value that could not be read is empty.
  bool damaged = false;
};

// The record of a submission that an operator discarded.
struct Discarded {
  std::int64_t number = 0;  // order of discarding, from 1
  // The submission as it was in quarantine, without its content.
  Quarantined quarantined;
  std::int64_t content_bytes = 0;
  std::string reason;  // as the operator stated it
  std::string by;      // name of the operator, as the operator stated it
  absl::Time at;
};

// Consecutive entries of a journal, in the order of positions.
struct JournalPart {
  std::vector<JournalEntry> entries = {};  // undamaged entries
  // Number of entries that were read, damaged entries included.
  std::size_t read = 0;
  // Number of damaged entries that could not be quarantined because the file
  // cannot be written. They stay in the journal until the next start.
  std::size_t damaged_left = 0;
  std::int64_t read_up_to = 0;  // position of the last entry that was read
};

// An unread entry, without its content.
struct UnreadEntry {
  std::string_view study_id;
  std::string_view submission_id;
  StoredReceipt receipt;
};

struct JournalOptions {
  // Opens the journal although its file is damaged or lacks acknowledged
  // entries. The damaged files are moved to `<path>.damaged-<time>`, and all
  // entries that can be read are copied to a new journal. Exception: if the
  // file is intact and only its state file is missing, damaged, or of another
  // journal, the file is used as it is and gets a new state file.
  bool accept_damage = false;
  QuarantineLimits quarantine = {};
  // The series of the server that uses the journal (base/sequence_series.h).
  // Entries that were adopted from another server's journal have numbers of
  // another series, which do not count in LastSequence. If empty, all numbers
  // count.
  std::optional<std::int64_t> series = std::nullopt;
  // Told which submissions are in quarantine, from Open on. Must outlive the
  // journal. May be null.
  QuarantinedIds* quarantined_ids = nullptr;
};

// Discarded::reason and Discarded::by of an entry that was forgotten because
// the same submission is in quarantine under another sequence number.
inline constexpr std::string_view kRepeatsQuarantined =
    "the same submission is in quarantine under another sequence number";
inline constexpr std::string_view kDiscardedByServer = "sluice";

// Thread-safe. Calls block and may wait for another caller's commit, unless
// their comment says otherwise.
class Journal {
 public:
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // Opens the journal at `path`. Creates the file and its directory if they are
  // missing, and locks `<path>.lock`, so that no other process opens the file.
  // Errors, which leave the file as it was:
  //   FAILED_PRECONDITION  another process has the journal open, or the file is
  //                        of a newer version, or of another program
  //   DATA_LOSS            the file is not a database, is damaged as a whole,
  //                        or lacks acknowledged entries, which the message
  //                        names
  //   UNAVAILABLE          the file cannot be read or written
  static absl::StatusOr<std::unique_ptr<Journal>> Open(
      const std::string& path, const JournalOptions& options = {});

  // Returns the id of the journal, 32 hexadecimal digits. The id is assigned
  // when the journal is created. A backup has the same id. Does not block.
  const std::string& id() const { return id_; }
  // True if the journal ever had an entry. Does not block.
  bool used() const { return last_position() > 0; }

  // Calls `visit`, without holding a lock, with every undamaged entry that is
  // not forgotten, in the order of positions. Quarantines each damaged entry.
  // An error while reading ends the replay.
  absl::Status Replay(absl::FunctionRef<void(JournalEntry entry)> visit);

  // Entries that the journal had when it was opened are unread until MarkRead.
  // Returns the number of unread entries. Does not block.
  std::size_t unread() const;
  // Returns the next unread entries: at most `max_entries`, and no more than
  // are needed to reach `max_bytes` of content. Reads at least one entry if
  // there is one. Quarantines damaged entries.
  absl::StatusOr<JournalPart> ReadUnread(std::size_t max_entries,
                                         std::size_t max_bytes);
  // Marks the entries of a part as read. The part must be the last result of
  // ReadUnread. VisitUnread finds entries until they are marked.
  void MarkRead(const JournalPart& part);
  // Calls `visit` with each unread entry, without holding a lock. An entry that
  // is marked as read meanwhile may be left out. Does not block if there are no
  // unread entries.
  absl::Status VisitUnread(
      absl::FunctionRef<void(const UnreadEntry& entry)> visit);

  // Returns the highest sequence number of the journal's own series
  // (JournalOptions::series) that was ever in the journal or in its quarantine;
  // 0 if there was none. A journal that another server used returns a number of
  // that server.
  absl::StatusOr<std::int64_t> LastSequence();
  // Raises the result of LastSequence to at least `sequence`, durably. Errors
  // as in Append.
  absl::Status RaiseLastSequence(std::int64_t sequence);

  // Appends the entries as one group, in their order. Returns the position of
  // the first entry; the positions of the others follow without gaps. OK: all
  // entries are durable. An error (UNAVAILABLE: disk full, failed sync): no
  // entry is in the journal, and none will be after a crash of the process. A
  // later Append may succeed without reopening. There is one exception: after a
  // failed sync the disk's state is unknown, and a power cut before the next
  // successful commit may bring the entries back. If another program removed or
  // replaced a file of the journal, all later changes fail too, and the entries
  // may be in the journal after the next start.
  absl::StatusOr<std::int64_t> Append(
      absl::Span<const NewJournalEntry> entries);

  // Marks the entry as done: the store has the submission. Done entries are
  // forgotten by later Appends, a limited number each, or by Forget. Until then
  // the mark is in memory only, and a crash replays the entry. Does not block.
  void MarkDone(std::int64_t position);
  // Forgets all done entries, in as many commits as necessary (none if no entry
  // is done). Then shrinks the file if it is nearly empty.
  absl::Status Forget();

  // Moves entries into quarantine, in one transaction with one sync. Returns
  // the result of each entry, in the order of `entries`. A damaged entry is
  // quarantined with the damage as the reason, whatever the limits. If the same
  // submission with the same kind and content is in quarantine already, the
  // entry is forgotten, and its sequence number is recorded as discarded, with
  // kRepeatsQuarantined as the reason. Otherwise, if another submission in
  // quarantine has the sequence number, ALREADY_EXISTS: the caller must set
  // UnstorableEntry::new_sequence. RESOURCE_EXHAUSTED if the quarantine has no
  // room for another submission of the study (quarantine_room.h), UNAVAILABLE
  // as in Append: the entry stays in the journal. NOT_FOUND if no entry has
  // that position. Errors other than UNAVAILABLE concern their entry only.
  std::vector<absl::Status> Quarantine(
      absl::Span<const UnstorableEntry> entries);
  // Moves an entry from quarantine to the end of the journal, and returns it
  // with its new position. JournalOptions::quarantined_ids still has the
  // submission; the caller removes it once repetitions of the submission can be
  // recognised otherwise. NOT_FOUND if no entry in quarantine has that
  // sequence number, FAILED_PRECONDITION if the entry is damaged.
  absl::StatusOr<JournalEntry> Release(std::int64_t sequence);
  // Removes an entry from quarantine, and records its fields, the reason and
  // the operator. NOT_FOUND if no entry in quarantine has that sequence number.
  absl::Status Discard(std::int64_t sequence, std::string_view reason,
                       std::string_view by);

  // Removes entries from quarantine without a record, in one transaction,
  // because another journal has them. Ignores sequence numbers that no entry in
  // quarantine has. Errors as in Append.
  absl::Status RemoveQuarantined(absl::Span<const std::int64_t> sequences);

  // Returns up to `max` entries in quarantine with sequence numbers above
  // `after`, in ascending order. Contents are left out unless `with_content`.
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(std::int64_t after,
                                                          std::size_t max,
                                                          bool with_content);
  // Returns, for each id, the entry in quarantine with the lowest sequence
  // number, without its content, or nothing. Does not block while the
  // quarantine is empty.
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      std::string_view study_id, absl::Span<const std::string> submission_ids);

  // Returns up to `max` records of discarded entries with numbers above
  // `after`, in ascending order.
  absl::StatusOr<std::vector<Discarded>> ListDiscarded(std::int64_t after,
                                                       std::size_t max);
  // Returns, for each id, the record of the entry that was discarded last, or
  // nothing. Does not block if no entry was ever discarded.
  absl::StatusOr<std::vector<std::optional<Discarded>>> FindDiscarded(
      std::string_view study_id, absl::Span<const std::string> submission_ids);

  // Changes the limits of the quarantine. Removes nothing. Does not block.
  void SetQuarantineLimits(const QuarantineLimits& limits);
  // True if submissions of the study may be acknowledged: the quarantine would
  // have room for them (quarantine_room.h). Does not block.
  bool MayPromise(std::string_view study_id) const;

  // Number of entries in quarantine, and bytes of their contents. Do not block.
  std::size_t quarantined() const;
  std::size_t quarantined_bytes() const;
  // Number of entries in quarantine that are damaged. Does not block.
  std::size_t damaged() const;
  // Damage that was accepted when the journal was opened (JournalOptions);
  // empty if there was none.
  const std::string& accepted_damage() const { return accepted_damage_; }
  // True if Open found no file, or an empty one, and created the journal.
  bool created() const { return created_; }

  // Copies the journal, with its state file, to the new files `path` and
  // `<path>.state` while it is in use (sqlite_copy.h). A journal that is opened
  // at `path` has everything that was acknowledged and not forgotten when the
  // call began.
  absl::Status Backup(const std::string& path, const CopyPace& pace);

  // Returns OK if the journal could accept entries now. If the last write
  // failed, tries to write. Does not wait for a call in progress, but returns
  // the result of the write before that call.
  absl::Status Check();

 private:
  // Positions begin at 1, but a damaged file may have an entry at any position.
  static constexpr std::int64_t kBeforeAllEntries =
      -std::numeric_limits<std::int64_t>::max();

  Journal(std::string path, FileLock lock, std::unique_ptr<JournalFile> file,
          QuarantineRoom room, std::size_t damaged, std::size_t discarded,
          QuarantinedIds* quarantined_ids, std::string accepted_damage,
          bool created);

  // Holds file_mutex_ for the next part of a long read. Append and Forget go
  // first, because a thread of low priority may read.
  class ABSL_SCOPED_LOCKABLE PartLock {
   public:
    explicit PartLock(Journal* journal)
        ABSL_EXCLUSIVE_LOCK_FUNCTION(journal->file_mutex_);
    PartLock(const PartLock&) = delete;
    PartLock& operator=(const PartLock&) = delete;
    ~PartLock() ABSL_UNLOCK_FUNCTION();

   private:
    Journal& journal_;
  };

  absl::Status ForgetUpTo(std::int64_t last, bool& more)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);

  std::int64_t last_position() const;
  std::vector<PositionRange> FirstDone() const;
  void Forgotten(const std::vector<PositionRange>& ranges);
  absl::Status last_write() const;
  bool MayQuarantine(const ReceivedSubmission& submission,
                     const QuarantineRoom::Use& more_of_study,
                     const QuarantineRoom::Use& more) const;
  absl::Status CheckFiles();
  absl::StatusOr<JournalPart> Read(std::int64_t after, std::int64_t last,
                                   std::size_t max_entries,
                                   std::size_t max_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);
  std::vector<absl::Status> QuarantineEntries(
      absl::Span<const UnstorableEntry> entries)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);
  void UpdatePromises() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_mutex_);

  // Records that a commit succeeded. If the state file could not be written
  // after the commit, Check reports that failure. The entries of the commit are
  // durable anyway.
  void Committed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);
  // Stores the result of a write for Check, and returns it.
  absl::Status Wrote(absl::Status status);
  // Like Wrote, but does not store errors that may concern one entry only, such
  // as NOT_FOUND.
  absl::Status Failed(const absl::Status& status);

  // Constant after construction. Declared first, so that the lock is released
  // after the file is closed.
  const FileLock lock_;
  const std::string path_;  // absolute
  const std::string id_;
  const std::string accepted_damage_;
  const bool created_;
  QuarantinedIds* const quarantined_ids_;  // may be null

  // Number of calls of Append and Forget that wait for file_mutex_.
  std::atomic<int> writers_waiting_{0};
  absl::Mutex file_mutex_;
  const std::unique_ptr<JournalFile> file_ ABSL_PT_GUARDED_BY(file_mutex_);

  // Held briefly, never over I/O. The members guarded by this mutex change only
  // after the commit of the change that they describe.
  mutable absl::Mutex state_mutex_ ABSL_ACQUIRED_AFTER(file_mutex_);
  std::int64_t last_position_ ABSL_GUARDED_BY(state_mutex_);
  // Unread entries are those after `read_up_to_`, up to `unread_last_`.
  std::int64_t read_up_to_ ABSL_GUARDED_BY(state_mutex_) = kBeforeAllEntries;
  std::int64_t unread_last_ ABSL_GUARDED_BY(state_mutex_);
  std::size_t unread_ ABSL_GUARDED_BY(state_mutex_);
  PositionSet done_ ABSL_GUARDED_BY(state_mutex_);
  QuarantineRoom room_ ABSL_GUARDED_BY(state_mutex_);
  std::size_t damaged_ ABSL_GUARDED_BY(state_mutex_);
  std::size_t discarded_ ABSL_GUARDED_BY(state_mutex_);
  // A copy of room_.MayPromiseAll(). Every promised arrival reads it.
  std::atomic<bool> may_promise_all_{true};
  absl::Status last_write_ ABSL_GUARDED_BY(state_mutex_);
  WriteHang hang_ ABSL_GUARDED_BY(state_mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_H_

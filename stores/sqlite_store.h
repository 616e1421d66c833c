// The embedded store: a SQLite file, which can be read with the sqlite3 shell
// at any time. The tables are in sqlite_schema.cc.

#ifndef SLUICE_STORES_SQLITE_STORE_H_
#define SLUICE_STORES_SQLITE_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "stores/files.h"
#include "stores/kinds/sqlite_kind.h"
#include "stores/open_files.h"
#include "stores/sequence_use.h"
#include "stores/sqlite.h"
#include "stores/sqlite_file.h"
#include "stores/sqlite_registry.h"
#include "stores/store.h"
#include "stores/write_hang.h"

namespace sluice {

class SqliteStore final : public Store {
 public:
  // Opens the store. Creates the file and its directory if they are missing,
  // and locks `<path>.lock`, so that no other process writes to the file and
  // assigns the same sequence numbers. Errors:
  //   FAILED_PRECONDITION  another process has the lock, or the file is of a
  //                        newer version, or of another program
  //   DATA_LOSS            the file is not a database, or it is missing or
  //                        empty although `known` shows that it existed
  //   UNAVAILABLE          the file cannot be read or written
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(
      const SqliteStoreOptions& options, SameContent same_content,
      const KnownStore& known = {});

  // True if Open found no tables and created them.
  bool created() const { return created_; }

  // Batches that arrive while another batch is being committed share the next
  // commit: one transaction, one sync. If one batch cannot be stored, the other
  // batches are still stored.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
      absl::Span<const std::int64_t> sequences) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  // Reads like Store::Read, without delaying FindReceipts.
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  absl::Status Backup(const std::string& path, const CopyPace& pace) override;
  ServerRegistry* registry() override { return &registry_; }
  // Checks as Store::Check. UNAVAILABLE also if another program removed or
  // replaced a file of the database. SaveBatch then fails too, because a commit
  // to such a file is lost when the process ends.
  absl::Status Check() override;
  // Changes as soon as a file of the database is removed or replaced.
  std::uint32_t Generation() override;

  // Number of batches in SaveBatch now, waiting or being committed.
  std::size_t batches_in_progress() const;

 private:
  // A batch in the queue, on the stack of the thread that saves it. Or
  // statements of the registry, which share a commit in the same way.
  struct PendingBatch {
    absl::Span<const Submission> batch = {};
    absl::Span<Saved> saved = {};
    const SqliteRegistry::Statements* statements = nullptr;
    bool done = false;  // guarded by queue_mutex_
    // Result of the batch; its own thread reads it once `done` is set. Remains
    // an error until the commit has succeeded: if an exception ends the
    // committing thread, the other batches of its group must not be
    // acknowledged.
    absl::Status status = absl::Status(absl::StatusCode::kUnavailable, "");
    std::exception_ptr thrown = nullptr;
  };
  using Group = std::vector<PendingBatch*>;

  struct Writer {
    SqliteConnection db;
    SqliteFileWatch files;
    SqliteStatement insert;
    SqliteStatement find_first;
    SqliteStatement read_content;
    SqliteStatement audit;
    SqliteStatement find_gap;
    SqliteStatement insert_gap;
    SqliteStatement find_use;
    SqliteStatement keep_reported;
    // No gap of this server's numbers is higher.
    std::int64_t last_gap;
  };
  struct Reader {
    SqliteConnection db;
    SqliteStatement find_receipt;
    SqliteStatement find_others;
  };
  struct PageReader {
    SqliteConnection db;
    SqliteStatement read;
    SqliteStatement read_gaps;
  };

  static absl::StatusOr<Writer> OpenWriter(const SqliteStoreOptions& options);
  static absl::StatusOr<Reader> OpenReader(const SqliteStoreOptions& options);
  static absl::StatusOr<PageReader> OpenPageReader(
      const SqliteStoreOptions& options);

  SqliteStore(FileLock lock, const SqliteStoreOptions& options,
              SameContent same_content, bool created, Writer writer,
              Reader reader, PageReader page_reader);

  // Runs the statements in one transaction. Reads do not wait for a SaveBatch.
  // Writes share the next commit.
  absl::Status Read(SqliteRegistry::Statements statements)
      ABSL_LOCKS_EXCLUDED(read_mutex_);
  absl::Status Write(SqliteRegistry::Statements statements)
      ABSL_LOCKS_EXCLUDED(write_mutex_);

  // Adds the batch to the queue and waits until it is committed.
  absl::Status Commit(PendingBatch& mine) ABSL_LOCKS_EXCLUDED(write_mutex_);
  // Adds the batch to the queue. Returns when the batch is done, or when it is
  // first in the queue; its thread must then commit for the group.
  void WaitForTurn(PendingBatch& mine) ABSL_LOCKS_EXCLUDED(queue_mutex_);
  // Returns the batches at the front of the queue that share the next commit.
  Group FirstInQueue() const ABSL_LOCKS_EXCLUDED(queue_mutex_);
  // Removes the first `batches` batches from the queue, and wakes their
  // threads.
  void Finish(std::size_t batches) ABSL_LOCKS_EXCLUDED(queue_mutex_);

  // Sets the status of all batches in the queue to `status`. Returns the number
  // of batches.
  std::size_t FailQueue(const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(queue_mutex_);

  absl::Status CheckFiles() ABSL_LOCKS_EXCLUDED(write_mutex_);
  absl::Status CheckFilesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  // Saves the group and sets the status of each batch. Returns an error if no
  // transaction could begin; at present no other batch can be saved either.
  absl::Status SaveGroup(Group group)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Saves the group in one transaction. `begun` is false if the transaction
  // could not begin. After an error, `failed` is the batch that caused it, or
  // null if the error does not concern a single batch.
  absl::Status SaveInOneTransaction(const Group& group, bool& begun,
                                    PendingBatch*& failed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status SaveEach(PendingBatch& pending)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<Saved> Save(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<bool> IsGap(std::int64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Inserts the submission. Returns false if the id or the sequence number is
  // taken, the number perhaps by a gap.
  absl::StatusOr<bool> Insert(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<Saved> CompareWithFirst(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<bool> MeansTheSame(const Submission& submission,
                                    std::int64_t first_sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Tells whether a submission whose id is stored may keep its number.
  absl::StatusOr<SequenceUse> FindUse(const Submission& submission,
                                      std::int64_t first_sequence,
                                      bool conflict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status KeepReported(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status KeepGap(const Submission& submission,
                       std::int64_t first_sequence, bool conflict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Records the conflict and keeps its content.
  absl::Status Audit(const Submission& refused, std::int64_t first_sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  absl::Status ReadSubmissions(std::int64_t after, std::size_t max,
                               std::size_t max_bytes, StorePage& page)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(page_mutex_);
  // Adds the gaps that belong to the page's submissions.
  absl::Status ReadGaps(std::int64_t after, StorePage& page)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(page_mutex_);

  absl::Status last_save() const;
  void set_last_save(const absl::Status& status);

  // Constant after construction. Declared first, so that the lock is released
  // after the connections are closed.
  const FileLock lock_;
  const std::string path_;  // absolute
  const absl::Duration busy_timeout_;
  const SameContent same_content_;
  const bool created_;
  const OpenFiles files_;
  // True if the last check of the files failed, which includes a write-ahead
  // log that was cut.
  std::atomic<bool> files_failed_{false};

  // Held briefly, never over I/O.
  mutable absl::Mutex queue_mutex_ ABSL_ACQUIRED_AFTER(write_mutex_);
  // The thread of the first batch commits. The other threads wait for it.
  std::deque<PendingBatch*> queue_ ABSL_GUARDED_BY(queue_mutex_);

  absl::Mutex write_mutex_;
  Writer writer_ ABSL_GUARDED_BY(write_mutex_);

  absl::Mutex read_mutex_;
  Reader reader_ ABSL_GUARDED_BY(read_mutex_);

  absl::Mutex page_mutex_;
  PageReader page_reader_ ABSL_GUARDED_BY(page_mutex_);

  // Held briefly, never over I/O.
  mutable absl::Mutex state_mutex_ ABSL_ACQUIRED_AFTER(write_mutex_);
  absl::Status last_save_ ABSL_GUARDED_BY(state_mutex_);
  WriteHang hang_ ABSL_GUARDED_BY(state_mutex_);

  // Thread-safe.
  SqliteRegistry registry_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_STORE_H_

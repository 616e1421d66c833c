// The embedded store: a SQLite file that the sqlite3 shell can read at any
// time. What it looks like is in sqlite_schema.cc.

#ifndef SLUICE_STORES_SQLITE_STORE_H_
#define SLUICE_STORES_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "stores/files.h"
#include "stores/sqlite.h"
#include "stores/store.h"

namespace sluice {

struct SqliteStoreOptions {
  std::string path;
  // How long a batch waits for another program, such as a shell, that holds the
  // database's write lock.
  absl::Duration busy_timeout = absl::Seconds(5);
};

class SqliteStore final : public Store {
 public:
  // Creates the file and its directory where they are missing. The store has
  // the file to itself for writing, by a lock on `<path>.lock`: sequences are
  // numbered by the process that has it. FAILED_PRECONDITION where another
  // process has it, or the file is not one of this program's or is of a newer
  // version; DATA_LOSS where it is no database; UNAVAILABLE where it cannot be
  // read or written.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(
      const SqliteStoreOptions& options, SameContent same_content);

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::Status Check() override;

 private:
  struct Writer {
    SqliteConnection db;
    SqliteStatement insert;
    SqliteStatement find_first;
    SqliteStatement read_content;
    SqliteStatement audit;
  };
  struct Reader {
    SqliteConnection db;
    SqliteStatement find_receipt;
  };

  static absl::StatusOr<Writer> OpenWriter(const SqliteStoreOptions& options);
  static absl::StatusOr<Reader> OpenReader(const SqliteStoreOptions& options);

  SqliteStore(FileLock lock, const SqliteStoreOptions& options,
              SameContent same_content, Writer writer, Reader reader);

  absl::Status SaveInOneTransaction(absl::Span<const Submission> batch,
                                    absl::Span<Saved> saved)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<Saved> Save(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // False: its id or its sequence is taken.
  absl::StatusOr<bool> Insert(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<Saved> CompareWithFirst(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<bool> MeansTheSame(const Submission& submission,
                                    std::int64_t first_sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status Audit(const Submission& refused, std::int64_t first_sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status ProbeWriting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  absl::Status last_save() const;
  void set_last_save(const absl::Status& status);

  // Constant after construction. The lock is the last to go.
  const FileLock lock_;
  const absl::Duration busy_timeout_;
  const SameContent same_content_;

  absl::Mutex write_mutex_;
  Writer writer_ ABSL_GUARDED_BY(write_mutex_);

  absl::Mutex read_mutex_;
  Reader reader_ ABSL_GUARDED_BY(read_mutex_);

  // Held for a moment only.
  mutable absl::Mutex state_mutex_;
  absl::Status last_save_ ABSL_GUARDED_BY(state_mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_STORE_H_

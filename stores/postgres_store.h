// A store in a PostgreSQL database, which several servers may share. The tables
// are in postgres_schema.cc.

#ifndef SLUICE_STORES_POSTGRES_STORE_H_
#define SLUICE_STORES_POSTGRES_STORE_H_

#include <cstddef>
#include <cstdint>
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
#include "stores/kinds/postgres_kind.h"
#include "stores/postgres.h"
#include "stores/store.h"

namespace sluice {

// Holds these sessions:
//   - one for each SaveBatch in progress, kept for the next SaveBatch
//   - one for reading
//   - one that holds the server's number, as an advisory lock. Without this
//     lock nothing is saved, since another server might assign the same
//     sequence numbers.
class PostgresStore final : public Store {
 public:
  // Creates the tables if they are missing. FAILED_PRECONDITION if another
  // server has the number, or the database is unsuitable (OpenPostgresSession).
  // UNAVAILABLE if the database cannot be reached.
  static absl::StatusOr<std::unique_ptr<PostgresStore>> Open(
      const PostgresStoreOptions& options, SameContent same_content);

  // Saves as Store::SaveBatch. INVALID_ARGUMENT if an id of the batch has
  // U+0000 or is not UTF-8. UNAVAILABLE also if the server's number was lost
  // with its session and cannot be taken again.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  absl::Status Check() override;

 private:
  PostgresStore(const PostgresStoreOptions& options, SameContent same_content);

  absl::Status Start();
  // Makes sure that this server holds its number. Takes the lock again if its
  // session was lost. Each step waits for at most `wait`.
  absl::Status HoldNumber(absl::Duration wait)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(number_mutex_);
  absl::Status TakeNumber(absl::Duration wait)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(number_mutex_);
  absl::Status CheckNumber();

  absl::Status SaveOnAWriter(absl::Span<const Submission> batch,
                             absl::Span<Saved> saved);
  // Returns an idle session, or a new one.
  absl::StatusOr<PostgresConnection> TakeWriter();
  void ReturnWriter(PostgresConnection writer);
  void CloseIdleWriters();

  // Calls `read` with the session for reading. Opens the session if necessary,
  // and closes it after an error. Each step of opening waits for at most
  // `wait`.
  using ReadFunction = absl::FunctionRef<absl::Status(PostgresConnection& db)>;
  absl::Status WithReader(ReadFunction read);
  absl::Status WithLockedReader(absl::Duration wait, ReadFunction read)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(read_mutex_);

  bool last_save_failed() const;
  void set_last_save_failed(bool failed);
  // Results of the last use of each session, for Check.
  absl::Status last_number() const;
  void set_last_number(const absl::Status& status);
  absl::Status last_read() const;
  void set_last_read(const absl::Status& status);

  // Constant after construction.
  const PostgresStoreOptions options_;
  const SameContent same_content_;

  absl::Mutex number_mutex_;
  std::optional<PostgresConnection> number_ ABSL_GUARDED_BY(number_mutex_);

  absl::Mutex read_mutex_;
  std::optional<PostgresConnection> reader_ ABSL_GUARDED_BY(read_mutex_);

  // Held briefly, never over I/O. Always locked last.
  mutable absl::Mutex state_mutex_ ABSL_ACQUIRED_AFTER(number_mutex_,
                                                       read_mutex_);
  std::vector<PostgresConnection> idle_writers_ ABSL_GUARDED_BY(state_mutex_);
  bool last_save_failed_ ABSL_GUARDED_BY(state_mutex_) = false;
  absl::Status last_number_ ABSL_GUARDED_BY(state_mutex_);
  absl::Status last_read_ ABSL_GUARDED_BY(state_mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_STORE_H_

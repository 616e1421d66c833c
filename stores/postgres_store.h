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
#include "base/time.h"
#include "stores/kinds/postgres_kind.h"
#include "stores/postgres.h"
#include "stores/postgres_durability.h"
#include "stores/postgres_registry.h"
#include "stores/postgres_sessions.h"
#include "stores/store.h"

namespace sluice {

// Holds these sessions:
//   - one for each SaveBatch in progress, kept for the next SaveBatch
//   - one for each look-up or Read in progress, kept for the next look-up or
//     Read
//   - one for Check
//   - one that holds the server's number, as an advisory lock. Without this
//     lock nothing is saved, because another server might assign the same
//     sequence numbers.
//
// Each session that writes holds a second, shared lock for the number. After a
// session has taken the shared lock, the session checks that this process holds
// the number on the same PostgreSQL server. A process that takes the number
// terminates all sessions that hold the shared lock. Therefore no session
// writes under a number that was lost, or that is held on an old primary.
//
// Calls do not wait for each other. Each call ends within the store's timeout.
// A large batch gets one more timeout for each full 16 MiB.
class PostgresStore final : public Store {
 public:
  // Creates the tables if they are missing, and migrates tables of an older
  // version. FAILED_PRECONDITION if another server has the number, or the
  // database is unsuitable (OpenPostgresSession, or fsync is off).
  // FAILED_PRECONDITION also if the role lacks a privilege that SaveBatch
  // needs. DATA_LOSS if there are no tables although `known` shows that there
  // were. UNAVAILABLE if the database cannot be reached. `log` may be empty.
  // Logs a warning if others could read the connection, and later an error
  // whenever a change of PostgreSQL's settings endangers commits.
  static absl::StatusOr<std::unique_ptr<PostgresStore>> Open(
      const PostgresStoreOptions& options, SameContent same_content,
      StoreLog log = {}, const KnownStore& known = {});

  // Saves as Store::SaveBatch. INVALID_ARGUMENT if an id of the batch has
  // U+0000 or is not UTF-8. UNAVAILABLE also if the standbys do not answer in
  // time, or if the session that held the server's number was lost and the
  // number cannot be taken again. With `require_replication`, SaveBatch,
  // FindReceipts and Check also return UNAVAILABLE while PostgreSQL's settings
  // endanger commits.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
      absl::Span<const std::int64_t> sequences) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  ServerRegistry* registry() override { return &registry_; }
  std::vector<StoreHazard> Hazards() override { return durability_.hazards(); }
  // Checks as Store::Check. UNAVAILABLE also if synchronous standbys are
  // configured and do not answer. The thread-safety analysis is off because it
  // does not understand the TryLock.
  absl::Status Check() override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Changes when the session that holds the server's number is lost, when a
  // standby was promoted, and when the number is taken again.
  std::uint32_t Generation() override;

 private:
  PostgresStore(const PostgresStoreOptions& options, SameContent same_content,
                StoreLog log);

  absl::Status Start(const KnownStore& known);
  // Makes sure that this server holds its number. Returns the PostgreSQL
  // process that holds the number. If the session with the number was lost, one
  // caller takes the number again. With `wait`, other callers wait for the
  // result until `deadline`; otherwise they get the last result.
  absl::StatusOr<PostgresBackend> HoldNumber(bool wait, TimePoint deadline);
  absl::StatusOr<PostgresBackend> NumberHolder()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(number_mutex_);
  absl::StatusOr<PostgresConnection> TakeNumber(TimePoint deadline);
  // Closes the session that holds the number, if the session is served by
  // `holder`.
  void DropNumber(const PostgresBackend& holder);
  // Lets `writer` write under this server's number until the session ends.
  // Returns false if `holder` does not hold the number on the PostgreSQL server
  // of `writer`.
  absl::StatusOr<bool> JoinNumber(PostgresConnection& writer,
                                  const PostgresBackend& holder);

  absl::StatusOr<PostgresConnection> TakeWriter(TimePoint deadline);
  // Calls `write` with a session that holds this server's number. `write`
  // returns the settings of the session after a COMMIT. After an error of
  // `write`, the session is closed.
  using WriteFunction = absl::FunctionRef<absl::StatusOr<PostgresDurability>(
      PostgresConnection& db)>;
  absl::Status WithWriter(TimePoint deadline, WriteFunction write);

  // Calls `read` with a session for reading. If the connection of an idle
  // session turns out to be lost, calls `read` again with a new session.
  // Results of the first call have no meaning then.
  using ReadFunction = absl::FunctionRef<absl::Status(PostgresConnection& db)>;
  absl::Status WithReader(ReadFunction read);
  // Calls `find` with a session for reading. If `find` returns true, waits
  // until the standbys have all rows that the session has seen.
  using FindFunction =
      absl::FunctionRef<absl::StatusOr<bool>(PostgresConnection& db)>;
  absl::Status FindReplicated(FindFunction find);

  // Implement the sessions of the registry.
  absl::Status ReadRegistry(PostgresRegistry::Use use);
  absl::Status WriteRegistry(PostgresRegistry::Use use);

  absl::Status Probe(TimePoint deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(check_mutex_);
  absl::Status ProbeDatabase(PostgresConnection& db);
  // Commits a message on `session`, and waits up to kStandbyTimeout for the
  // standbys.
  absl::Status ProbeStandbys(PostgresConnection session, TimePoint deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(check_mutex_);
  absl::Status AwaitCommit(PostgresConnection session, TimePoint deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(check_mutex_);

  bool last_save_failed() const;
  void set_last_save_failed(bool failed);
  absl::Status last_check() const;
  void set_last_check(const absl::Status& status);

  // Constant after construction.
  const PostgresStoreOptions options_;
  const SameContent same_content_;

  // Thread-safe.
  PostgresSessions sessions_;
  PostgresDurabilityWatch durability_;
  PostgresRegistry registry_;

  // Never held over I/O: threads that must not wait call Generation.
  absl::Mutex number_mutex_;
  absl::CondVar number_tried_;
  std::optional<PostgresConnection> number_ ABSL_GUARDED_BY(number_mutex_);
  // Number of sessions that have taken the number since Start.
  std::uint32_t numbers_taken_ ABSL_GUARDED_BY(number_mutex_) = 0;
  bool taking_number_ ABSL_GUARDED_BY(number_mutex_) = false;
  absl::Status last_number_ ABSL_GUARDED_BY(number_mutex_);

  // Held by the Check in progress, also over I/O. Other calls do not wait for
  // this lock.
  absl::Mutex check_mutex_;
  std::optional<PostgresConnection> checker_ ABSL_GUARDED_BY(check_mutex_);
  // Time at which `checker_` sent a COMMIT that is not answered yet.
  std::optional<TimePoint> commit_sent_at_ ABSL_GUARDED_BY(check_mutex_);

  mutable absl::Mutex state_mutex_;  // held for a moment only, never over I/O
  bool last_save_failed_ ABSL_GUARDED_BY(state_mutex_) = false;
  absl::Status last_check_ ABSL_GUARDED_BY(state_mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_STORE_H_

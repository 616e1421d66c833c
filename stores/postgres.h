// A wrapper of PostgreSQL's C library: connections with a deadline for every
// wait, pipelined statements, values in the binary format, and errors as
// Status. https://www.postgresql.org/docs/15/libpq.html

#ifndef SLUICE_STORES_POSTGRES_H_
#define SLUICE_STORES_POSTGRES_H_

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/time.h"

namespace sluice {

// Returns the Status for an error with this SQLSTATE: ABORTED for a deadlock,
// UNAVAILABLE if a later attempt may succeed, INVALID_ARGUMENT if the values
// cannot be stored, DATA_LOSS if the database is damaged, INTERNAL otherwise.
// Does not use the server's message, which may quote values.
absl::Status PostgresError(std::string_view sqlstate, const char* doing);
// Returns the SQLSTATE of an error from PostgreSQL, or an empty text if
// `status` has none.
std::string PostgresSqlState(const absl::Status& status);

// Returns a parameter of type bigint. A parameter of type text or bytea needs
// no conversion: its value is its bytes.
std::string PostgresBigint(std::int64_t value);
// Returns a parameter of type timestamptz, to the microsecond.
std::string PostgresTimestamp(absl::Time value);

// Builds a parameter of an array type, element by element.
class PostgresArray {
 public:
  enum class Type : std::uint32_t {  // the type's object identifier
    kBytea = 17,
    kBigint = 20,
    kText = 25,
    kTimestamptz = 1184,
    kJsonb = 3802,
  };

  PostgresArray(Type type, std::size_t size);

  // Append an element. Elements must be appended `size` times in total. Bytes
  // also serves for text.
  PostgresArray& Integer(std::int64_t value);
  PostgresArray& Bytes(std::string_view value);
  PostgresArray& BytesOrNull(std::string_view value);  // empty becomes NULL
  PostgresArray& Json(std::string_view value);
  PostgresArray& Time(absl::Time value);  // to microsecond precision
  PostgresArray& Null();

  std::string Take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// The rows of a statement.
class PostgresResult {
 public:
  explicit PostgresResult(PGresult* result) : handle_(result) {}

  bool empty() const { return handle_ == nullptr; }
  const PGresult* get() const { return handle_.get(); }
  int rows() const { return PQntuples(handle_.get()); }

  // Read a column, counted from 0, whose type must match the function. Views
  // live as long as the result.
  bool IsNull(int row, int column) const;
  bool BoolAt(int row, int column) const;
  std::int64_t IntegerAt(int row, int column) const;    // integer, bigint
  std::string_view BytesAt(int row, int column) const;  // text, bytea
  absl::Time TimeAt(int row, int column) const;

 private:
  struct Clearer {
    void operator()(PGresult* result) const { PQclear(result); }
  };

  std::unique_ptr<PGresult, Clearer> handle_;
};

// A host of a URL, with its address and port. An empty member leaves the value
// of the URL unchanged.
struct PostgresHost {
  std::string host;
  std::string hostaddr;
  std::string port;
};

// Returns the hosts of `url`, which must pass CheckPostgresUrl. If the URL
// names no host, or has an empty host in its list, returns one host without
// values.
std::vector<PostgresHost> PostgresHosts(const std::string& url);

// The PostgreSQL process that serves a session. A later process may have the
// same id, but has a different start time.
struct PostgresBackend {
  std::int64_t process_id = 0;
  absl::Time started_at;
  // Identifier of the cluster, and number of the timeline. A primary and its
  // standbys have the same identifier. Each promotion of a standby begins a
  // timeline with a higher number.
  std::int64_t system_identifier = 0;
  std::int64_t timeline = 0;
};

// State of a session that the server reports with notices.
struct PostgresNotices {
  bool ended = false;   // the server is ending the session
  bool warned = false;  // a warning has arrived since this was set to false
};

// A session. Not thread-safe. After an error of Receive the session must not be
// used again. When the session is destroyed, the server rolls back an open
// transaction.
//
// A COMMIT that is answered with a warning has an unknown outcome. PostgreSQL
// reports success with a warning if the wait for a synchronous standby was
// cancelled. All functions that run statements therefore return UNAVAILABLE if
// any warning arrives in the exchange that has the COMMIT.
class PostgresConnection {
 public:
  // Connects to one host of `url`, which must pass CheckPostgresUrl
  // (kinds/postgres_url.h). Returns UNAVAILABLE if the host does not accept
  // writes by `deadline`. Only the look-up of the host's name may exceed the
  // deadline.
  static absl::StatusOr<PostgresConnection> Open(const std::string& url,
                                                 const PostgresHost& host,
                                                 TimePoint deadline);

  // Sets the deadline of all later operations. An operation returns UNAVAILABLE
  // if it would wait beyond `deadline`. The initial deadline is the deadline of
  // Open.
  void set_deadline(TimePoint deadline) { deadline_ = deadline; }

  // The process that serves the session. Set by set_backend.
  const PostgresBackend& backend() const { return backend_; }
  void set_backend(const PostgresBackend& backend) { backend_ = backend; }

  // False if the server is known to have ended the session. Only looks at bytes
  // that have arrived already, and does not block.
  bool Alive();

  // Returns the version of the server, e.g. 150000 for version 15.0.
  int server_version() const { return PQserverVersion(handle_.get()); }

  // Runs statements without parameters. Discards their results. Nothing may be
  // queued.
  absl::Status Execute(const std::string& sql);

  // Execute in two steps: Start sends the statements, and TakeAnswer waits for
  // the answer. TakeAnswer returns nothing if the answer has not arrived by the
  // deadline, and may then be called again.
  absl::Status Start(const std::string& sql);
  std::optional<absl::Status> TakeAnswer();

  // Queue a statement to prepare it or to run it. Do not wait for a result.
  void SendPrepare(const char* name, const char* sql);
  void Send(const char* name, absl::Span<const std::string> parameters);
  void SendQuery(const char* sql,
                 absl::Span<const std::string> parameters = {});
  // Returns the results of all queued statements, in their order, in one round
  // trip. After an error the server skips the remaining statements, and the
  // first error is returned. Something must be queued.
  absl::StatusOr<std::vector<PostgresResult>> Receive();

  // Runs one statement and returns its result.
  absl::StatusOr<PostgresResult> Run(const char* name,
                                     absl::Span<const std::string> parameters);
  absl::StatusOr<PostgresResult> Query(
      const char* sql, absl::Span<const std::string> parameters = {});

 private:
  struct Finisher {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  explicit PostgresConnection(PGconn* connection);

  absl::Status FinishConnecting();
  bool EnterPipeline();
  void Queued(bool sent);
  absl::StatusOr<PostgresResult> ReceiveOne();
  // Waits for the next result. An empty result ends the results of a statement.
  absl::StatusOr<PostgresResult> NextResult();
  // Waits until bytes have arrived, or can be sent.
  absl::Status Await();
  // Waits until the socket has one of `events`. Returns the events that the
  // socket has.
  absl::StatusOr<int> Poll(int events) const;
  absl::Status StatusOf(const PGresult* result) const;
  // Returns UNAVAILABLE if the exchange had a COMMIT and a warning.
  absl::Status OutcomeOf(bool committed) const;
  absl::Status Lost() const;

  // Heap-allocated, because libpq's callback writes through its address.
  std::unique_ptr<PostgresNotices> notices_;
  std::unique_ptr<PGconn, Finisher> handle_;
  TimePoint deadline_ = kForever;
  PostgresBackend backend_;
  // The part of the answer that TakeAnswer has received so far.
  absl::Status answer_;
  bool answer_has_commit_ = false;
  std::size_t queued_ = 0;
  bool send_failed_ = false;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_H_

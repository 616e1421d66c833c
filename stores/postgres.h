// PostgreSQL's C library as the stores use it: connections with a deadline for
// all that they wait for, pipelined statements, values in the binary format,
// and errors as Status. https://www.postgresql.org/docs/15/libpq.html

#ifndef SLUICE_STORES_POSTGRES_H_
#define SLUICE_STORES_POSTGRES_H_

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace sluice {

// The Status of an error that has this SQLSTATE: ABORTED for a deadlock,
// UNAVAILABLE where a later try may succeed, INVALID_ARGUMENT where the values
// cannot be stored, DATA_LOSS where the database is damaged, INTERNAL for the
// rest. The text is our own: the server's may quote values.
absl::Status PostgresError(std::string_view sqlstate, const char* doing);

// A parameter of type bigint; one of type text or bytea is its bytes.
std::string PostgresBigint(std::int64_t value);

// A parameter that is an array, built element by element.
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

  // Each to be called `size` times altogether. `Bytes` is for text too.
  PostgresArray& Integer(std::int64_t value);
  PostgresArray& Bytes(std::string_view value);
  PostgresArray& BytesOrNull(std::string_view value);  // NULL where it is empty
  PostgresArray& Json(std::string_view value);
  PostgresArray& Time(absl::Time value);  // to the microsecond
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

  // Of a column, from 0, that has the type. Views live as long as the result.
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

// A session. Not thread-safe. After an error of Receive it is of no more use:
// the server undoes the transaction once it is destroyed.
class PostgresConnection {
 public:
  // `url` must pass CheckPostgresUrl (kinds/postgres_url.h). UNAVAILABLE where
  // there is no server that can be written to. Each operation waits for at most
  // `timeout`.
  static absl::StatusOr<PostgresConnection> Open(const std::string& url,
                                                 absl::Duration timeout);

  void set_timeout(absl::Duration timeout) { timeout_ = timeout; }

  // Whether the server has not ended the session, as far as can be told
  // without asking it. Does not block.
  bool Alive();

  // e.g. 150000.
  int server_version() const { return PQserverVersion(handle_.get()); }

  // Runs statements that have neither parameters nor results of interest.
  absl::Status Execute(const std::string& sql);

  // Queue a statement, to be prepared or to be run, without waiting.
  void SendPrepare(const char* name, const char* sql);
  void Send(const char* name, absl::Span<const std::string> parameters);
  void SendQuery(const char* sql,
                 absl::Span<const std::string> parameters = {});
  // The results of all that is queued, in that order, in one round trip. An
  // error is the first one's; the server skips what comes after it.
  absl::StatusOr<std::vector<PostgresResult>> Receive();

  // The result of one statement.
  absl::StatusOr<PostgresResult> Run(const char* name,
                                     absl::Span<const std::string> parameters);
  absl::StatusOr<PostgresResult> Query(
      const char* sql, absl::Span<const std::string> parameters = {});

 private:
  struct Finisher {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  PostgresConnection(PGconn* connection, absl::Duration timeout);

  bool EnterPipeline();
  void Queued(bool sent);
  absl::StatusOr<PostgresResult> ReceiveOne();
  // Waits for it; an empty one ends those of a statement.
  absl::StatusOr<PostgresResult> NextResult(absl::Time deadline);
  // Until something has come, or could be sent.
  absl::Status Await(absl::Time deadline);
  absl::Status StatusOf(const PGresult* result) const;
  absl::Status Lost() const;

  // Set by the library's callback, so it stays where it is.
  std::unique_ptr<bool> ended_;
  std::unique_ptr<PGconn, Finisher> handle_;
  absl::Duration timeout_;
  std::size_t queued_ = 0;
  bool send_failed_ = false;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_H_

// SQLite's C interface as the stores use it: connections, statements and
// transactions that clean up after themselves, and errors as Status.
// https://www.sqlite.org/c3ref/intro.html

#ifndef SLUICE_STORES_SQLITE_H_
#define SLUICE_STORES_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sluice {

// The Status of an extended result code that is an error: UNAVAILABLE where a
// later try may succeed (locked, full, cannot read or write), DATA_LOSS where
// the file is damaged or no database, INTERNAL for the rest. The text is
// SQLite's for the code: no statement, no value.
absl::Status SqliteError(int code, const char* doing);

// A prepared statement, to be run many times. See SqliteRun.
class SqliteStatement {
 private:
  friend class SqliteConnection;
  friend class SqliteRun;

  struct Finalizer {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };

  explicit SqliteStatement(sqlite3_stmt* statement) : handle_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalizer> handle_;
};

// One run of a statement, from its first parameter to its last row. The
// statement must outlive it, and has one run at a time.
class SqliteRun {
 public:
  explicit SqliteRun(SqliteStatement& statement);
  SqliteRun(const SqliteRun&) = delete;
  SqliteRun& operator=(const SqliteRun&) = delete;
  ~SqliteRun();

  // Gives the next parameter its value. Text and blobs are not copied: they
  // must stay until the run has ended. Step reports what went wrong here.
  SqliteRun& Null();
  SqliteRun& Integer(std::int64_t value);
  SqliteRun& Text(std::string_view value);
  SqliteRun& TextOrNull(std::string_view value);  // NULL where it is empty
  SqliteRun& Blob(std::string_view value);

  // True: there is a (next) row. False: there is none, the statement has run.
  absl::StatusOr<bool> Step();

  // Columns of the row, from 0. Views are valid until the next Step.
  bool IsNullAt(int column) const;
  std::int64_t IntegerAt(int column) const;
  std::string_view TextAt(int column) const;
  std::string_view BlobAt(int column) const;

 private:
  void Bound(int code);

  sqlite3_stmt* const statement_;
  int parameter_ = 0;
  int bind_error_ = SQLITE_OK;
};

// An open database. Not thread-safe.
class SqliteConnection {
 public:
  // Opens the file at `path`, an absolute path, or creates an empty one. A
  // statement that finds the database locked by another connection waits for at
  // most `busy_timeout`.
  static absl::StatusOr<SqliteConnection> Open(const std::string& path,
                                               absl::Duration busy_timeout);

  void SetBusyTimeout(absl::Duration timeout);

  // Runs statements that have neither parameters nor results of interest.
  absl::Status Execute(const char* sql);

  // `sql` is one statement. It must not outlive the connection.
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);

  // The first column of the first row of a query that has one.
  absl::StatusOr<std::int64_t> QueryInteger(std::string_view sql);
  absl::StatusOr<std::string> QueryText(std::string_view sql);

  // Rows inserted, changed or deleted by the statement that ran last.
  std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }
  bool in_transaction() const {
    return sqlite3_get_autocommit(handle_.get()) == 0;
  }

  // Cuts off what follows the last commit in the write-ahead log. After a
  // commit whose sync failed, all of that commit lies there: whoever opens the
  // file after a crash would take it for good. Nothing to do without a log.
  void CutLog();

 private:
  struct Closer {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };

  explicit SqliteConnection(sqlite3* db) : handle_(db) {}

  template <typename Read>
  auto Query(std::string_view sql, Read read)
      -> absl::StatusOr<decltype(read(std::declval<const SqliteRun&>()))>;

  std::unique_ptr<sqlite3, Closer> handle_;
};

// A transaction: rolled back when it is destroyed without having committed,
// whatever the reason. The connection must outlive it, and has one at a time.
class SqliteTransaction {
 public:
  enum class Mode {
    kRead,   // sees one state of the database throughout
    kWrite,  // is the only writer from the start, or fails to begin
  };

  explicit SqliteTransaction(SqliteConnection& connection)
      : connection_(connection) {}
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction();

  absl::Status Begin(Mode mode);

  // After an error nothing is committed, and the transaction has ended. A crash
  // of the process does not bring it back; a power cut may, as long as no sync
  // has succeeded since.
  absl::Status Commit();

 private:
  SqliteConnection& connection_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_H_

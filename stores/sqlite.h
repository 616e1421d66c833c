// RAII wrappers of SQLite's C interface: connections, statements, transactions,
// and errors as Status. https://www.sqlite.org/c3ref/intro.html

#ifndef SLUICE_STORES_SQLITE_H_
#define SLUICE_STORES_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sluice {

// Returns the Status for an extended result code that is an error: UNAVAILABLE
// if a later attempt may succeed (locked, full, cannot read or write),
// DATA_LOSS if the file is damaged or not a database, INTERNAL otherwise. The
// message is SQLite's text for the code, without statements or values.
absl::Status SqliteError(int code, const char* doing);

// A prepared statement. Each execution is a SqliteRun.
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

// One execution of a statement, from its first parameter to its last row.
// Resets the statement at the end. The statement must outlive the run, and can
// have one run at a time.
class SqliteRun {
 public:
  explicit SqliteRun(SqliteStatement& statement);
  SqliteRun(const SqliteRun&) = delete;
  SqliteRun& operator=(const SqliteRun&) = delete;
  ~SqliteRun();

  // Bind the next parameter. Text and blobs are not copied, and must stay valid
  // until the run ends. Step reports errors of these functions. Parameters
  // that are not bound are NULL.
  SqliteRun& Null();
  SqliteRun& Integer(std::int64_t value);
  SqliteRun& Text(std::string_view value);
  SqliteRun& TextOrNull(std::string_view value);  // NULL if `value` is empty
  SqliteRun& Blob(std::string_view value);

  // Moves to the next row. Returns false if there is none, because the
  // statement has finished.
  absl::StatusOr<bool> Step();

  // Read a column of the current row, counted from 0. Views are valid until the
  // next Step.
  bool IsNullAt(int column) const;
  // Returns SQLITE_INTEGER, SQLITE_TEXT and so on. Must be called before the
  // value is read, because reading a value may convert its type.
  int TypeAt(int column) const;
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
  // Opens the file at `path`, an absolute path, or creates an empty file. A
  // statement waits for at most `busy_timeout` while another connection has the
  // database locked.
  static absl::StatusOr<SqliteConnection> Open(const std::string& path,
                                               absl::Duration busy_timeout);

  // Like Open, but returns UNAVAILABLE if the file does not exist.
  static absl::StatusOr<SqliteConnection> OpenExisting(
      const std::string& path, absl::Duration busy_timeout);

  void SetBusyTimeout(absl::Duration timeout);

  // If `keep` is set, closing the database keeps its write-ahead log. Otherwise
  // closing copies the log into the database and removes it. The unreadable
  // part of a damaged log is then lost.
  void KeepLogOnClose(bool keep);

  // Keeps the files of the write-ahead log and of its index when the database
  // is closed. The log is emptied. Otherwise opening the database would need
  // free space on disk, to create the index.
  void KeepFilesOnClose();

  // Runs statements without parameters. Discards their results.
  absl::Status Execute(const char* sql);

  // Runs a query without parameters. Calls `visit` with each row until it
  // returns false.
  absl::Status ForEachRow(std::string_view sql,
                          absl::FunctionRef<bool(const SqliteRun& row)> visit);

  // Prepares `sql`, which must be one statement. The result must not outlive
  // the connection.
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);

  // Returns the first column of the first row. INTERNAL if there is no row.
  absl::StatusOr<std::int64_t> QueryInteger(std::string_view sql);
  absl::StatusOr<std::string> QueryText(std::string_view sql);

  // Number of rows that the last statement inserted, changed or deleted.
  std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }
  // Number of rows that all statements inserted, changed or deleted.
  std::int64_t total_changes() const {
    return sqlite3_total_changes64(handle_.get());
  }
  std::string path() const {
    return sqlite3_db_filename(handle_.get(), "main");
  }
  // True if the database was opened without the right to write. SQLite does not
  // report this as an error, neither when it opens the file nor when a
  // transaction begins.
  bool read_only() const {
    return sqlite3_db_readonly(handle_.get(), "main") == 1;
  }
  bool in_transaction() const {
    return sqlite3_get_autocommit(handle_.get()) == 0;
  }

  // Returns the paths of the files that the connection has open: the database,
  // its write-ahead log and the index of the log.
  std::vector<std::string> Files() const;

  // Begins a copy of the database to `copy`, which must be empty
  // (https://www.sqlite.org/backup.html). Returns null after an error. Both
  // connections must outlive the copy.
  template <typename Finisher>
  std::unique_ptr<sqlite3_backup, Finisher> BeginCopyTo(
      SqliteConnection& copy) {
    return std::unique_ptr<sqlite3_backup, Finisher>(
        sqlite3_backup_init(copy.handle_.get(), "main", handle_.get(), "main"));
  }
  // Syncs the database file, but not its write-ahead log.
  absl::Status SyncDatabaseFile();

  // True if the write-ahead log is shorter than its index says: another program
  // has cut the log. Commits to such a log are lost. The database must use a
  // write-ahead log.
  bool LogWasCut();

  // Cuts off everything after the last commit in the write-ahead log. If the
  // sync of a commit fails, the commit is still complete in the log, and a
  // program that opens the file after a crash would treat it as committed. Does
  // nothing if there is no log.
  void CutLog();

 private:
  struct Closer {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };

  explicit SqliteConnection(sqlite3* db) : handle_(db) {}

  static absl::StatusOr<SqliteConnection> OpenWithFlags(
      const std::string& path, absl::Duration busy_timeout, int flags);

  template <typename Read>
  auto Query(std::string_view sql, Read read)
      -> absl::StatusOr<decltype(read(std::declval<const SqliteRun&>()))>;

  std::unique_ptr<sqlite3, Closer> handle_;
};

// A transaction. Rolled back on destruction unless it has committed. The
// connection must outlive the transaction, and can have one transaction at a
// time.
class SqliteTransaction {
 public:
  enum class Mode {
    kRead,   // all reads see the same state of the database
    kWrite,  // takes the write lock when it begins, or fails to begin
  };

  explicit SqliteTransaction(SqliteConnection& connection)
      : connection_(connection) {}
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;
  ~SqliteTransaction();

  absl::Status Begin(Mode mode);

  // Ends the transaction in any case. After an error nothing is committed, and
  // a crash of the process does not bring the changes back. A power cut may
  // bring them back unless a later sync succeeded.
  absl::Status Commit();

 private:
  SqliteConnection& connection_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_H_

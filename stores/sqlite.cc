#include "stores/sqlite.h"

#include <cstddef>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {
namespace {

absl::StatusCode StatusCodeOf(int code) {
  const int primary = code & 0xff;
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Returns the database file or its log, as `which` says; null if there is no
// such file.
sqlite3_file* FileOf(sqlite3* db, int which) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, "main", which, &file);
  return file == nullptr || file->pMethods == nullptr ? nullptr : file;
}

// Returns the end of the last commit in the write-ahead log of an open
// database, as stated by the index of the log.
// https://www.sqlite.org/walformat.html, "The WAL-Index File Format". Numbers
// are in the machine's byte order.
std::optional<sqlite3_int64> CommittedLogBytes(sqlite3_file* database) {
  constexpr int kIndexRegionBytes = 32768;
  constexpr std::size_t kPageSizeAt = 14;
  constexpr std::size_t kFramesAt = 16;
  constexpr sqlite3_int64 kLogHeaderBytes = 32;
  constexpr sqlite3_int64 kFrameHeaderBytes = 24;
  if (database == nullptr || database->pMethods->iVersion < 2) return {};
  void volatile* index = nullptr;
  const int code = database->pMethods->xShmMap(database, 0, kIndexRegionBytes,
                                               /*bExtend=*/0, &index);
  if (code != SQLITE_OK || index == nullptr) return std::nullopt;
  // While the caller holds the write lock, nobody changes the index.
  const char* header = static_cast<const char*>(const_cast<void*>(index));
  std::uint16_t page_size = 0;
  std::uint32_t frames = 0;
  std::memcpy(&page_size, header + kPageSizeAt, sizeof(page_size));
  std::memcpy(&frames, header + kFramesAt, sizeof(frames));
  // A log without commits may have no header yet.
  if (frames == 0) return 0;
  const sqlite3_int64 page_bytes = page_size == 1 ? 65536 : page_size;
  return kLogHeaderBytes + frames * (kFrameHeaderBytes + page_bytes);
}

}  // namespace

absl::Status SqliteError(int code, const char* doing) {
  return absl::Status(StatusCodeOf(code),
                      absl::StrCat(doing, ": ", sqlite3_errstr(code),
                                   " (SQLite result code ", code, ")"));
}

SqliteRun::SqliteRun(SqliteStatement& statement)
    : statement_(statement.handle_.get()) {
  // A second run would continue with the rows and parameters of the first run.
  SLUICE_DCHECK(sqlite3_stmt_busy(statement_) == 0);
}

SqliteRun::~SqliteRun() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteRun& SqliteRun::Null() {
  Bound(sqlite3_bind_null(statement_, ++parameter_));
  return *this;
}

SqliteRun& SqliteRun::Integer(std::int64_t value) {
  Bound(sqlite3_bind_int64(statement_, ++parameter_, value));
  return *this;
}

SqliteRun& SqliteRun::Text(std::string_view value) {
  // SQLite reads a null address as NULL, but the value is an empty text.
  const char* data = value.data() == nullptr ? "" : value.data();
  Bound(sqlite3_bind_text64(statement_, ++parameter_, data, value.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

SqliteRun& SqliteRun::TextOrNull(std::string_view value) {
  return value.empty() ? Null() : Text(value);
}

SqliteRun& SqliteRun::Blob(std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  Bound(sqlite3_bind_blob64(statement_, ++parameter_, data, value.size(),
                            SQLITE_STATIC));
  return *this;
}

void SqliteRun::Bound(int code) {
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

absl::StatusOr<bool> SqliteRun::Step() {
  if (bind_error_ != SQLITE_OK) {
    return SqliteError(bind_error_, "cannot bind a parameter");
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(code, "cannot run a statement");
}

bool SqliteRun::IsNullAt(int column) const {
  SLUICE_DCHECK(column >= 0 && column < sqlite3_data_count(statement_));
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int SqliteRun::TypeAt(int column) const {
  SLUICE_DCHECK(column >= 0 && column < sqlite3_data_count(statement_));
  return sqlite3_column_type(statement_, column);
}

std::int64_t SqliteRun::IntegerAt(int column) const {
  SLUICE_DCHECK(column >= 0 && column < sqlite3_data_count(statement_));
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteRun::TextAt(int column) const {
  SLUICE_DCHECK(column >= 0 && column < sqlite3_data_count(statement_));
  const unsigned char* text = sqlite3_column_text(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)};
}

std::string_view SqliteRun::BlobAt(int column) const {
  SLUICE_DCHECK(column >= 0 && column < sqlite3_data_count(statement_));
  const void* blob = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(blob), static_cast<std::size_t>(size)};
}

absl::StatusOr<SqliteConnection> SqliteConnection::Open(
    const std::string& path, absl::Duration busy_timeout) {
  return OpenWithFlags(path, busy_timeout, SQLITE_OPEN_CREATE);
}

absl::StatusOr<SqliteConnection> SqliteConnection::OpenExisting(
    const std::string& path, absl::Duration busy_timeout) {
  return OpenWithFlags(path, busy_timeout, 0);
}

absl::StatusOr<SqliteConnection> SqliteConnection::OpenWithFlags(
    const std::string& path, absl::Duration busy_timeout, int flags) {
  // Without SQLite's mutexes: callers have their own.
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, kFlags | flags, nullptr);
  SqliteConnection connection(db);  // SQLite sets `db` even after an error
  if (code != SQLITE_OK) return SqliteError(code, "cannot open the database");
  connection.SetBusyTimeout(busy_timeout);
  return connection;
}

void SqliteConnection::SetBusyTimeout(absl::Duration timeout) {
  sqlite3_busy_timeout(handle_.get(),
                       static_cast<int>(absl::ToInt64Milliseconds(timeout)));
}

void SqliteConnection::KeepLogOnClose(bool keep) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                    keep ? 1 : 0, nullptr);
}

void SqliteConnection::KeepFilesOnClose() {
  int keep = 1;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

absl::Status SqliteConnection::ForEachRow(
    std::string_view sql, absl::FunctionRef<bool(const SqliteRun&)> visit) {
  absl::StatusOr<SqliteStatement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  SqliteRun query(*statement);
  while (true) {
    const absl::StatusOr<bool> row = query.Step();
    if (!row.ok()) return row.status();
    if (!*row || !visit(query)) return absl::OkStatus();
  }
}

absl::Status SqliteConnection::Execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return absl::OkStatus();
  return SqliteError(code, "cannot run a statement");
}

absl::StatusOr<SqliteStatement> SqliteConnection::Prepare(
    std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(
      handle_.get(), sql.data(), static_cast<int>(sql.size()),
      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return SqliteError(code, "cannot prepare a statement");
  return SqliteStatement(statement);
}

template <typename Read>
auto SqliteConnection::Query(std::string_view sql, Read read)
    -> absl::StatusOr<decltype(read(std::declval<const SqliteRun&>()))> {
  absl::StatusOr<SqliteStatement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  SqliteRun query(*statement);
  const absl::StatusOr<bool> row = query.Step();
  if (!row.ok()) return row.status();
  if (!*row) {
    return absl::InternalError("a query that must have a row has none");
  }
  return read(query);
}

absl::StatusOr<std::int64_t> SqliteConnection::QueryInteger(
    std::string_view sql) {
  return Query(sql, [](const SqliteRun& row) { return row.IntegerAt(0); });
}

absl::StatusOr<std::string> SqliteConnection::QueryText(std::string_view sql) {
  return Query(sql,
               [](const SqliteRun& row) { return std::string(row.TextAt(0)); });
}

std::vector<std::string> SqliteConnection::Files() const {
  const char* database = sqlite3_db_filename(handle_.get(), "main");
  return {database, sqlite3_filename_wal(database),
          absl::StrCat(database, "-shm")};
}

absl::Status SqliteConnection::SyncDatabaseFile() {
  sqlite3_file* file = FileOf(handle_.get(), SQLITE_FCNTL_FILE_POINTER);
  const int code = file == nullptr
                       ? SQLITE_IOERR_FSYNC
                       : file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  return code == SQLITE_OK ? absl::OkStatus()
                           : SqliteError(code, "cannot sync");
}

bool SqliteConnection::LogWasCut() {
  sqlite3_file* const database =
      FileOf(handle_.get(), SQLITE_FCNTL_FILE_POINTER);
  sqlite3_file* const log = FileOf(handle_.get(), SQLITE_FCNTL_JOURNAL_POINTER);
  // Another program may empty the log properly between the two looks. The index
  // then says that less is committed.
  auto committed = CommittedLogBytes(database);
  while (committed.has_value() && log != nullptr) {
    sqlite3_int64 size = 0;
    if (log->pMethods->xFileSize(log, &size) != SQLITE_OK) return false;
    if (size >= *committed) return false;
    const auto again = CommittedLogBytes(database);
    if (again == committed) return true;
    committed = again;
  }
  return false;
}

void SqliteConnection::CutLog() {
  const absl::StatusOr<std::string> mode = QueryText("PRAGMA journal_mode");
  if (!mode.ok() || *mode != "wal") return;
  // Take the write lock first: without the lock the end of the log might move.
  // If another connection has the lock, its next commit overwrites the bytes to
  // be cut.
  SqliteTransaction alone(*this);
  if (!alone.Begin(SqliteTransaction::Mode::kWrite).ok()) return;
  const std::optional<sqlite3_int64> committed =
      CommittedLogBytes(FileOf(handle_.get(), SQLITE_FCNTL_FILE_POINTER));
  sqlite3_file* log = FileOf(handle_.get(), SQLITE_FCNTL_JOURNAL_POINTER);
  sqlite3_int64 size = 0;
  if (!committed || log == nullptr ||
      log->pMethods->xFileSize(log, &size) != SQLITE_OK || size <= *committed) {
    return;
  }
  // If the truncation fails too, the next commit overwrites the bytes.
  log->pMethods->xTruncate(log, *committed);
  log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

SqliteTransaction::~SqliteTransaction() {
  // Commit, and some errors, have already ended the transaction.
  if (connection_.in_transaction()) {
    connection_.Execute("ROLLBACK").IgnoreError();
  }
}

absl::Status SqliteTransaction::Begin(Mode mode) {
  SLUICE_DCHECK(!connection_.in_transaction());
  return connection_.Execute(mode == Mode::kWrite ? "BEGIN IMMEDIATE"
                                                  : "BEGIN");
}

absl::Status SqliteTransaction::Commit() {
  SLUICE_DCHECK(connection_.in_transaction());
  const absl::Status committed = connection_.Execute("COMMIT");
  // A COMMIT that found the database locked leaves the transaction open. End it
  // before CutLog, which takes the write lock again.
  if (!committed.ok() && connection_.in_transaction()) {
    connection_.Execute("ROLLBACK").IgnoreError();
  }
  if (!committed.ok()) connection_.CutLog();
  return committed;
}

}  // namespace sluice

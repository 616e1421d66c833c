#include "stores/sqlite_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/path.h"

namespace sluice {
namespace {

// Wait of a probe for another writer. Short, because batches wait for the
// probe.
constexpr absl::Duration kProbeBusyTimeout = absl::Milliseconds(100);

// Checks that the file belongs to this program and is not of a newer version.
// Must be called before anything in the file is changed.
absl::Status CheckOwner(std::int64_t application_id, std::int64_t version,
                        const SqliteFileKind& kind) {
  if (application_id != kind.application_id) {
    return absl::FailedPreconditionError(
        "the database belongs to another application");
  }
  if (version > kind.version) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", version,
        ", written by a newer version of this program, which knows versions up "
        "to ",
        kind.version));
  }
  return absl::OkStatus();
}

// Makes commits return only when they are on disk.
absl::Status MakeDurable(SqliteConnection& db) {
  // Large pages hold several submissions each. The size limit lets the log
  // shrink again if it grew while a long read kept it from being emptied.
  const absl::Status status = db.Execute(
      "PRAGMA page_size = 16384;"
      "PRAGMA synchronous = FULL;"
      "PRAGMA journal_size_limit = 67108864");
  if (!status.ok()) return status;
  const auto mode = db.QueryText("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  if (*mode != "wal") {
    return absl::FailedPreconditionError(
        "the file system does not support SQLite's write-ahead log");
  }
  db.KeepFilesOnClose();
  return absl::OkStatus();
}

absl::Status CreateSchema(SqliteConnection& db, const SqliteFileKind& kind) {
  SqliteTransaction transaction(db);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (status.ok()) status = db.Execute(kind.schema);
  if (status.ok()) {
    status =
        db.Execute(absl::StrCat("PRAGMA application_id = ", kind.application_id,
                                "; PRAGMA user_version = ", kind.version)
                       .c_str());
  }
  return status.ok() ? transaction.Commit() : status;
}

// The schema version of a SQLite file is its `PRAGMA user_version`.
class VersionedFile final : public VersionedDatabase {
 public:
  explicit VersionedFile(SqliteConnection& db)
      : db_(db), changes_before_(db.total_changes()) {}

  std::string Name() const override { return db_.path(); }
  std::int64_t rows_changed() const override {
    return db_.total_changes() - changes_before_;
  }

  absl::StatusOr<std::int64_t> Version() override {
    return db_.QueryInteger("PRAGMA user_version");
  }

  absl::StatusOr<bool> InTransaction(
      absl::FunctionRef<absl::StatusOr<bool>()> part,
      std::int64_t next_version) override {
    SqliteTransaction transaction(db_);
    absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
    if (!status.ok()) return status;
    const absl::StatusOr<bool> complete = part();
    if (!complete.ok()) return complete;
    if (*complete) {
      status = db_.Execute(
          absl::StrCat("PRAGMA user_version = ", next_version).c_str());
    }
    if (status.ok()) status = transaction.Commit();
    if (!status.ok()) return status;
    return *complete;
  }

 private:
  SqliteConnection& db_;
  const std::int64_t changes_before_;
};

// True if the file system of `path` is mounted read-only, perhaps since the
// file was opened. The kernel does so after an I/O error.
bool OnReadOnlyFileSystem(const std::string& path) {
  struct statvfs file_system {};
  return statvfs(path.c_str(), &file_system) == 0 &&
         (file_system.f_flag & ST_RDONLY) != 0;
}

absl::Status ReadOnly(const std::string& path, std::string_view why) {
  return absl::UnavailableError(absl::StrCat(
      path, " cannot be written: ", absl::string_view(why.data(), why.size())));
}

absl::Status Probe(SqliteConnection& db, bool writing) {
  if (db.read_only()) return ReadOnly(db.path(), "it was opened read-only");
  if (OnReadOnlyFileSystem(db.path())) {
    return ReadOnly(db.path(), "its file system is mounted read-only");
  }
  SqliteTransaction transaction(db);
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!begun.ok() || !writing) return begun;
  // The written pages become free afterwards, and the next writes reuse them.
  const absl::Status written = db.Execute(
      "CREATE TABLE write_probe AS SELECT zeroblob(65536);"
      "DROP TABLE write_probe");
  return written.ok() ? transaction.Commit() : written;
}

// A file with several names (hard links) has a write-ahead log and a lock for
// each name, so two processes could write to it at once and damage it.
absl::Status CheckOneName(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t names = std::filesystem::hard_link_count(path, error);
  if (error || names <= 1) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the file has ", names,
      " names (hard links), and another server could use it under another "
      "name; remove the other names"));
}

// Like the limit of Linux, which does not open a path with more symlinks.
constexpr int kSymlinksMax = 40;

// Takes the lock beside `path`. If `path` is a symlink, also takes the lock
// beside the file itself, so that a server that uses another path to the file
// has or needs the same lock.
absl::StatusOr<FileLock> LockByAllPaths(const std::filesystem::path& path) {
  const std::string beside = path.string() + kLockSuffix;
  absl::StatusOr<FileLock> lock = FileLock::Acquire(beside);
  if (!lock.ok()) return lock;
  std::error_code error;
  // A symlink may lead to a file that does not exist yet, which
  // weakly_canonical does not follow.
  std::filesystem::path target = path;
  for (int links = 0; links < kSymlinksMax; ++links) {
    if (!std::filesystem::is_symlink(target, error)) break;
    target =
        target.parent_path() / std::filesystem::read_symlink(target, error);
  }
  const auto real = std::filesystem::weakly_canonical(target, error);
  if (error) return SystemError(error.value(), "cannot resolve", path);
  const std::string beside_file = real.string() + kLockSuffix;
  // Two paths may lead to one lock file, for example if a directory is a
  // symlink. A second lock of this file would fail.
  if (std::filesystem::equivalent(beside, beside_file, error)) return lock;
  absl::StatusOr<FileLock> other = FileLock::Acquire(beside_file);
  if (!other.ok()) return other;
  lock->Add(*std::move(other));
  return lock;
}

}  // namespace

absl::StatusOr<ClaimedFile> ClaimSqliteFile(const std::string& path) {
  // The path must be absolute: SQLite reads a path such as `file:x?mode=memory`
  // as a URI.
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error) return absl::UnavailableError("cannot tell the working directory");
  const absl::Status directory = CreateDirectories(absolute.parent_path());
  if (!directory.ok()) return directory;
  const absl::Status linked = CheckOneName(absolute);
  if (!linked.ok()) return NamingFile(linked, path);
  absl::StatusOr<FileLock> lock = LockByAllPaths(absolute);
  if (!lock.ok()) return NamingFile(lock.status(), path);
  return ClaimedFile{absolute.string(), *std::move(lock)};
}

absl::Status CheckSqliteWritable(SqliteConnection& db) {
  for (const std::string& path : db.Files()) {
    if (OnReadOnlyFileSystem(path)) {
      return ReadOnly(path, "its file system is mounted read-only");
    }
    if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0 &&
        errno == EACCES) {
      return ReadOnly(path, "the user of this process has no right to");
    }
  }
  return db.read_only() ? ReadOnly(db.path(), "it was opened read-only")
                        : absl::OkStatus();
}

absl::StatusOr<std::int64_t> InspectSqliteFile(SqliteConnection& db,
                                               const SqliteFileKind& kind) {
  const auto objects = db.QueryInteger("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();
  const auto application_id = db.QueryInteger("PRAGMA application_id");
  if (!application_id.ok()) return application_id.status();
  const auto version = db.QueryInteger("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*objects == 0 && *application_id == 0 && *version == 0) {
    return kNewSqliteFile;
  }
  const absl::Status owner = CheckOwner(*application_id, *version, kind);
  if (!owner.ok()) return owner;
  return *version;
}

absl::Status PrepareSqliteFile(SqliteConnection& db, const SqliteFileKind& kind,
                               std::int64_t version,
                               absl::Span<const MigrationStep> steps) {
  absl::Status status = CheckSqliteWritable(db);
  if (status.ok()) status = MakeDurable(db);
  if (!status.ok()) return status;
  if (version == kNewSqliteFile) return CreateSchema(db, kind);
  VersionedFile file(db);
  return Migrate(file, steps);
}

absl::StatusOr<SqliteConnection> OpenSqliteFile(const std::string& path,
                                                absl::Duration busy_timeout,
                                                const SqliteFileKind& kind,
                                                SqliteSteps steps) {
  absl::StatusOr<SqliteConnection> db =
      SqliteConnection::Open(path, busy_timeout);
  if (!db.ok()) return db.status();
  const absl::StatusOr<std::int64_t> version = InspectSqliteFile(*db, kind);
  if (!version.ok()) return version.status();
  const absl::Status prepared =
      PrepareSqliteFile(*db, kind, *version, steps(*db));
  if (!prepared.ok()) return prepared;
  return db;
}

absl::Status ProbeSqliteFile(SqliteConnection& db, bool writing,
                             absl::Duration busy_timeout) {
  db.SetBusyTimeout(kProbeBusyTimeout);
  const absl::Status status = Probe(db, writing);
  db.SetBusyTimeout(busy_timeout);
  return status;
}

absl::StatusOr<SqliteFileWatch> SqliteFileWatch::Start(
    SqliteConnection& db, const std::vector<std::string>& more) {
  std::vector<std::string> paths = db.Files();
  auto database = OpenFiles::At({paths.front()});
  if (!database.ok()) return database.status();
  paths.insert(paths.end(), more.begin(), more.end());
  auto all = OpenFiles::At(paths);
  if (!all.ok()) return all.status();
  return SqliteFileWatch(*std::move(all), *std::move(database));
}

absl::Status SqliteFileWatch::Check(SqliteConnection& db) {
  absl::Status status = all_.Check();
  // Once a log was cut, it stays wrong although later writes make it longer.
  cut_ = cut_ || (status.ok() && db.LogWasCut());
  if (cut_) {
    db.KeepLogOnClose(true);
    failed_ = true;
    return absl::UnavailableError(absl::StrCat(
        db.Files().at(1),
        " was cut while the server runs, so its last commits are lost. Stop the"
        " server with SIGTERM and start it again: the start names what is"
        " missing"));
  }
  const bool first = !status.ok() && !failed_;
  failed_ = !status.ok();
  // If the copy fails, nothing is worse than before. A clean shutdown tries
  // once more.
  if (first && database_.Check().ok()) {
    db.Execute("PRAGMA wal_checkpoint(FULL)").IgnoreError();
  }
  return status;
}

absl::Status NamingFile(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

}  // namespace sluice

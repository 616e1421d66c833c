#include "stores/sqlite_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "stores/files.h"
#include "stores/sqlite.h"

namespace sluice {
namespace {

constexpr absl::Duration kCopyBusyTimeout = absl::Seconds(5);

// Size of a step, and the longest rest after it.
constexpr std::int64_t kStepBytes = std::int64_t{4} << 20;
constexpr absl::Duration kRestMax = absl::Milliseconds(100);

absl::Status CreatePrivateFile(const std::string& path) {
  const int descriptor = open(
      path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0 && errno == EEXIST) {
    return absl::FailedPreconditionError(absl::StrCat(path, " exists already"));
  }
  if (descriptor < 0) return SystemError(errno, "cannot create", path);
  close(descriptor);
  return absl::OkStatus();
}

absl::Status CheckRoom(const std::string& path, std::int64_t bytes) {
  std::error_code error;
  const std::filesystem::space_info space =
      std::filesystem::space(std::filesystem::path(path).parent_path(), error);
  if (error) return SystemError(error.value(), "cannot examine", path);
  if (space.available >= static_cast<std::uintmax_t>(bytes)) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("not enough room for ", path, ": the copy needs ", bytes,
                   " bytes, and ", space.available, " are free"));
}

struct Finisher {
  void operator()(sqlite3_backup* backup) const {
    sqlite3_backup_finish(backup);
  }
};

absl::Status CopyInSteps(SqliteConnection& from, SqliteConnection& to,
                         int step_pages, const CopyPace& pace) {
  const std::unique_ptr<sqlite3_backup, Finisher> backup =
      from.BeginCopyTo<Finisher>(to);
  if (backup == nullptr) {
    return absl::InternalError("SQLite cannot begin a copy");
  }
  for (;;) {
    const TimePoint begun = SystemClock()->Now();
    const int code = sqlite3_backup_step(backup.get(), step_pages);
    if (code == SQLITE_DONE) return absl::OkStatus();
    if (code != SQLITE_OK) return SqliteError(code, "cannot copy");
    // Sync each step. Otherwise one large sync at the end would delay the syncs
    // of the server's writers.
    const absl::Status synced = to.SyncDatabaseFile();
    if (!synced.ok()) return synced;
    if (!pace.go_on()) return absl::CancelledError("the copy was cancelled");
    pace.rest(
        std::min(absl::FromChrono(SystemClock()->Now() - begun), kRestMax));
  }
}

}  // namespace

absl::Status CopySqliteDatabase(const std::string& from, const std::string& to,
                                const CopyPace& pace) {
  absl::Status status = CreatePrivateFile(to);
  if (!status.ok()) return status;
  auto source = SqliteConnection::OpenExisting(from, kCopyBusyTimeout);
  if (!source.ok()) return source.status();
  source->KeepLogOnClose(true);
  auto copy = SqliteConnection::OpenExisting(to, kCopyBusyTimeout);
  if (!copy.ok()) return copy.status();
  // Hold one read transaction over all steps. Otherwise each commit of a writer
  // would make the copy begin again.
  SqliteTransaction snapshot(*source);
  status = snapshot.Begin(SqliteTransaction::Mode::kRead);
  if (!status.ok()) return status;
  const auto page_bytes = source->QueryInteger("PRAGMA page_size");
  if (!page_bytes.ok()) return page_bytes.status();
  const auto pages = source->QueryInteger("PRAGMA page_count");
  if (!pages.ok()) return pages.status();
  status = CheckRoom(to, *pages * *page_bytes);
  // A copy that a crash interrupts is thrown away, so it needs no journal.
  if (status.ok()) {
    status =
        copy->Execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
  }
  if (status.ok()) {
    status = CopyInSteps(*source, *copy,
                         static_cast<int>(kStepBytes / *page_bytes), pace);
  }
  if (status.ok()) status = copy->SyncDatabaseFile();
  return status;
}

}  // namespace sluice

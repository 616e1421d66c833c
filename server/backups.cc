#include "server/backups.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/path.h"
#include "spdlog/spdlog.h"
#include "stores/files.h"

namespace sluice {
namespace {

bool MayBeInName(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
         c == '_' || c == '-';
}

// Creates the directory of an incomplete backup.
absl::Status CreatePartial(const std::filesystem::path& partial) {
  if (mkdir(partial.c_str(), S_IRWXU) == 0) return absl::OkStatus();
  if (errno != EEXIST) return SystemError(errno, "cannot create", partial);
  return absl::AlreadyExistsError(absl::StrCat(
      partial.string(),
      " was left by a backup that did not end: remove it, or choose another "
      "name"));
}

// Gives a complete backup its name. Never replaces a backup, because a
// directory that is not empty cannot be replaced.
absl::Status Rename(const std::filesystem::path& partial,
                    const std::filesystem::path& complete) {
  const absl::Status synced = SyncDirectory(partial);
  if (!synced.ok()) return synced;
  if (rename(partial.c_str(), complete.c_str()) != 0) {
    return SystemError(errno, "cannot rename to", complete);
  }
  return SyncDirectory(complete.parent_path());
}

// Adds a file of the backup to its summary.
void Add(const std::filesystem::path& file, std::string key,
         BackupSummary& summary) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file, error);
  summary.files.push_back(
      {.name = file.filename().string(),
       .key = std::move(key),
       .bytes = error ? 0 : static_cast<std::int64_t>(bytes)});
}

}  // namespace

absl::Status CheckBackupName(const std::string& name) {
  if (!name.empty() && name.size() <= kBackupNameBytesMax &&
      std::ranges::all_of(name, MayBeInName) &&
      absl::ascii_isalnum(static_cast<unsigned char>(name.front()))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the name of a backup has 1 to ", kBackupNameBytesMax,
      " letters, digits, '.', '_' and '-', and begins with a letter or digit"));
}

Backups::Backups(std::string directory, const Pools* pools, Store* store)
    : directory_(std::move(directory)), pools_(*pools), store_(*store) {}

absl::StatusOr<BackupSummary> Backups::Make(const std::string& name,
                                            const CopyPace& pace) {
  if (directory_.empty()) {
    return absl::FailedPreconditionError(
        "the configuration has no directory for backups (backup.directory)");
  }
  absl::Status status = CheckBackupName(name);
  if (!status.ok()) return status;
  if (!one_at_a_time_.TryLock()) {
    return absl::ResourceExhaustedError("another backup is in progress");
  }
  const absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    one_at_a_time_.Unlock();
  };
  const std::filesystem::path directory = NormalPath(directory_);
  const std::filesystem::path complete = directory / name;
  // No name of a backup begins with a dot.
  const std::filesystem::path partial =
      directory / absl::StrCat(".", name, ".partial");
  std::error_code error;
  if (std::filesystem::exists(complete, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(complete.string(), " exists already"));
  }
  status = CreateDirectories(directory);
  if (status.ok()) status = CreatePartial(partial);
  if (!status.ok()) return status;

  const TimePoint begun = SystemClock()->Now();
  spdlog::info("backup begun: name={}", name);
  BackupSummary summary{.directory = complete.string(), .files = {}};
  status = CopyAll(partial, pace, summary);
  if (status.ok()) status = Rename(partial, complete);
  if (!status.ok()) {
    std::filesystem::remove_all(partial, error);
    spdlog::error("backup failed: name={} status={}", name, status.ToString());
    return status;
  }
  spdlog::info("backup complete: name={} files={} seconds={:.1f}", name,
               summary.files.size(), ToSeconds(SystemClock()->Now() - begun));
  return summary;
}

absl::Status Backups::CopyAll(const std::filesystem::path& to,
                              const CopyPace& pace, BackupSummary& summary) {
  // Copy the journals first. A submission moves from a journal to the store. If
  // it has left its journal before the copy of the journal, it is in the store
  // before the copy of the store. In the opposite order, a submission that
  // moves between the two copies would be in neither.
  for (const auto& [name, pool] : pools_.by_name()) {
    if (pool.journal == nullptr) continue;
    const std::filesystem::path file =
        to / absl::StrCat("journal-", name, ".db");
    const absl::Status status = pool.journal->Backup(file.string(), pace);
    if (!status.ok()) return status;
    Add(file, absl::StrCat("pools.", name, ".queue.path"), summary);
    Add(file.string() + kStateSuffix, "", summary);
  }
  const std::filesystem::path file = to / "store.db";
  const absl::Status status = store_.Backup(file.string(), pace);
  if (absl::IsUnimplemented(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  Add(file, "store.path", summary);
  summary.has_store = true;
  return absl::OkStatus();
}

}  // namespace sluice

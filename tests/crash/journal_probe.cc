#include "tests/crash/journal_probe.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "stores/sqlite.h"
#include "stores/sqlite_schema.h"

namespace sluice {
namespace {

// Copies a database and its write-ahead log. Returns false if there is no
// database.
absl::StatusOr<bool> CopyDatabase(const std::string& from,
                                  const std::string& to) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(to + suffix);
  }
  if (!std::filesystem::exists(from)) return false;
  for (const char* suffix : {"", "-wal", "-journal"}) {
    if (!std::filesystem::exists(from + suffix)) continue;
    std::error_code error;
    std::filesystem::copy_file(from + suffix, to + suffix, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot copy ", from, ": ", error.message()));
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<JournalLeft> ProbeJournal(const std::string& path,
                                         const std::string& scratch,
                                         std::int64_t old_position) {
  const absl::StatusOr<bool> copied = CopyDatabase(path, scratch);
  if (!copied.ok()) return copied.status();
  if (!*copied) return JournalLeft();
  auto db = OpenSqliteForReading(scratch, absl::Seconds(1));
  if (!db.ok()) return db.status();
  const auto tables = db->QueryInteger(
      "SELECT count(*) FROM sqlite_schema WHERE name = 'entries'");
  if (!tables.ok()) return tables.status();
  if (*tables == 0) return JournalLeft();

  auto query = db->Prepare(
      "SELECT count(*), ifnull(max(position), 0),"
      " count(*) FILTER (WHERE position <= ?) FROM entries");
  if (!query.ok()) return query.status();
  SqliteRun run(*query);
  run.Integer(old_position);
  const auto row = run.Step();
  if (!row.ok()) return row.status();
  return JournalLeft{.entries = run.IntegerAt(0),
                     .last_position = run.IntegerAt(1),
                     .old_entries = run.IntegerAt(2)};
}

}  // namespace sluice

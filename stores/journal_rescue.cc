#include "stores/journal_rescue.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "stores/files.h"
#include "stores/journal_check.h"
#include "stores/journal_discarded.h"
#include "stores/journal_file.h"
#include "stores/journal_migration.h"
#include "stores/journal_rows.h"
#include "stores/sqlite.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

// Suffixes of the copy: while it is being made, and after it is complete.
constexpr char kUnfinished[] = ".rescuing";
constexpr char kFinished[] = ".rescued";

constexpr absl::Duration kBusyTimeout = absl::Seconds(5);
// Number of rows that one transaction copies.
constexpr std::size_t kPartRows = 256;

// Names of the tables in all versions of the file.
constexpr const char* kEntryTables[] = {"entries", "entries_v1"};
constexpr const char* kQuarantineTables[] = {"quarantine", "quarantine_v1"};

// Columns of a table in one version. Try the newest version first. Its tables
// also have all columns of version 1, and rows that are read as version 1 are
// not verified against their row hashes.
struct RowKind {
  RowVersion version;
  const char* columns;
};
const RowKind kEntryRows[] = {{RowVersion::kNewest, kEntryColumns},
                              {RowVersion::kVersion1, kEntryColumnsOfVersion1}};
const RowKind kQuarantineRows[] = {
    {RowVersion::kNewest, kQuarantineColumns},
    {RowVersion::kVersion1, kQuarantineColumnsOfVersion1}};

class Rescue {
 public:
  Rescue(SqliteConnection& from, SqliteConnection& to,
         const KnownJournalState& known, std::optional<std::int64_t> series,
         absl::Time now)
      : from_(from), to_(to), known_(known), series_(series), now_(now) {}

  absl::Status Run();

 private:
  // Copies the rows of a table. `copy` inserts the current row. Returns false
  // if the file does not have the table with these columns.
  template <typename Copy>
  absl::StatusOr<bool> CopyRows(const std::string& table,
                                const std::string& key,
                                const std::string& columns, Copy copy);
  absl::Status CopyEntry(const SqliteRun& row, RowVersion version);
  absl::Status CopyQuarantined(const SqliteRun& row, RowVersion version);
  // Raises the last position and the last sequence number to those of `state`.
  void RememberLast(const JournalState& state);

  SqliteConnection& from_;
  SqliteConnection& to_;
  const KnownJournalState& known_;
  const std::optional<std::int64_t> series_;
  const absl::Time now_;
  JournalState state_{.id = NewJournalId()};
};

absl::Status Rescue::Run() {
  if (known_.state) RememberLast(*known_.state);
  if (const auto in_file = ReadJournalState(from_, {}); in_file.ok()) {
    RememberLast(*in_file);
  }
  // Copy the quarantine first. Otherwise a damaged entry, which is quarantined,
  // could take the sequence number of a submission in quarantine.
  for (const char* table : kQuarantineTables) {
    for (const auto& [version, columns] : kQuarantineRows) {
      const absl::StatusOr<bool> copied =
          CopyRows(table, "sequence", absl::StrCat(columns, ", content"),
                   [&, v = version](const SqliteRun& row) {
                     return CopyQuarantined(row, v);
                   });
      if (!copied.ok()) return copied.status();
      if (*copied) break;
    }
  }
  for (const char* table : kEntryTables) {
    for (const auto& [version, columns] : kEntryRows) {
      const absl::StatusOr<bool> copied = CopyRows(
          table, "position", columns,
          [&, v = version](const SqliteRun& row) { return CopyEntry(row, v); });
      if (!copied.ok()) return copied.status();
      if (*copied) break;
    }
  }
  // A file of an older version does not have this table.
  const absl::StatusOr<bool> copied =
      CopyRows("discarded", "number", kDiscardedColumns, [&](const auto& row) {
        return InsertDiscarded(to_, ReadDiscarded(row));
      });
  if (!copied.ok()) return copied.status();
  SqliteTransaction transaction(to_);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (status.ok()) status = WriteJournalState(to_, state_);
  return status.ok() ? transaction.Commit() : status;
}

template <typename Copy>
absl::StatusOr<bool> Rescue::CopyRows(const std::string& table,
                                      const std::string& key,
                                      const std::string& columns, Copy copy) {
  auto select = from_.Prepare(absl::StrCat("SELECT ", columns, " FROM ", table,
                                           " WHERE ", key, " = ?"));
  if (!select.ok()) return false;
  const std::vector<std::int64_t> keys = ReachableKeys(from_, table, key);
  for (std::size_t first = 0; first < keys.size(); first += kPartRows) {
    SqliteTransaction transaction(to_);
    absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
    const std::size_t end = std::min(first + kPartRows, keys.size());
    for (std::size_t i = first; status.ok() && i < end; ++i) {
      SqliteRun read(*select);
      const absl::StatusOr<bool> row = read.Integer(keys[i]).Step();
      // Skip a row that cannot be read.
      if (row.ok() && *row) status = copy(read);
    }
    if (status.ok()) status = transaction.Commit();
    if (!status.ok()) return status;
  }
  return true;
}

// Counts a row that was copied. Ignores INTERNAL: a row whose key is already
// taken, because the damaged file has the key twice, is left out.
absl::Status Counted(const absl::Status& copied, std::int64_t& count) {
  if (copied.ok()) ++count;
  return absl::IsInternal(copied) ? absl::OkStatus() : copied;
}

absl::Status Rescue::CopyEntry(const SqliteRun& row, RowVersion version) {
  EntryRow read = ReadEntry(row, version);
  if (!read.damage.empty()) {
    return Counted(
        QuarantineDamaged(to_, std::move(read), state_.last_sequence, now_),
        state_.quarantined);
  }
  state_.last_position = std::max(state_.last_position, read.entry.position);
  CountSequence(read.entry.submission.sequence, series_, state_);
  auto insert = to_.Prepare(kInsertEntry);
  if (!insert.ok()) return insert.status();
  const JournalEntry& entry = read.entry;
  const Sha256Digest row_hash =
      RowHash(entry.position, entry.method, entry.submission);
  return Counted(InsertEntry(*insert, entry.method, entry.submission,
                             entry.position, row_hash, /*state=*/""),
                 state_.entries);
}

absl::Status Rescue::CopyQuarantined(const SqliteRun& row, RowVersion version) {
  const Quarantined read = ReadQuarantined(row, /*with_content=*/true, version);
  if (read.damaged) {
    return Counted(QuarantineAgainAsDamaged(to_, read), state_.quarantined);
  }
  CountSequence(read.submission.sequence, series_, state_);
  const absl::StatusOr<bool> added =
      InsertQuarantined(to_, read, /*damaged_at=*/0);
  if (!added.ok()) return added.status();
  if (*added) ++state_.quarantined;
  return absl::OkStatus();
}

void Rescue::RememberLast(const JournalState& state) {
  state_.last_position = std::max(state_.last_position, state.last_position);
  state_.last_sequence = std::max(state_.last_sequence, state.last_sequence);
}

// Extends a file that was cut to the size that its header states. SQLite would
// refuse the whole file otherwise, but can read the pages that are left. A file
// without a plausible header stays as it is.
// https://www.sqlite.org/fileformat.html, "The Database Header"
void ExtendToStatedSize(const std::string& path) {
  constexpr char kMagic[] = "SQLite format 3";  // with the final zero
  constexpr std::size_t kHeaderBytes = 100;
  constexpr std::size_t kPageSizeAt = 16;
  constexpr std::size_t kPageCountAt = 28;
  constexpr std::uint64_t kStatedMax = std::uint64_t{1} << 40;
  std::array<unsigned char, kHeaderBytes> header{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(header.data()), header.size())) return;
  const auto number = [&header](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | header[at + i];
    return value;
  };
  if (std::memcmp(header.data(), kMagic, sizeof(kMagic)) != 0) return;
  const std::uint64_t page_size = number(kPageSizeAt, 2);
  const std::uint64_t stated =
      (page_size == 1 ? 65536 : page_size) * number(kPageCountAt, 4);
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size >= stated || stated > kStatedMax) return;
  std::filesystem::resize_file(path, stated, error);
}

absl::Status CopyToNewJournal(const std::string& path,
                              const std::string& to_path,
                              const KnownJournalState& known,
                              std::optional<std::int64_t> series,
                              absl::Time now) {
  auto to = CreateJournalFile(to_path, kBusyTimeout);
  if (!to.ok()) return to.status();
  // SQLite would create a missing file. Use an empty database in memory
  // instead.
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  if (exists) ExtendToStatedSize(path);
  auto from = SqliteConnection::Open(exists ? path : ":memory:", kBusyTimeout);
  if (!from.ok()) return from.status();
  from->KeepLogOnClose(true);
  return Rescue(*from, *to, known, series, now).Run();
}

void RemoveDatabase(const std::string& path) {
  std::error_code error;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(path + suffix, error);
  }
}

// Renames a file. Does nothing if the file does not exist.
absl::Status Rename(const std::string& from, const std::string& to) {
  std::error_code error;
  if (!std::filesystem::exists(from, error)) return absl::OkStatus();
  std::filesystem::rename(from, to, error);
  if (error) return SystemError(error.value(), "cannot rename", from);
  return absl::OkStatus();
}

}  // namespace

absl::Status RescueJournal(const std::string& path,
                           const KnownJournalState& known,
                           std::optional<std::int64_t> series, absl::Time now) {
  const std::string unfinished = path + kUnfinished;
  const std::string finished = path + kFinished;
  std::error_code error;
  if (!std::filesystem::exists(finished, error)) {
    RemoveDatabase(unfinished);
    const absl::Status copied =
        CopyToNewJournal(path, unfinished, known, series, now);
    if (!copied.ok()) return copied;
    const absl::Status renamed = Rename(unfinished, finished);
    if (!renamed.ok()) return renamed;
  }
  // From here on the finished copy exists, so a second call after a crash
  // continues here. The order of the renames matters:
  // - Move the write-ahead log first. Otherwise SQLite could apply the old log
  //   to the new file.
  // - Move the state file last. While the state file exists, a start does not
  //   take a missing file for a new journal.
  const std::string aside = absl::StrCat(
      path, ".damaged-",
      absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
  std::filesystem::remove(path + "-shm", error);
  absl::Status status = Rename(path + "-wal", aside + "-wal");
  if (status.ok()) status = Rename(path, aside);
  if (status.ok()) status = Rename(finished, path);
  if (status.ok()) {
    status = Rename(JournalStatePath(path), JournalStatePath(aside));
  }
  if (!status.ok()) return status;
  return SyncDirectory(std::filesystem::path(path).parent_path());
}

void DropUnfinishedRescue(const std::string& path) {
  RemoveDatabase(path + kUnfinished);
  RemoveDatabase(path + kFinished);
}

}  // namespace sluice

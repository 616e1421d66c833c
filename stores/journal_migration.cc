#include "stores/journal_migration.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "stores/journal_discarded.h"
#include "stores/journal_rows.h"

namespace sluice {
namespace {

// Limits for the rows that one transaction moves.
constexpr std::size_t kPartRows = 256;
constexpr std::size_t kPartBytes = std::size_t{4} << 20;

absl::Status RunWithBlob(SqliteConnection& db, std::string_view sql,
                         std::string_view blob) {
  auto statement = db.Prepare(sql);
  if (!statement.ok()) return statement.status();
  return SqliteRun(*statement).Blob(blob).Step().status();
}

absl::StatusOr<bool> ReplaceTables(SqliteConnection& db) {
  JournalState state{.id = NewJournalId()};
  const auto last_position = db.QueryInteger(
      "SELECT max(last, ifnull((SELECT max(position) FROM entries), 0))"
      " FROM positions");
  if (!last_position.ok()) return last_position.status();
  const auto last_sequence = db.QueryInteger(
      "SELECT max(ifnull((SELECT max(sequence) FROM entries), 0),"
      " ifnull((SELECT max(sequence) FROM quarantine), 0))");
  if (!last_sequence.ok()) return last_sequence.status();
  state.last_position = *last_position;
  state.last_sequence = *last_sequence;
  absl::Status status = db.Execute(
      "ALTER TABLE entries RENAME TO entries_v1;"
      "ALTER TABLE quarantine RENAME TO quarantine_v1;"
      "DROP TABLE positions;");
  if (status.ok()) status = db.Execute(kJournalSchema);
  if (status.ok()) status = InsertJournalState(db, state);
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<JournalState> ReadState(SqliteConnection& db) {
  std::optional<JournalState> state;
  const absl::Status read =
      db.ForEachRow("SELECT state FROM journal_state", [&](const auto& row) {
        state = DecodeJournalState(row.BlobAt(0));
        return false;
      });
  if (!read.ok()) return read;
  if (state) return *state;
  return absl::DataLossError("the state of the migration cannot be read");
}

// Moves the next rows of quarantine_v1. Returns false if the table is empty.
absl::StatusOr<bool> MoveQuarantined(SqliteConnection& db,
                                     JournalState& state) {
  std::vector<Quarantined> part;
  std::size_t bytes = 0;
  absl::Status status = db.ForEachRow(
      absl::StrCat("SELECT ", kQuarantineColumnsOfVersion1,
                   ", content FROM quarantine_v1 ORDER BY sequence"),
      [&](const SqliteRun& row) {
        part.push_back(
            ReadQuarantined(row, /*with_content=*/true, RowVersion::kVersion1));
        bytes += part.back().submission.content.size();
        return part.size() < kPartRows && bytes < kPartBytes;
      });
  if (!status.ok()) return status;
  if (part.empty()) return false;
  for (const Quarantined& quarantined : part) {
    if (quarantined.damaged) {
      status = QuarantineAgainAsDamaged(db, quarantined);
    } else {
      status = InsertQuarantined(db, quarantined, /*damaged_at=*/0).status();
    }
    if (!status.ok()) return status;
    ++state.quarantined;
  }
  status =
      db.Execute(absl::StrCat("DELETE FROM quarantine_v1 WHERE sequence <= ",
                              part.back().submission.sequence)
                     .c_str());
  if (!status.ok()) return status;
  return true;
}

// Moves the next rows of entries_v1. Returns false if the table is empty.
absl::StatusOr<bool> MoveEntries(SqliteConnection& db, JournalState& state) {
  std::vector<EntryRow> part;
  std::size_t bytes = 0;
  absl::Status status =
      db.ForEachRow(absl::StrCat("SELECT ", kEntryColumnsOfVersion1,
                                 " FROM entries_v1 ORDER BY position"),
                    [&](const SqliteRun& row) {
                      part.push_back(ReadEntry(row, RowVersion::kVersion1));
                      bytes += part.back().entry.submission.content.size();
                      return part.size() < kPartRows && bytes < kPartBytes;
                    });
  if (!status.ok()) return status;
  if (part.empty()) return false;
  auto insert = db.Prepare(kInsertEntry);
  if (!insert.ok()) return insert.status();
  const std::int64_t last = part.back().entry.position;
  for (EntryRow& row : part) {
    if (row.damage.empty()) {
      const JournalEntry& entry = row.entry;
      const Sha256Digest row_hash =
          RowHash(entry.position, entry.method, entry.submission);
      status = InsertEntry(*insert, entry.method, entry.submission,
                           entry.position, row_hash, /*state=*/"");
      state.chain = NextChain(state.chain, row_hash);
      ++state.entries;
    } else {
      status = QuarantineDamaged(db, std::move(row), state.last_sequence,
                                 absl::Now());
      ++state.quarantined;
    }
    if (!status.ok()) return status;
  }
  status = db.Execute(
      absl::StrCat("DELETE FROM entries_v1 WHERE position <= ", last).c_str());
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<bool> MoveRows(SqliteConnection& db) {
  absl::StatusOr<JournalState> state = ReadState(db);
  if (!state.ok()) return state.status();
  // Move the quarantine first. Otherwise a damaged entry, which is quarantined,
  // could take the sequence number of a submission in quarantine.
  absl::StatusOr<bool> moved = MoveQuarantined(db, *state);
  if (moved.ok() && !*moved) moved = MoveEntries(db, *state);
  if (!moved.ok()) return moved.status();
  absl::Status status = WriteJournalState(db, *state);
  if (status.ok() && !*moved) {
    status = db.Execute("DROP TABLE quarantine_v1; DROP TABLE entries_v1;");
  }
  if (!status.ok()) return status;
  return !*moved;
}

absl::StatusOr<bool> AddDiscarded(SqliteConnection& db) {
  const absl::Status status = db.Execute(kDiscardedSchema);
  if (!status.ok()) return status;
  return true;
}

}  // namespace

std::vector<MigrationStep> JournalMigration(SqliteConnection& db) {
  return {{.from_version = 1, .run = [&db] { return ReplaceTables(db); }},
          {.from_version = 2, .run = [&db] { return MoveRows(db); }},
          {.from_version = 3, .run = [&db] { return AddDiscarded(db); }}};
}

absl::Status WriteJournalState(SqliteConnection& db,
                               const JournalState& state) {
  SLUICE_DCHECK(db.in_transaction());
  return RunWithBlob(db, "UPDATE journal_state SET state = ?",
                     EncodeJournalState(state));
}

absl::Status InsertJournalState(SqliteConnection& db,
                                const JournalState& state) {
  return RunWithBlob(db, "INSERT INTO journal_state VALUES (?)",
                     EncodeJournalState(state));
}

}  // namespace sluice

#include "stores/sqlite_registry.h"

#include <string>

#include "stores/sqlite_values.h"

namespace sluice {
namespace {

constexpr std::string_view kFindJournals =
    "SELECT id, server, pool, host, path FROM journals"
    " WHERE retired_at IS NULL ORDER BY id";
constexpr std::string_view kRegister =
    "INSERT INTO journals (id, server, pool, host, path)"
    " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " server = excluded.server, pool = excluded.pool, host = excluded.host,"
    " path = excluded.path, retired_at = NULL, retired_because = NULL";
constexpr std::string_view kRetire =
    "UPDATE journals SET retired_at = ?2, retired_because = ?3"
    " WHERE id = ?1 AND retired_at IS NULL";
constexpr std::string_view kFindReserved =
    "SELECT ifnull(max(reserved), 0) FROM servers WHERE number = 0";
constexpr std::string_view kReserve =
    "INSERT INTO servers (number, reserved) VALUES (0, ?)"
    " ON CONFLICT (number) DO UPDATE SET reserved = excluded.reserved"
    " WHERE excluded.reserved > reserved";

}  // namespace

absl::StatusOr<std::vector<RegisteredJournal>> SqliteRegistry::Journals() {
  std::vector<RegisteredJournal> journals;
  const absl::Status status = read_([&](SqliteConnection& db) {
    return db.ForEachRow(kFindJournals, [&](const SqliteRun& row) {
      journals.push_back({.id = std::string(row.TextAt(0)),
                          .server = row.IntegerAt(1),
                          .pool = std::string(row.TextAt(2)),
                          .host = std::string(row.TextAt(3)),
                          .path = std::string(row.TextAt(4))});
      return true;
    });
  });
  if (!status.ok()) return status;
  return journals;
}

absl::Status SqliteRegistry::Register(
    absl::Span<const RegisteredJournal> journals) {
  if (journals.empty()) return absl::OkStatus();
  return write_([&](SqliteConnection& db) {
    absl::StatusOr<SqliteStatement> statement = db.Prepare(kRegister);
    if (!statement.ok()) return statement.status();
    for (const RegisteredJournal& journal : journals) {
      const absl::Status status = SqliteRun(*statement)
                                      .Text(journal.id)
                                      .Integer(journal.server)
                                      .Text(journal.pool)
                                      .Text(journal.host)
                                      .Text(journal.path)
                                      .Step()
                                      .status();
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  });
}

absl::Status SqliteRegistry::Retire(std::string_view id,
                                    std::string_view reason, absl::Time now) {
  const std::string retired_at = TimeText(now);
  return write_([&](SqliteConnection& db) {
    absl::StatusOr<SqliteStatement> statement = db.Prepare(kRetire);
    if (!statement.ok()) return statement.status();
    return SqliteRun(*statement)
        .Text(id)
        .Text(retired_at)
        .Text(reason)
        .Step()
        .status();
  });
}

absl::StatusOr<std::int64_t> SqliteRegistry::Reserved() {
  absl::StatusOr<std::int64_t> reserved;
  const absl::Status status = read_([&](SqliteConnection& db) {
    reserved = db.QueryInteger(kFindReserved);
    return reserved.status();
  });
  if (!status.ok()) return status;
  return reserved;
}

absl::Status SqliteRegistry::Reserve(std::int64_t sequence) {
  return write_([&](SqliteConnection& db) {
    absl::StatusOr<SqliteStatement> statement = db.Prepare(kReserve);
    if (!statement.ok()) return statement.status();
    return SqliteRun(*statement).Integer(sequence).Step().status();
  });
}

}  // namespace sluice

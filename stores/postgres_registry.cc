#include "stores/postgres_registry.h"

#include <algorithm>
#include <string>

namespace sluice {
namespace {

constexpr char kFindJournals[] =
    "SELECT id, server, pool, host, path FROM journals"
    " WHERE retired_at IS NULL ORDER BY id";
constexpr char kRegister[] =
    "INSERT INTO journals (id, server, pool, host, path)"
    " VALUES ($1::text, $2::bigint, $3::text, $4::text, $5::text)"
    " ON CONFLICT (id) DO UPDATE SET"
    " server = excluded.server, pool = excluded.pool, host = excluded.host,"
    " path = excluded.path, retired_at = NULL, retired_because = NULL";
constexpr char kRetire[] =
    "UPDATE journals SET retired_at = $2::timestamptz,"
    " retired_because = $3::text WHERE id = $1::text AND retired_at IS NULL";
constexpr char kFindReserved[] =
    "SELECT reserved FROM servers WHERE number = $1::bigint";
constexpr char kReserve[] =
    "INSERT INTO servers (number, reserved) VALUES ($1::bigint, $2::bigint)"
    " ON CONFLICT (number) DO UPDATE SET reserved = excluded.reserved"
    " WHERE excluded.reserved > servers.reserved";

}  // namespace

absl::StatusOr<std::vector<RegisteredJournal>> PostgresRegistry::Journals() {
  std::vector<RegisteredJournal> journals;
  const absl::Status status = read_([&](PostgresConnection& db) {
    journals.clear();
    const auto found = db.Query(kFindJournals);
    if (!found.ok()) return found.status();
    for (int row = 0; row < found->rows(); ++row) {
      journals.push_back({.id = std::string(found->BytesAt(row, 0)),
                          .server = found->IntegerAt(row, 1),
                          .pool = std::string(found->BytesAt(row, 2)),
                          .host = std::string(found->BytesAt(row, 3)),
                          .path = std::string(found->BytesAt(row, 4))});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return journals;
}

absl::Status PostgresRegistry::Register(
    absl::Span<const RegisteredJournal> journals) {
  if (journals.empty()) return absl::OkStatus();
  // Servers that register the same journals at the same time lock the rows in
  // this order, so that they do not deadlock.
  std::vector<RegisteredJournal> sorted(journals.begin(), journals.end());
  std::ranges::stable_sort(sorted, {}, &RegisteredJournal::id);
  return write_([&](PostgresConnection& db) {
    for (const RegisteredJournal& journal : sorted) {
      db.SendQuery(kRegister, {journal.id, PostgresBigint(journal.server),
                               journal.pool, journal.host, journal.path});
    }
    return absl::OkStatus();
  });
}

absl::Status PostgresRegistry::Retire(std::string_view id,
                                      std::string_view reason, absl::Time now) {
  return write_([&](PostgresConnection& db) {
    db.SendQuery(kRetire, {std::string(id), PostgresTimestamp(now),
                           std::string(reason)});
    return absl::OkStatus();
  });
}

absl::StatusOr<std::int64_t> PostgresRegistry::Reserved() {
  std::int64_t reserved = 0;
  const absl::Status status = read_([&](PostgresConnection& db) {
    const auto found = db.Query(kFindReserved, {PostgresBigint(server_)});
    if (!found.ok()) return found.status();
    if (found->rows() > 0) reserved = found->IntegerAt(0, 0);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return reserved;
}

absl::Status PostgresRegistry::Reserve(std::int64_t sequence) {
  return write_([&](PostgresConnection& db) {
    db.SendQuery(kReserve, {PostgresBigint(server_), PostgresBigint(sequence)});
    return absl::OkStatus();
  });
}

}  // namespace sluice

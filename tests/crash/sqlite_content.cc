#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/sha256.h"
#include "stores/sqlite.h"
#include "stores/sqlite_schema.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/content_values.h"

namespace sluice {
namespace {

constexpr absl::Duration kBusyTimeout = absl::Seconds(10);

// Selects the columns that stores and journals have in common.
constexpr char kSelect[] =
    "SELECT study_id, submission_id, kind, sequence, received_at,"
    " content_sha256, content FROM ";
constexpr char kSelectConflicts[] =
    "SELECT study_id, submission_id, content_sha256, sequence, content"
    " FROM conflicts";
// Numbers that are connected with a stored submission, directly or through a
// gap.
constexpr char kSelectGaps[] =
    "SELECT study_id, submission_id, g.sequence"
    " FROM submissions s JOIN gaps g ON g.first_sequence = s.sequence";
constexpr char kSelectRenumbered[] =
    "SELECT study_id, submission_id, r.reported_sequence"
    " FROM renumbered r LEFT JOIN gaps g ON g.sequence = r.sequence"
    " JOIN submissions s"
    " ON s.sequence = coalesce(g.first_sequence, r.sequence)";
constexpr char kOfKey[] = " WHERE submission_id = ? AND study_id = ?";

absl::StatusOr<absl::Time> ReadTime(const SqliteRun& row, int column,
                                    bool in_quarantine) {
  if (in_quarantine) return absl::FromUnixMicros(row.IntegerAt(column));
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, std::string(row.TextAt(column)),
                       &time, nullptr)) {
    return absl::DataLossError("a time is malformed");
  }
  return time;
}

// Reads the columns of kSelect.
absl::StatusOr<Found> ReadFound(const SqliteRun& row, bool in_quarantine) {
  const auto kind = ReadKind(row.TextAt(2));
  if (!kind.ok()) return kind.status();
  const auto received_at = ReadTime(row, 4, in_quarantine);
  if (!received_at.ok()) return received_at.status();
  const auto noted_sha256 = ReadDigest(row.BlobAt(5));
  if (!noted_sha256.ok()) return noted_sha256.status();
  return Found{.in_quarantine = in_quarantine,
               .kind = *kind,
               .sequence = row.IntegerAt(3),
               .received_at = *received_at,
               .noted_sha256 = *noted_sha256,
               .content_sha256 = Sha256(row.BlobAt(6))};
}

LedgerKey ReadKey(const SqliteRun& row) {
  return {.study_id = std::string(row.TextAt(0)),
          .submission_id = std::string(row.TextAt(1))};
}

class SqliteContent final : public ContentReader {
 public:
  // `quarantine` is false for a store's file, true for a journal's file.
  SqliteContent(SqliteConnection db, bool quarantine)
      : db_(std::move(db)), quarantine_(quarantine) {}

  absl::Status ReadAll(FindingsByKey& findings) override {
    return ReadWhere("", nullptr, findings);
  }

  absl::Status Read(const LedgerKey& key, Findings& findings) override {
    FindingsByKey of_key;
    const absl::Status status = ReadWhere(kOfKey, &key, of_key);
    const Findings& found = of_key[key];
    std::ranges::copy(found.submissions,
                      std::back_inserter(findings.submissions));
    std::ranges::copy(found.conflicts, std::back_inserter(findings.conflicts));
    std::ranges::copy(found.other_sequences,
                      std::back_inserter(findings.other_sequences));
    return status;
  }

 private:
  absl::Status ReadWhere(const char* where, const LedgerKey* key,
                         FindingsByKey& findings) {
    absl::Status status = ForEachRow(
        absl::StrCat(kSelect, quarantine_ ? "quarantine" : "submissions",
                     where),
        key, [&](const SqliteRun& row) {
          const auto found = ReadFound(row, quarantine_);
          if (found.ok()) findings[ReadKey(row)].submissions.push_back(*found);
          return found.status();
        });
    if (!status.ok() || quarantine_) return status;
    for (const char* const select : {kSelectGaps, kSelectRenumbered}) {
      status = ForEachRow(
          absl::StrCat(select, where), key, [&](const SqliteRun& row) {
            findings[ReadKey(row)].other_sequences.push_back(row.IntegerAt(2));
            return absl::OkStatus();
          });
      if (!status.ok()) return status;
    }
    return ForEachRow(
        absl::StrCat(kSelectConflicts, where), key, [&](const SqliteRun& row) {
          const auto sha256 = ReadDigest(row.BlobAt(2));
          if (!sha256.ok()) return sha256.status();
          FoundConflict conflict = {.sequence = row.IntegerAt(3),
                                    .noted_sha256 = *sha256,
                                    .content_sha256 = std::nullopt};
          if (!row.IsNullAt(4)) {
            conflict.content_sha256 = Sha256(row.BlobAt(4));
          }
          findings[ReadKey(row)].conflicts.push_back(conflict);
          return absl::OkStatus();
        });
  }

  template <typename Visit>
  absl::Status ForEachRow(const std::string& sql, const LedgerKey* key,
                          Visit visit) {
    auto statement = db_.Prepare(sql);
    if (!statement.ok()) return statement.status();
    SqliteRun run(*statement);
    if (key != nullptr) run.Text(key->submission_id).Text(key->study_id);
    for (;;) {
      const auto row = run.Step();
      if (!row.ok() || !*row) return row.status();
      const absl::Status visited = visit(run);
      if (!visited.ok()) return visited;
    }
  }

  SqliteConnection db_;
  const bool quarantine_;
};

absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent(
    const std::string& path, bool quarantine) {
  // SQLite would create a missing file.
  if (!std::filesystem::exists(path)) {
    return absl::UnavailableError(absl::StrCat(path, " does not exist"));
  }
  auto db = OpenSqliteForReading(path, kBusyTimeout);
  if (!db.ok()) return db.status();
  return std::make_unique<SqliteContent>(*std::move(db), quarantine);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContentReader>> OpenSqliteContent(
    const std::string& path) {
  return OpenContent(path, /*quarantine=*/false);
}

absl::StatusOr<std::unique_ptr<ContentReader>> OpenQuarantineContent(
    const std::string& path) {
  return OpenContent(path, /*quarantine=*/true);
}

}  // namespace sluice

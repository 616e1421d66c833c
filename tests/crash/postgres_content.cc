#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/time.h"
#include "stores/postgres.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/content_values.h"

namespace sluice {
namespace {

// Returns the time by which an operation that begins now must have ended.
TimePoint Deadline() { return SystemClock()->Now() + std::chrono::seconds(60); }

// Tables are read in pages, so that they need not fit into memory.
constexpr int kPageRows = 500;

// Reads a page, which begins after the last value of the first column.
constexpr char kSelect[] =
    "SELECT sequence, study_id, submission_id, content_sha256, kind,"
    " received_at, content FROM submissions";
constexpr char kSelectConflicts[] =
    "SELECT conflict, study_id, submission_id, content_sha256, sequence,"
    " content FROM conflicts";
// Numbers that are connected with a stored submission, directly or through a
// gap.
constexpr char kSelectGaps[] =
    "SELECT g.sequence, study_id, submission_id, g.sequence"
    " FROM submissions s JOIN gaps g ON g.first_sequence = s.sequence";
constexpr char kSelectRenumbered[] =
    "SELECT r.sequence, study_id, submission_id, r.reported_sequence"
    " FROM renumbered r LEFT JOIN gaps g ON g.sequence = r.sequence"
    " JOIN submissions s"
    " ON s.sequence = coalesce(g.first_sequence, r.sequence)";
constexpr char kOfKey[] = " WHERE submission_id = $1 AND study_id = $2";

// Reads the columns that all queries have.
LedgerKey ReadKey(const PostgresResult& rows, int row) {
  return {.study_id = std::string(rows.BytesAt(row, 1)),
          .submission_id = std::string(rows.BytesAt(row, 2))};
}

absl::Status AddSubmission(const PostgresResult& rows, int row,
                           Findings& findings) {
  const auto noted_sha256 = ReadDigest(rows.BytesAt(row, 3));
  if (!noted_sha256.ok()) return noted_sha256.status();
  const auto kind = ReadKind(rows.BytesAt(row, 4));
  if (!kind.ok()) return kind.status();
  findings.submissions.push_back(
      {.in_quarantine = false,
       .kind = *kind,
       .sequence = rows.IntegerAt(row, 0),
       .received_at = rows.TimeAt(row, 5),
       .noted_sha256 = *noted_sha256,
       .content_sha256 = Sha256(rows.BytesAt(row, 6))});
  return absl::OkStatus();
}

absl::Status AddConflict(const PostgresResult& rows, int row,
                         Findings& findings) {
  const auto sha256 = ReadDigest(rows.BytesAt(row, 3));
  if (!sha256.ok()) return sha256.status();
  FoundConflict conflict = {.sequence = rows.IntegerAt(row, 4),
                            .noted_sha256 = *sha256,
                            .content_sha256 = std::nullopt};
  if (!rows.IsNull(row, 5)) {
    conflict.content_sha256 = Sha256(rows.BytesAt(row, 5));
  }
  findings.conflicts.push_back(conflict);
  return absl::OkStatus();
}

absl::Status AddOtherSequence(const PostgresResult& rows, int row,
                              Findings& findings) {
  findings.other_sequences.push_back(rows.IntegerAt(row, 3));
  return absl::OkStatus();
}

// Adds one row of a table to the findings.
using Add = absl::Status (*)(const PostgresResult& rows, int row,
                             Findings& findings);

// A query, the column that orders its pages, and what becomes of its rows.
struct Part {
  const char* select;
  const char* order;
  Add add;
};

constexpr Part kParts[] = {
    {kSelect, "sequence", AddSubmission},
    {kSelectConflicts, "conflict", AddConflict},
    {kSelectGaps, "g.sequence", AddOtherSequence},
    {kSelectRenumbered, "r.sequence", AddOtherSequence},
};

class PostgresContent final : public ContentReader {
 public:
  explicit PostgresContent(PostgresConnection db) : db_(std::move(db)) {}

  absl::Status ReadAll(FindingsByKey& findings) override {
    for (const Part& part : kParts) {
      const absl::Status status =
          ReadTable(part.select, part.order, part.add, findings);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Read(const LedgerKey& key, Findings& findings) override {
    for (const Part& part : kParts) {
      const absl::Status status =
          ReadOfKey(part.select, key, part.add, findings);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  // Reads a table in pages, ordered by the column `order`.
  absl::Status ReadTable(const char* select, const char* order, Add add,
                         FindingsByKey& findings) {
    const std::string page =
        absl::StrCat(select, " WHERE ", order, " > $1::bigint ORDER BY ", order,
                     " LIMIT ", kPageRows);
    std::int64_t after = std::numeric_limits<std::int64_t>::min();
    for (;;) {
      db_.set_deadline(Deadline());
      const auto rows = db_.Query(page.c_str(), {PostgresBigint(after)});
      if (!rows.ok()) return rows.status();
      for (int row = 0; row < rows->rows(); ++row) {
        const absl::Status added =
            add(*rows, row, findings[ReadKey(*rows, row)]);
        if (!added.ok()) return added;
      }
      if (rows->rows() < kPageRows) return absl::OkStatus();
      after = rows->IntegerAt(rows->rows() - 1, 0);
    }
  }

  absl::Status ReadOfKey(const char* select, const LedgerKey& key, Add add,
                         Findings& findings) {
    db_.set_deadline(Deadline());
    const auto rows = db_.Query(absl::StrCat(select, kOfKey).c_str(),
                                {key.submission_id, key.study_id});
    if (!rows.ok()) return rows.status();
    for (int row = 0; row < rows->rows(); ++row) {
      const absl::Status added = add(*rows, row, findings);
      if (!added.ok()) return added;
    }
    return absl::OkStatus();
  }

  PostgresConnection db_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContentReader>> OpenPostgresContent(
    const std::string& url) {
  auto db = PostgresConnection::Open(url, {}, Deadline());
  if (!db.ok()) return db.status();
  return std::make_unique<PostgresContent>(*std::move(db));
}

}  // namespace sluice

// Converts submissions to rows of PostgreSQL, and back.

#ifndef SLUICE_STORES_POSTGRES_ROWS_H_
#define SLUICE_STORES_POSTGRES_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "stores/postgres.h"
#include "stores/store.h"

namespace sluice {

// Checks that no id of the submission has U+0000, and returns INVALID_ARGUMENT
// otherwise. Ids are not changed, because replacing characters could make two
// ids equal.
absl::Status CheckPostgresIds(const Submission& submission);

// Inserts rows with the parameters of PostgresRows. Skips rows whose id or
// sequence number is taken, the number perhaps by a gap. Returns the sequence
// numbers of the inserted rows, in the order of the parameters. The rows must
// have different sequence numbers. There must be a row.
extern const char* const kPostgresInsert;
std::vector<std::string> PostgresRows(
    absl::Span<const Submission* const> submissions);

// Parameters: the submission ids and the study ids. Returns a row for each id
// that is stored: the id's index in the parameters, from 1, and the columns
// that ReadPostgresFirst reads.
extern const char* const kPostgresFindFirst;

// Fields of the stored submission with an id.
struct PostgresFirst {
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  StoredReceipt receipt;
  std::int64_t content_bytes = 0;
};
PostgresFirst ReadPostgresFirst(const PostgresResult& rows, int row);

// A submission that is not stored because its id is taken.
struct PostgresGap {
  const Submission* submission = nullptr;
  std::int64_t first_sequence = 0;
  bool conflict = false;
};

// Records gaps, audits the conflicts among them and keeps their contents. Gaps
// and conflicts that are already recorded are skipped. Returns the index, from
// 1, of each gap that is not recorded because another submission has its
// sequence number (SequenceUse::kTaken). The gaps must have different sequence
// numbers.
std::string PostgresRecordGaps();
std::vector<std::string> PostgresGaps(absl::Span<const PostgresGap> gaps);

// Reads submissions from one sequence number (exclusive) to another
// (inclusive).
extern const char* const kPostgresReadSubmissions;
Submission ReadPostgresSubmission(const PostgresResult& rows, int row);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_ROWS_H_

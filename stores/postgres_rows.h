// Submissions as rows of PostgreSQL, there and back.

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

// PostgreSQL's text has every character but U+0000.
bool FitsPostgresText(std::string_view text);
// With U+FFFD in place of each U+0000; of JSON text, in place of its escapes.
std::string ToPostgresText(std::string_view text);
std::string ToPostgresJson(std::string_view json);

// INVALID_ARGUMENT where an id of the submission cannot be stored.
absl::Status CheckPostgresIds(const Submission& submission);

// Inserts rows with the parameters of PostgresRows; those are skipped whose id
// or sequence is there. Returns the sequences of the others.
extern const char* const kPostgresInsert;
std::vector<std::string> PostgresRows(
    absl::Span<const Submission* const> submissions);

// Two parameters, the submission ids and the study ids. For each that is there,
// its index in them from 1, and then the columns of ReadPostgresFirst.
extern const char* const kPostgresFindFirst;

// What is there under an id.
struct PostgresFirst {
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  StoredReceipt receipt;
  std::int64_t content_bytes = 0;
};
PostgresFirst ReadPostgresFirst(const PostgresResult& rows, int row);

// A submission that is not stored, since another has its id.
struct PostgresGap {
  const Submission* submission = nullptr;
  std::int64_t first_sequence = 0;
  bool conflict = false;
};

// Records gaps, and audits those that are conflicts. What is recorded already
// is not recorded again.
extern const char* const kPostgresRecordGaps;
std::vector<std::string> PostgresGaps(absl::Span<const PostgresGap> gaps);

// Reads submissions from a sequence (exclusive) to another (inclusive).
extern const char* const kPostgresReadSubmissions;
Submission ReadPostgresSubmission(const PostgresResult& rows, int row);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_ROWS_H_

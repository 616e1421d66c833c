// Stores one batch in PostgreSQL, in one transaction.

#ifndef SLUICE_STORES_POSTGRES_BATCH_H_
#define SLUICE_STORES_POSTGRES_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "stores/postgres.h"
#include "stores/postgres_durability.h"
#include "stores/postgres_rows.h"
#include "stores/store.h"

namespace sluice {

// Prepares the statements of PostgresBatch. Must be called once for each
// session.
absl::Status PreparePostgresBatches(PostgresConnection& db);

class PostgresBatch {
 public:
  // All arguments must outlive the object. `saved` must be as long as `batch`,
  // which must not be empty.
  PostgresBatch(PostgresConnection& db, absl::Span<const Submission> batch,
                absl::Span<Saved> saved, const SameContent& same_content);

  // Stores the batch (see Store::SaveBatch). Must be called once. After an
  // error, or an exception of `same_content`, the session may have an open
  // transaction, and must be closed.
  absl::Status Save();

  // Returns the settings of the session after the COMMIT. Must be called after
  // a successful Save.
  const PostgresDurability& durability() const { return durability_; }

 private:
  // A submission that was not inserted, and the stored submission with the same
  // id.
  struct Known {
    std::size_t index;  // index in the batch
    PostgresFirst first;
    bool same;
  };

  absl::Status Insert();
  absl::Status InsertSome(absl::Span<const std::size_t> indices);
  absl::StatusOr<std::vector<Known>> FindKnown();
  // Compares the contents of known submissions whose hashes differ.
  absl::Status CompareContents(std::vector<Known>& known);
  absl::Status CompareSome(absl::Span<Known* const> known);
  absl::Status CompareWithFirst();
  absl::Status RecordGaps();
  // Reads the answer of the statement that records `gaps`.
  void TakeTaken(const PostgresResult& taken,
                 absl::Span<const PostgresGap> gaps);
  absl::Status KeepReported();
  absl::Status Commit();

  PostgresConnection& db_;
  const absl::Span<const Submission> batch_;
  const absl::Span<Saved> saved_;
  const SameContent& same_content_;

  // Indices of the batch, sorted by id. Servers that store the same ids at the
  // same time lock rows in this order, so that they do not deadlock.
  std::vector<std::size_t> by_id_;
  std::vector<std::size_t> not_inserted_;
  std::vector<PostgresGap> gaps_;
  // Number of gaps at the end of `gaps_` whose statement is only queued. Commit
  // sends it in one round trip with the COMMIT.
  std::size_t queued_gaps_ = 0;
  const bool reports_;  // true if the batch has a reported_sequence
  PostgresDurability durability_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_BATCH_H_

// One batch on its way into PostgreSQL, in one transaction.

#ifndef SLUICE_STORES_POSTGRES_BATCH_H_
#define SLUICE_STORES_POSTGRES_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "stores/postgres.h"
#include "stores/postgres_rows.h"
#include "stores/store.h"

namespace sluice {

// Prepares what PostgresBatch runs; once for a session.
absl::Status PreparePostgresBatches(PostgresConnection& db);

class PostgresBatch {
 public:
  // All must outlive it. `saved` is as long as `batch`.
  PostgresBatch(PostgresConnection& db, absl::Span<const Submission> batch,
                absl::Span<Saved> saved, const SameContent& same_content);

  // As Store::SaveBatch. After an error, or an exception of `same_content`, the
  // session has an open transaction or none: it is of no more use.
  absl::Status Save();

 private:
  // A submission that was not inserted, and what has its id.
  struct Known {
    std::size_t index;  // in the batch
    PostgresFirst first;
    bool same;
  };

  absl::Status Insert();
  absl::Status InsertSome(absl::Span<const std::size_t> indices);
  absl::StatusOr<std::vector<Known>> FindKnown();
  // Decides about those whose bytes differ from the first's.
  absl::Status CompareContents(std::vector<Known>& known);
  absl::Status CompareSome(absl::Span<Known* const> known);
  absl::Status CompareWithFirst();
  absl::Status Commit();

  PostgresConnection& db_;
  const absl::Span<const Submission> batch_;
  const absl::Span<Saved> saved_;
  const SameContent& same_content_;

  // Indices of the batch. By id: servers that store the same ids at the same
  // time then wait for each other in one order.
  std::vector<std::size_t> by_id_;
  std::vector<std::size_t> not_inserted_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_BATCH_H_

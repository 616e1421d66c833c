// A batch on its way to a datastore: cut into requests, and its results put
// together from the responses.

#ifndef SLUICE_STORES_DATASTORE_BATCH_H_
#define SLUICE_STORES_DATASTORE_BATCH_H_

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "sluice/v1/datastore.pb.h"
#include "stores/store.h"

namespace sluice {

// Not thread-safe.
class DatastoreBatch {
 public:
  // All of them must outlive it.
  DatastoreBatch(absl::Span<const Submission> batch, absl::Span<Saved> saved,
                 const SameContent& same_content);

  // Whether every submission has its result.
  bool done() const { return unsettled_.empty(); }

  // The next request, of what has no result yet: at least one submission, and
  // no more of them than have `bytes_max`.
  v1::SaveBatchRequest NextRequest(std::size_t bytes_max);

  // Takes the response to that request: results, and what has to be sent again.
  // Each brings the batch nearer to its end; a batch needs at most twice as
  // many requests as it has submissions. INVALID_ARGUMENT where the response is
  // not one to that request.
  absl::Status Take(const v1::SaveBatchResponse& response);

 private:
  using Verdict = v1::SaveBatchRequest::Verdict;

  struct Unsettled {
    std::size_t index = 0;
    Verdict verdict = v1::SaveBatchRequest::VERDICT_UNSPECIFIED;
  };

  absl::Status TakeOne(Unsettled sent, const v1::SaveBatchResponse::Saved& one);
  // The submission has to be sent again.
  absl::Status TakeDifference(Unsettled sent,
                              const v1::SaveBatchResponse::Saved& one);

  // Constant after construction.
  const absl::Span<const Submission> batch_;
  const absl::Span<Saved> saved_;
  const SameContent& same_content_;

  std::deque<Unsettled> unsettled_;
  // Of those, what the request has that is not answered yet, in its order.
  std::vector<Unsettled> sent_;
  // Whether its response has had one that differs.
  bool differed_ = false;
};

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_BATCH_H_

// Splits a batch into requests to a datastore, and joins the results of the
// responses.

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
  // All arguments must outlive the object. `saved` must be as long as `batch`.
  DatastoreBatch(absl::Span<const Submission> batch, absl::Span<Saved> saved,
                 const SameContent& same_content);

  // True if every submission has its result.
  bool done() const { return unsettled_.empty(); }

  // Returns the next request, with submissions that have no result yet: at
  // least one, and no more than fit into `bytes_max`. Must not be called when
  // done().
  v1::SaveBatchRequest NextRequest(std::size_t bytes_max);

  // Takes the response to the last request: results, and submissions that must
  // be sent again with a verdict. Every submission is sent at most twice, so a
  // batch needs at most twice as many requests as it has submissions.
  // INVALID_ARGUMENT if the response does not fit the request.
  absl::Status Take(const v1::SaveBatchResponse& response);

 private:
  using Verdict = v1::SaveBatchRequest::Verdict;

  struct Unsettled {
    std::size_t index = 0;
    Verdict verdict = v1::SaveBatchRequest::VERDICT_UNSPECIFIED;
  };

  absl::Status TakeOne(Unsettled sent, const v1::SaveBatchResponse::Saved& one);
  // Compares the contents to find the verdict, and queues the submission to be
  // sent again.
  absl::Status TakeDifference(Unsettled sent,
                              const v1::SaveBatchResponse::Saved& one);

  // Constant after construction.
  const absl::Span<const Submission> batch_;
  const absl::Span<Saved> saved_;
  const SameContent& same_content_;

  std::deque<Unsettled> unsettled_;
  // Submissions of the request that is not answered yet, in the request's
  // order.
  std::vector<Unsettled> sent_;
  // True if the response being taken answered DIFFERS for a submission.
  bool differed_ = false;
};

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_BATCH_H_

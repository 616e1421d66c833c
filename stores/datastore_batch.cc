#include "stores/datastore_batch.h"

#include <utility>

#include "base/check.h"
#include "stores/datastore_messages.h"

namespace sluice {
namespace {

// Upper bound for the bytes that a submission adds to a request beside its own:
// tag, length and verdict.
constexpr std::size_t kBytesBeside = 16;

}  // namespace

DatastoreBatch::DatastoreBatch(absl::Span<const Submission> batch,
                               absl::Span<Saved> saved,
                               const SameContent& same_content)
    : batch_(batch), saved_(saved), same_content_(same_content) {
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    unsettled_.push_back({.index = i});
  }
}

v1::SaveBatchRequest DatastoreBatch::NextRequest(std::size_t bytes_max) {
  SLUICE_DCHECK(!done());
  v1::SaveBatchRequest request;
  std::size_t bytes = 0;
  bool judged = false;
  sent_.clear();
  while (!unsettled_.empty()) {
    v1::Submission submission = ToMessage(batch_[unsettled_.front().index]);
    bytes += submission.ByteSizeLong() + kBytesBeside;
    if (!sent_.empty() && bytes > bytes_max) break;
    *request.add_submissions() = std::move(submission);
    request.add_verdicts(unsettled_.front().verdict);
    judged |=
        unsettled_.front().verdict != v1::SaveBatchRequest::VERDICT_UNSPECIFIED;
    sent_.push_back(unsettled_.front());
    unsettled_.pop_front();
  }
  if (!judged) request.clear_verdicts();
  return request;
}

absl::Status DatastoreBatch::Take(const v1::SaveBatchResponse& response) {
  if (static_cast<std::size_t>(response.saved_size()) != sent_.size()) {
    return absl::InvalidArgumentError(
        "there are not as many results as submissions");
  }
  SLUICE_DCHECK(!sent_.empty());
  differed_ = false;
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    const absl::Status status =
        TakeOne(sent_[i], response.saved(static_cast<int>(i)));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DatastoreBatch::TakeOne(Unsettled sent,
                                     const v1::SaveBatchResponse::Saved& one) {
  if (one.result() == v1::SaveBatchResponse::DIFFERS) {
    return TakeDifference(sent, one);
  }
  if (one.result() == v1::SaveBatchResponse::SEQUENCE_TAKEN) {
    saved_[sent.index] = {.result = Saved::Result::kSequenceTaken};
    return absl::OkStatus();
  }
  const absl::StatusOr<StoredReceipt> first = FromMessage(one.first());
  if (!first.ok()) return first.status();
  Saved& saved = saved_[sent.index];
  saved = {.sequence = first->sequence,
           .received_at = first->received_at,
           .content_sha256 = first->content_sha256};
  switch (one.result()) {
    case v1::SaveBatchResponse::STORED:
      if (first->sequence != batch_[sent.index].sequence) {
        return absl::InvalidArgumentError("STORED with another sequence");
      }
      saved.result = Saved::Result::kStored;
      return absl::OkStatus();
    case v1::SaveBatchResponse::DUPLICATE:
      saved.result = Saved::Result::kDuplicate;
      return absl::OkStatus();
    case v1::SaveBatchResponse::CONFLICT:
      saved.result = Saved::Result::kConflict;
      saved.conflict_kept = one.conflict_kept();
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("a result is not a known one");
  }
}

absl::Status DatastoreBatch::TakeDifference(
    Unsettled sent, const v1::SaveBatchResponse::Saved& one) {
  if (sent.verdict != v1::SaveBatchRequest::VERDICT_UNSPECIFIED) {
    return absl::InvalidArgumentError("DIFFERS, after the verdict");
  }
  if (one.has_first_content()) {
    const Submission& submission = batch_[sent.index];
    sent.verdict =
        same_content_(submission.kind, one.first_content(), submission.content)
            ? v1::SaveBatchRequest::SAME
            : v1::SaveBatchRequest::ANOTHER;
  } else if (!differed_) {
    return absl::InvalidArgumentError("DIFFERS without the first's content");
  }
  differed_ = true;
  unsettled_.push_back(sent);
  return absl::OkStatus();
}

}  // namespace sluice

#include "server/lookup_call.h"

#include <utility>

#include "server/task_failure.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

Answer ToAnswer(const std::optional<StoredReceipt>& found) {
  Answer answer = Answer::Of(Answer::Kind::kStored);
  answer.sequence = found->sequence;
  answer.received_at = found->received_at;
  answer.content_sha256 = found->content_sha256;
  return answer;
}

v1::Receipt ToReceipt(const std::optional<StoredReceipt>& found,
                      const std::string& submission_id) {
  if (found.has_value()) return ToReceipt(ToAnswer(found), submission_id);
  v1::Receipt receipt;
  receipt.set_submission_id(submission_id);
  receipt.set_disposition(v1::Receipt::UNKNOWN);
  return receipt;
}

}  // namespace

void LookupCall::Await(const MethodContext& method, const LookupIntake& intake,
                       RawService* service, CompletionLoop* loop) {
  auto* call = new LookupCall(method, service, loop);
  call->intake_ = &intake;
  call->UnaryCall::Await(&RawService::RequestGetReceipts);
}

void LookupCall::AwaitAnother() { Await(method_, *intake_, service_, loop_); }

void LookupCall::OnRequest() {
  if (RefusedUnread()) return;
  Sending sending;
  if (auto violation = ReadRequest(&sending)) {
    return FinishInvalid(*std::move(violation));
  }
  bytes = request_.Length();
  deadline = DeadlineOf(context_);
  if (auto violation = intake_->Read(TakeRequest(), &lookup_)) {
    return FinishInvalid(*std::move(violation));
  }
  method = Index(method_.method);
  const Admission admission = method_.pool->Arrive(this, *method_.policy);
  if (admission.kind == Admission::Kind::kRefused) {
    FinishWithError(Answer::TurnedAway(admission));
  }
}

void LookupCall::Look(Store* store) {
  try {
    found_ = store->FindReceipts(lookup_.study_id, lookup_.submission_ids);
    outcome = found_.ok() ? Outcome::kAnswered : Outcome::kUnavailable;
  } catch (...) {
    error_id_ = LogCurrentException();
    outcome = Outcome::kFailed;
  }
}

void LookupCall::OnEnded(Ending ending, Duration retry_delay) {
  FinishWithError(Answer::Ended(ending, retry_delay));
}

void LookupCall::OnDone() {
  if (outcome == Outcome::kFailed) {
    return FinishWithError(Answer::Failed(error_id_));
  }
  if (!found_.ok()) {
    spdlog::warn("store failed: lookup status={}", found_.status().ToString());
    return FinishWithError(Answer::Unavailable());
  }
  v1::GetReceiptsResponse response;
  for (std::size_t i = 0; i < found_->size(); ++i) {
    *response.add_receipts() =
        ToReceipt((*found_)[i], lookup_.submission_ids[i]);
  }
  FinishWith(response);
}

void LookupCall::OnCancelled() {
  if (method_.pool->Leave(this)) FinishWithError(CallerLeft());
}

void LookupProcessor::Process(std::span<Task* const> batch) {
  for (Task* task : batch) static_cast<LookupCall*>(task)->Look(store_);
}

}  // namespace sluice

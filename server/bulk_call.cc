#include "server/bulk_call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "pool/worker_pool.h"

namespace sluice {
namespace {

void Count(v1::Receipt::Disposition disposition, v1::Counts* counts) {
  switch (disposition) {
    case v1::Receipt::STORED:
      return counts->set_stored(counts->stored() + 1);
    case v1::Receipt::QUEUED:
      return counts->set_queued(counts->queued() + 1);
    case v1::Receipt::DUPLICATE:
      return counts->set_duplicate(counts->duplicate() + 1);
    case v1::Receipt::QUARANTINED:
      return counts->set_quarantined(counts->quarantined() + 1);
    case v1::Receipt::DROPPED:
      return counts->set_dropped(counts->dropped() + 1);
    case v1::Receipt::REFUSED:
      return counts->set_refused(counts->refused() + 1);
    case v1::Receipt::CONFLICT:
      return counts->set_conflict(counts->conflict() + 1);
    case v1::Receipt::INVALID:
      return counts->set_invalid(counts->invalid() + 1);
    default:
      return;
  }
}

}  // namespace

void BulkCall::Await(const MethodContext& method, const BulkIntake& intake,
                     RawService* service, CompletionLoop* loop) {
  auto* call = new BulkCall(method, service, loop);
  call->intake_ = &intake;
  call->UnaryCall::Await(
      method.method == Method::kImportPatients
          ? RequestFunction(&RawService::RequestImportPatients)
          : RequestFunction(&RawService::RequestRecordEvents));
}

void BulkCall::AwaitAnother() { Await(method_, *intake_, service_, loop_); }

void BulkCall::OnRequest() {
  if (RefusedUnread()) return;
  if (auto violation = ReadRequest(&sending_)) {
    return FinishInvalid(*std::move(violation));
  }
  came_at_ = std::chrono::steady_clock::now();
  deadline_ = DeadlineOf(context_);
  content_ = TakeRequest();
  if (auto violation = intake_->Read(content_, &entries_)) {
    return FinishInvalid(*std::move(violation));
  }
  results_.resize(entries_.entries.size());
  Offer();
}

void BulkCall::Offer() {
  while (next_ < results_.size() && !CallerGone()) {
    if (OfferOne(next_++)) return;
  }
  // The entries have copies of their own.
  content_ = std::string();
  entries_ = BulkIntake::Request();
  FinishIfAnswered();
}

bool BulkCall::OfferOne(std::size_t entry) {
  auto task = std::make_shared<SubmissionTask>(method_, settings_, this, entry,
                                               SubmissionTask::Parking::kTold);
  auto violation =
      intake_->ReadEntry(entries_, entry, sending_, &task->submission());
  Result& result = results_[entry];
  result.id = task->submission().submission_id;
  if (violation.has_value()) {
    method_.pool->CountInvalid(Index(method_.method));
    result.answer = Answer::Invalid(*std::move(violation));
    return false;
  }
  task->SetLane(sending_.sender);
  task->bytes = entries_.entries[entry].size();
  task->bytes_behind = content_.size() - std::min(content_.size(), task->bytes);
  task->deadline = deadline_;
  task->waits_since = came_at_;
  ++due_;
  offered_ = task;
  parked_ = task->Arrive();
  return parked_;
}

void BulkCall::OnUnparked() {
  parked_ = false;
  Offer();
}

void BulkCall::OnAnswer(std::size_t entry, const Answer& answer) {
  results_[entry].answer = answer;
  --due_;
  FinishIfAnswered();
}

void BulkCall::OnCancelled() {
  cancelled_.store(true, std::memory_order_relaxed);
  if (offered_ != nullptr && offered_->Leave()) --due_;
  FinishIfAnswered();
}

void BulkCall::FinishIfAnswered() {
  const bool offered_all = next_ == results_.size() || CallerGone();
  if (due_ > 0 || !offered_all || parked_ || finished_) return;
  finished_ = true;
  FinishWithReceipts();
}

void BulkCall::FinishWithReceipts() {
  if (CallerGone()) return FinishWithError(CallerLeft());
  // Both responses are of the same form.
  v1::ImportPatientsResponse response;
  for (const Result& result : results_) {
    *response.add_receipts() = ToReceipt(result.answer, result.id);
    Count(response.receipts().rbegin()->disposition(),
          response.mutable_counts());
  }
  FinishWith(response);
}

}  // namespace sluice

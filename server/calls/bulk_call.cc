#include "server/calls/bulk_call.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "base/check.h"
#include "pool/worker_pool.h"
#include "server/calls/receipt.h"

namespace sluice {
namespace {

// Counts receipts by disposition.
class Counts {
 public:
  void Add(v1::Receipt::Disposition disposition) {
    ++counts_.at(static_cast<std::size_t>(disposition));
  }

  void WriteTo(protozero::pbf_writer* counts) const {
    using v1::Receipt;
    for (const auto& [field, disposition] :
         std::initializer_list<std::pair<int, Receipt::Disposition>>{
             {v1::Counts::kStoredFieldNumber, Receipt::STORED},
             {v1::Counts::kQueuedFieldNumber, Receipt::QUEUED},
             {v1::Counts::kDuplicateFieldNumber, Receipt::DUPLICATE},
             {v1::Counts::kDroppedFieldNumber, Receipt::DROPPED},
             {v1::Counts::kRefusedFieldNumber, Receipt::REFUSED},
             {v1::Counts::kConflictFieldNumber, Receipt::CONFLICT},
             {v1::Counts::kInvalidFieldNumber, Receipt::INVALID}}) {
      counts->add_int64(static_cast<protozero::pbf_tag_type>(field),
                        counts_.at(static_cast<std::size_t>(disposition)));
    }
  }

 private:
  std::array<std::int64_t, v1::Receipt::Disposition_ARRAYSIZE> counts_{};
};

}  // namespace

void BulkCall::Await(const MethodContext& method, const BulkIntake& intake,
                     RawService* service, CompletionLoop* loop) {
  auto* call = new BulkCall(method, service, loop);
  call->intake_ = &intake;
  call->UnaryCall::Await();
}

void BulkCall::AwaitAnother() { Await(method_, *intake_, service_, loop_); }

void BulkCall::OnRequest() {
  if (RefuseUnread()) return;
  if (auto violation = ReadRequest(&sending_)) {
    return FinishInvalid(*std::move(violation));
  }
  came_at_ = std::chrono::steady_clock::now();
  deadline_ = DeadlineOf(context_);
  TakeRequest(&content_);
  if (auto violation = intake_->Read(content_, &entries_)) {
    return FinishInvalid(*std::move(violation));
  }
  results_.resize(entries_.entries.size());
  Offer();
}

void BulkCall::Offer() {
  for (int offered = 0; next_ < results_.size() && !CallerCancelled();
       ++offered) {
    if (offered == kOffersAtOnce) {
      offers_later_ = true;
      loop_->PostBehindEvents(&offer_more_);
      return;
    }
    if (OfferOne(next_++)) return;
  }
  // Free the request while the answers are awaited: each submission has a copy
  // of its entry.
  std::string().swap(content_);
  entries_ = BulkIntake::Request();
  FinishIfAnswered();
}

void BulkCall::OfferMore() {
  offers_later_ = false;
  Offer();
}

bool BulkCall::OfferOne(std::size_t entry) {
  auto task = MakeSubmissionTask(method_, settings_, this, entry,
                                 SubmissionTask::Parking::kTold);
  auto violation =
      intake_->ReadEntry(entries_, entry, sending_, task->NewSubmission());
  if (violation.has_value()) {
    method_.pool->CountArrival(Index(method_.method), TaskResult::kInvalid);
    results_[entry] = {task->submission().submission_id,
                       Answer::Invalid(*std::move(violation))};
    return false;
  }
  task->SetSender(sending_.sender);
  task->bytes = entries_.entries[entry].size();
  task->bytes_behind = content_.size() - std::min(content_.size(), task->bytes);
  task->deadline = deadline_;
  task->waits_since = came_at_;
  // Count before Arrive, because Arrive may post the answer.
  ++due_;
  offered_ = task;
  parked_ = task->Arrive();
  return parked_;
}

void BulkCall::OnUnparked() {
  SLUICE_DCHECK(parked_);
  parked_ = false;
  Offer();
}

void BulkCall::OnAnswer(std::size_t entry, std::string_view submission_id,
                        const Answer& answer) {
  SLUICE_DCHECK_GT(due_, 0u);
  results_[entry] = {std::string(submission_id), answer};
  --due_;
  FinishIfAnswered();
}

void BulkCall::OnCallerLeft() {
  // From now on workers skip the queued entries, and Offer offers no more.
  cancelled_.store(true, std::memory_order_relaxed);
  // Only the entry that was offered last can be parked.
  if (offered_ != nullptr && offered_->Leave()) --due_;
  FinishIfAnswered();
}

void BulkCall::FinishIfAnswered() {
  const bool offered_all = next_ == results_.size() || CallerCancelled();
  // While `parked_` is set, OnUnparked will still be called on this call, even
  // if the task has left the pool. While `offers_later_` is set, OfferMore will
  // be called. The call must live until then.
  if (due_ > 0 || !offered_all || parked_ || offers_later_ || finishing()) {
    return;
  }
  FinishWithReceipts();
}

void BulkCall::FinishWithReceipts() {
  if (CallerCancelled()) return FinishWithError(AnswerToCancelled());
  // RecordEventsResponse has the same fields.
  using Response = v1::ImportPatientsResponse;
  std::string bytes;
  protozero::pbf_writer response(bytes);
  Counts counts;
  for (const Result& result : results_) {
    protozero::pbf_writer receipt(response, Response::kReceiptsFieldNumber);
    WriteReceipt(result.answer, result.id, &receipt);
    counts.Add(ToDisposition(result.answer.kind));
  }
  {
    protozero::pbf_writer of_each(response, Response::kCountsFieldNumber);
    counts.WriteTo(&of_each);
  }
  FinishWith(bytes);
}

}  // namespace sluice

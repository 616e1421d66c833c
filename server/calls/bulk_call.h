// ImportPatients and RecordEvents: many submissions in one call, each with its
// own receipt.

#ifndef SLUICE_SERVER_CALLS_BULK_CALL_H_
#define SLUICE_SERVER_CALLS_BULK_CALL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/calls/intake.h"
#include "server/calls/unary_call.h"
#include "server/submissions/submission_task.h"

namespace sluice {

// Offers the entries to the pool one after the other. While an entry is parked,
// the call holds the later entries back, so a call takes at most one place in
// the waiting room. After kOffersAtOnce entries the call lets its loop handle
// other events before it offers more entries. The call ends when every offered
// entry has its answer.
class BulkCall final : public UnaryCall, public SubmissionOwner {
 public:
  // Number of entries that are offered before the loop handles other events.
  static constexpr int kOffersAtOnce = 32;

  // Asks gRPC for a call of `method`: ImportPatients or RecordEvents. The
  // arguments must outlive the server's shutdown.
  static void Await(const MethodContext& method, const BulkIntake& intake,
                    RawService* service, CompletionLoop* loop);

  bool CallerCancelled() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  CompletionLoop* loop() const override { return loop_; }
  void OnUnparked() override;
  void OnAnswer(std::size_t entry, std::string_view submission_id,
                const Answer& answer) override;

 private:
  // The id of an entry, and its answer.
  struct Result {
    std::string id;
    Answer answer;
  };

  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCallerLeft() override;

  // Offers entries from `next_` on, until an entry is parked or all entries are
  // offered. After kOffersAtOnce entries, posts OfferMore to continue.
  void Offer();
  void OfferMore();
  // Offers an entry. Returns true if the entry is parked: OnUnparked then
  // offers the remaining entries.
  bool OfferOne(std::size_t entry);
  // Ends the call if all entries are offered and answered.
  void FinishIfAnswered();
  void FinishWithReceipts();

  const BulkIntake* intake_ = nullptr;
  // The members below are constant after OnRequest.
  std::string content_;
  BulkIntake::Request entries_;
  Sending sending_;
  TimePoint came_at_{};
  TimePoint deadline_ = kForever;

  std::vector<Result> results_;
  // Index of the entry to offer next.
  std::size_t next_ = 0;
  // The entry that was offered last.
  std::shared_ptr<SubmissionTask> offered_;
  // True from the parking of `offered_` until OnUnparked is called.
  bool parked_ = false;
  // True while OfferMore is posted.
  bool offers_later_ = false;
  MemberLoopTask<BulkCall, &BulkCall::OfferMore> offer_more_{this};
  // Number of offered entries without an answer.
  std::size_t due_ = 0;
  std::atomic<bool> cancelled_{false};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_BULK_CALL_H_

// ImportPatients and RecordEvents: many entries in one call, each with a
// receipt of its own.

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

// The entries go to the pool one after the other. Where one is parked, the rest
// wait behind it in the call, so that a call fills no more than one place in
// the waiting room.
class BulkCall final : public UnaryCall, public SubmissionOwner {
 public:
  // Waits for a call of `method`, which is one of the two. Everything must
  // outlive the server's shutdown.
  static void Await(const MethodContext& method, const BulkIntake& intake,
                    RawService* service, CompletionLoop* loop);

  bool CallerGone() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  CompletionLoop* loop() const override { return loop_; }
  void OnUnparked() override;
  void OnAnswer(std::size_t entry, std::string_view submission_id,
                const Answer& answer) override;

 private:
  // What became of an entry.
  struct Result {
    std::string id;
    Answer answer;
  };

  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCancelled() override;

  // Offers entries from `next_` on, until one is parked or none is left.
  void Offer();
  // True: it is parked, and OnUnparked goes on.
  bool OfferOne(std::size_t entry);
  // Ends the call, unless answers are due.
  void FinishIfAnswered();
  void FinishWithReceipts();

  const BulkIntake* intake_ = nullptr;
  // Constant after OnRequest:
  std::string content_;
  BulkIntake::Request entries_;
  Sending sending_;
  TimePoint came_at_{};
  TimePoint deadline_ = kForever;

  std::vector<Result> results_;
  // The entry to be offered next.
  std::size_t next_ = 0;
  // The last one offered, and whether it is parked.
  std::shared_ptr<SubmissionTask> offered_;
  bool parked_ = false;
  // Answers that are due.
  std::size_t due_ = 0;
  std::atomic<bool> cancelled_{false};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_BULK_CALL_H_

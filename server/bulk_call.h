// ImportPatients and RecordEvents: many entries in one call, each with a
// receipt of its own.

#ifndef SLUICE_SERVER_BULK_CALL_H_
#define SLUICE_SERVER_BULK_CALL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/intake.h"
#include "server/submission_task.h"
#include "server/unary_call.h"

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
  void OnUnparked() override;
  void OnAnswer(std::size_t entry, const Answer& answer) override;

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

  // Offers entries from `next_` on, until one is parked or none is left; by one
  // thread at a time.
  void Offer();
  // True: it is parked, and OnUnparked goes on.
  bool OfferOne(std::size_t entry);
  // One answer less is due; the last one ends the call.
  void Settle();
  void FinishWithReceipts();

  const BulkIntake* intake_ = nullptr;
  // Constant after OnRequest:
  std::string content_;
  BulkIntake::Request entries_;
  Sending sending_;
  TimePoint came_at_{};
  TimePoint deadline_ = kForever;

  // Each result is written by whoever has its answer.
  std::vector<Result> results_;
  // Of the thread that offers.
  std::size_t next_ = 0;

  std::atomic<bool> cancelled_{false};
  // Answers that are due, and one for offering itself.
  std::atomic<std::size_t> due_{1};

  absl::Mutex mutex_;
  std::shared_ptr<SubmissionTask> offered_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_SERVER_BULK_CALL_H_

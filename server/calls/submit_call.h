// Submit: one questionnaire response.

#ifndef SLUICE_SERVER_CALLS_SUBMIT_CALL_H_
#define SLUICE_SERVER_CALLS_SUBMIT_CALL_H_

#include <atomic>
#include <memory>
#include <string_view>

#include "server/calls/intake.h"
#include "server/calls/unary_call.h"
#include "server/submissions/recycled.h"
#include "server/submissions/submission_task.h"

namespace sluice {

class SubmitCall final : public UnaryCall,
                         public SubmissionOwner,
                         public Recycled<SubmitCall> {
 public:
  // Waits for a call. `method`, `intake`, `service` and `loop` must outlive the
  // server's shutdown.
  static void Await(const MethodContext& method, const SubmitIntake& intake,
                    RawService* service, CompletionLoop* loop);

  bool CallerGone() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  CompletionLoop* loop() const override { return loop_; }
  void OnAnswer(std::size_t entry, std::string_view submission_id,
                const Answer& answer) override;

 private:
  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCancelled() override;

  const SubmitIntake* intake_ = nullptr;
  std::shared_ptr<SubmissionTask> task_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_SUBMIT_CALL_H_

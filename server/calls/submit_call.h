// Submit: one questionnaire response.

#ifndef SLUICE_SERVER_CALLS_SUBMIT_CALL_H_
#define SLUICE_SERVER_CALLS_SUBMIT_CALL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string_view>

#include "server/calls/intake.h"
#include "server/calls/unary_call.h"
#include "server/submissions/free_list.h"
#include "server/submissions/submission_task.h"

namespace sluice {

class SubmitCall final : public UnaryCall, public SubmissionOwner {
 public:
  // Asks gRPC for a call. The arguments must outlive the server's shutdown.
  static void Await(const MethodContext& method, const SubmitIntake& intake,
                    RawService* service, CompletionLoop* loop);

  bool CallerCancelled() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  CompletionLoop* loop() const override { return loop_; }
  void OnAnswer(std::size_t entry, std::string_view submission_id,
                const Answer& answer) override;

  // The memory of calls comes from a free list.
  static void* operator new(std::size_t /*size*/) {
    return FreeListAllocator<SubmitCall>().allocate(1);
  }
  static void operator delete(void* call) {
    FreeListAllocator<SubmitCall>().deallocate(static_cast<SubmitCall*>(call),
                                               1);
  }

 private:
  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCallerLeft() override;

  const SubmitIntake* intake_ = nullptr;
  std::shared_ptr<SubmissionTask> task_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_SUBMIT_CALL_H_

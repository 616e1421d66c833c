#include "server/calls/submit_call.h"

#include <utility>

#include "server/calls/receipt.h"

namespace sluice {

void SubmitCall::Await(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop) {
  auto* call = new SubmitCall(method, service, loop);
  call->intake_ = &intake;
  call->UnaryCall::Await();
}

void SubmitCall::AwaitAnother() { Await(method_, *intake_, service_, loop_); }

void SubmitCall::OnRequest() {
  if (request_.Length() <= CompletionLoop::kShortMax) loop_->CountShortCall();
  if (RefuseUnread()) return;
  auto task = MakeSubmissionTask(method_, settings_, this, std::size_t{0},
                                 SubmissionTask::Parking::kSilent);
  Sending sending;
  if (auto violation = ReadRequest(&sending)) {
    return FinishInvalid(*std::move(violation));
  }
  task->bytes = request_.Length();
  task->deadline = DeadlineOf(context_);
  TakeRequest(&task->NewSubmission()->content);
  if (auto violation = intake_->Read(sending, task->NewSubmission())) {
    return FinishInvalid(*std::move(violation));
  }
  task->SetSender(sending.sender);
  task_ = task;
  task->Arrive();
}

void SubmitCall::OnAnswer(std::size_t, std::string_view submission_id,
                          const Answer& answer) {
  if (answer.ok()) {
    FinishWith(SerializeReceipt(answer, submission_id));
  } else {
    FinishWithError(answer);
  }
}

void SubmitCall::OnCallerLeft() {
  cancelled_.store(true, std::memory_order_relaxed);
  // If Leave returns false, OnAnswer finishes the call.
  if (task_ != nullptr && task_->Leave()) FinishWithError(AnswerToCancelled());
}

}  // namespace sluice

#include "server/calls/unary_call.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "pool/worker_pool.h"
#include "server/calls/intake.h"

namespace sluice {

UnaryCall::UnaryCall(const MethodContext& method, RawService* service,
                     CompletionLoop* loop)
    : Call(loop, method.rpc_metrics),
      method_(method),
      service_(service),
      responder_(&context_) {}

void UnaryCall::Await() {
  service_->Await(method_.method, &context_, &request_, &responder_,
                  loop_->queue(), StartRequest());
}

void UnaryCall::OnStarted() {
  settings_ = method_.settings->Get();
  // A refusal does not wait for its turn.
  if (request_.Length() > CompletionLoop::kShortMax && RefuseUnread()) return;
  waits_ = loop_->PostIfLong(request_.Length(), &read_long_);
  if (!waits_) OnRequest();
}

void UnaryCall::ReadLong() {
  waits_ = false;
  loop_->ReadLong(request_.Length());
  if (left_) return FinishWithError(AnswerToCancelled());
  OnRequest();
}

void UnaryCall::SendRefusal() { FinishWithError(*refusal_); }

void UnaryCall::OnCancelled() {
  // SendRefusal ends the call soon.
  if (refusal_ != nullptr) return;
  if (waits_) {
    left_ = true;
  } else {
    OnCallerLeft();
  }
}

void UnaryCall::FinishWith(std::string_view response) {
  loop_->BeforeWrite(&context_);
  responder_.Finish(SerializedMessage(response), grpc::Status::OK,
                    StartFinish(grpc::StatusCode::OK));
}

void UnaryCall::FinishWithError(const Answer& answer) {
  SLUICE_DCHECK(!answer.ok());
  const grpc::Status status = ToStatus(answer, &context_);
  loop_->BeforeWrite(&context_);
  responder_.FinishWithError(status, StartFinish(status.error_code()));
}

bool UnaryCall::RefuseUnread() {
  // Under overload a refusal must cost less than reading the request.
  if (!settings_->refuses_unread || !method_.pool->full()) return false;
  const Arrival arrival = {.now = {},
                           .deadline = DeadlineOf(context_),
                           .bytes = request_.Length(),
                           .promised = settings_->config.ack == Ack::kQueued,
                           .priority = settings_->config.priority,
                           .lane = LaneBeforeReading()};
  const auto admission = method_.pool->TurnAway(arrival, Index(method_.method),
                                                *settings_->policy);
  if (!admission.has_value()) return false;
  const Answer answer =
      Answer::Ended(admission->result, admission->retry_delay);
  if (settings_->fair_by != FairBy::kNone && arrival.lane.has_value() &&
      answer.turned_away() &&
      loop_->HoldRefusal(*arrival.lane, arrival.deadline, &send_refusal_)) {
    refusal_ = std::make_unique<const Answer>(answer);
    request_.Clear();  // frees memory while the refusal waits
  } else {
    FinishWithError(answer);
  }
  return true;
}

std::optional<std::uint64_t> UnaryCall::LaneBeforeReading() const {
  if (settings_->fair_by == FairBy::kNone) return 0;
  Sender sender;
  if (ReadSender(context_, &sender).has_value()) return std::nullopt;
  return LaneOf(settings_->fair_by, sender);
}

std::optional<Violation> UnaryCall::ReadRequest(Sending* sending) const {
  if (request_.Length() > method_.limits.message_bytes) {
    return TooLarge(request_.Length(), method_.limits);
  }
  return ReadSending(context_, sending);
}

void UnaryCall::TakeRequest(std::string* bytes) {
  Flatten(request_, bytes);
  request_.Clear();
}

Answer UnaryCall::AnswerToCancelled() const {
  // gRPC reports an expired deadline as a cancellation.
  return Answer::Cancelled(std::chrono::steady_clock::now() >=
                           DeadlineOf(context_));
}

void UnaryCall::FinishInvalid(Violation violation) {
  method_.pool->CountArrival(Index(method_.method), TaskResult::kInvalid);
  FinishWithError(Answer::Invalid(std::move(violation)));
}

TimePoint DeadlineOf(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return kForever;
  const auto left = deadline - std::chrono::system_clock::now();  // wall clock
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<Duration>(left);
}

}  // namespace sluice

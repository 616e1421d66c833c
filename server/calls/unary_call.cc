#include "server/calls/unary_call.h"

#include <chrono>
#include <utility>

#include "pool/worker_pool.h"
#include "server/calls/intake.h"

namespace sluice {

UnaryCall::UnaryCall(const MethodContext& method, RawService* service,
                     CompletionLoop* loop)
    : method_(method),
      service_(service),
      loop_(loop),
      responder_(&context_),
      request_tag_(this),
      done_tag_(this),
      finish_tag_(this) {}

void UnaryCall::Await() {
  context_.AsyncNotifyWhenDone(ToQueue(&done_tag_));
  service_->Await(method_.method, &context_, &request_, &responder_,
                  loop_->queue(), ToQueue(&request_tag_));
}

void UnaryCall::OnRequestTag(bool ok) {
  if (!ok) {
    // The server shuts down; "done" never comes for a call that did not start.
    delete this;
    return;
  }
  AwaitAnother();
  settings_ = method_.settings->Get();
  started_at_ = absl::Now();
  method_.rpc_metrics->Started();
  OnRequest();
}

void UnaryCall::OnDoneTag(bool) {
  done_home_ = true;
  if (!finish_home_ && context_.IsCancelled()) OnCancelled();
  FreeIfHome();
}

void UnaryCall::OnFinishTag(bool) {
  finish_home_ = true;
  FreeIfHome();
}

void UnaryCall::FreeIfHome() {
  if (!done_home_ || !finish_home_) return;
  method_.rpc_metrics->Handled(code_, absl::Now() - started_at_);
  delete this;
}

void UnaryCall::FinishWith(std::string_view response) {
  loop_->BeforeWrite(&context_);
  responder_.Finish(SerializedMessage(response), grpc::Status::OK,
                    ToQueue(&finish_tag_));
}

void UnaryCall::FinishWithError(const Answer& answer) {
  const grpc::Status status = ToStatus(answer, &context_);
  code_ = status.error_code();
  loop_->BeforeWrite(&context_);
  responder_.FinishWithError(status, ToQueue(&finish_tag_));
}

bool UnaryCall::RefusedUnread() {
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
  FinishWithError(Answer::TurnedAway(*admission));
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

Answer UnaryCall::CallerLeft() const {
  const bool in_time = std::chrono::steady_clock::now() < DeadlineOf(context_);
  return Answer::Of(in_time ? Answer::Kind::kCancelled
                            : Answer::Kind::kDeadline);
}

void UnaryCall::FinishInvalid(Violation violation) {
  method_.pool->CountInvalid(Index(method_.method));
  FinishWithError(Answer::Invalid(std::move(violation)));
}

TimePoint DeadlineOf(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return kForever;
  const auto left = deadline - std::chrono::system_clock::now();
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<Duration>(left);
}

}  // namespace sluice

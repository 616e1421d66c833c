#include "server/calls/stream_call.h"

#include <chrono>
#include <utility>

#include "pool/worker_pool.h"
#include "server/calls/receipt.h"
#include "server/calls/unary_call.h"
#include "server/submissions/answer.h"

namespace sluice {
namespace {

// A stream is read on while no more than this many of its submissions lack a
// receipt, or have one that gRPC has not taken, which keeps 64 KiB of them.
constexpr std::size_t kWindow = 256;

}  // namespace

void StreamCall::Await(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop,
                       StreamSet* streams) {
  auto* call = new StreamCall(method, intake, service, loop, streams);
  call->context_.AsyncNotifyWhenDone(ToQueue(&call->done_tag_));
  service->AwaitStream(method.method, &call->context_, &call->stream_,
                       loop->queue(), ToQueue(&call->request_tag_));
}

StreamCall::StreamCall(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop,
                       StreamSet* streams)
    : method_(method),
      intake_(intake),
      service_(service),
      loop_(loop),
      streams_(streams),
      stream_(&context_),
      request_tag_(this),
      done_tag_(this),
      read_tag_(this),
      write_tag_(this),
      finish_tag_(this) {}

StreamCall::~StreamCall() { streams_->streams.erase(this); }

void StreamCall::OnRequestTag(bool ok) {
  if (!ok) {
    // The server shuts down; "done" never comes for a call that did not start.
    delete this;
    return;
  }
  Await(method_, intake_, service_, loop_, streams_);
  started_at_ = absl::Now();
  method_.rpc_metrics->Started();
  streams_->streams.insert(this);
  draining_ = streams_->draining;
  malformed_ = ReadSending(context_, &sending_);
  GoOn();
}

void StreamCall::Drain() {
  draining_ = true;
  GoOn();
}

void StreamCall::OnReadTag(bool ok) {
  reading_ = false;
  if (!ok) half_closed_ = true;
  // What comes after the end was decided is not taken, nor acknowledged.
  if (ok && !finishing_) return OnMessage();
  GoOn();
  FreeIfHome();
}

void StreamCall::OnMessage() {
  // A stream may live for days: each submission takes the settings anew.
  auto task =
      MakeSubmissionTask(method_, method_.settings->Get(), this, std::size_t{0},
                         SubmissionTask::Parking::kTold);
  task->bytes = message_.Length();
  task->deadline = DeadlineOf(context_);
  sending_.received_at = absl::Now();
  std::optional<Violation> violation;
  if (task->bytes > method_.limits.message_bytes) {
    violation = TooLarge(task->bytes, method_.limits);
  } else {
    Flatten(message_, &task->submission().content);
    violation = intake_.Read(sending_, &task->submission());
  }
  message_.Clear();
  ++unanswered_;
  if (violation.has_value()) {
    method_.pool->CountInvalid(Index(method_.method));
    return OnAnswer(0, task->submission().submission_id,
                    Answer::Invalid(*std::move(violation)));
  }
  task->SetLane(sending_.sender);
  offered_ = task;
  parked_ = task->Arrive();
  GoOn();
}

void StreamCall::OnUnparked() {
  parked_ = false;
  GoOn();
}

void StreamCall::OnAnswer(std::size_t, std::string_view submission_id,
                          const Answer& answer) {
  outbox_.emplace_back(SerializeReceipt(answer, submission_id));
  --unanswered_;
  GoOn();
}

void StreamCall::OnWriteTag(bool ok) {
  writing_ = false;
  if (!ok) cancelled_.store(true, std::memory_order_relaxed);
  GoOn();
  FreeIfHome();
}

void StreamCall::OnDoneTag(bool) {
  done_home_ = true;
  if (context_.IsCancelled()) {
    cancelled_.store(true, std::memory_order_relaxed);
    Leave();
  }
  FreeIfHome();
}

void StreamCall::Leave() {
  if (offered_ != nullptr && offered_->Leave()) --unanswered_;
  GoOn();
}

void StreamCall::OnFinishTag(bool) {
  finish_home_ = true;
  FreeIfHome();
}

void StreamCall::GoOn() {
  if (finishing_) return;
  if (CallerGone()) outbox_.clear();
  if (!writing_ && !outbox_.empty()) Write();
  const bool over = half_closed_ || draining_ || malformed_ || CallerGone();
  const bool room = unanswered_ + outbox_.size() < kWindow;
  if (!over && !reading_ && !parked_ && room) Read();
  if (over && !parked_ && !writing_ && unanswered_ == 0) Finish();
}

void StreamCall::Read() {
  reading_ = true;
  // gRPC tells the sender of the room that there is again.
  loop_->BeforeWrite(&context_);
  stream_.Read(&message_, ToQueue(&read_tag_));
}

void StreamCall::Write() {
  writing_ = true;
  loop_->BeforeWrite(&context_);
  grpc::WriteOptions options;
  // gRPC keeps it until the next is written, and sends all that it has at once.
  // The first of a stream is written as it comes, and with it the metadata.
  if (outbox_.size() > 1) options.set_buffer_hint();
  stream_.Write(outbox_.front(), options, ToQueue(&write_tag_));
  outbox_.pop_front();
}

void StreamCall::Finish() {
  finishing_ = true;
  const grpc::Status status = FinalStatus();
  code_ = status.error_code();
  loop_->BeforeWrite(&context_);
  stream_.Finish(status, ToQueue(&finish_tag_));
}

grpc::Status StreamCall::FinalStatus() {
  if (CallerGone()) {
    return ToStatus(Answer::Of(Answer::Kind::kCancelled), &context_);
  }
  if (malformed_) return ToStatus(Answer::Invalid(*malformed_), &context_);
  if (half_closed_) return grpc::Status::OK;
  return ToStatus(
      Answer::Refused(RefusalReason::kDraining, std::chrono::seconds(1)),
      &context_);
}

void StreamCall::FreeIfHome() {
  if (!done_home_ || !finish_home_ || reading_ || writing_) return;
  method_.rpc_metrics->Handled(code_, absl::Now() - started_at_);
  delete this;
}

}  // namespace sluice

#include "server/stream_call.h"

#include <chrono>
#include <utility>

#include "pool/worker_pool.h"
#include "server/answer.h"
#include "server/unary_call.h"

namespace sluice {
namespace {

// A stream is read on while no more than this many of its submissions lack a
// receipt, or have one that the client has not taken.
constexpr std::size_t kWindow = 256;

}  // namespace

void StreamCall::Await(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop,
                       StreamSet* streams) {
  auto* call = new StreamCall(method, intake, service, loop, streams);
  call->context_.AsyncNotifyWhenDone(ToQueue(&call->done_tag_));
  service->RequestSubmitStream(&call->context_, &call->stream_, loop->queue(),
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
  const auto violation = ReadSending(context_, &sending_);
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    draining_ = streams_->draining;
    malformed_ = violation;
  });
}

void StreamCall::Drain() {
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { draining_ = true; });
}

void StreamCall::OnReadTag(bool ok) {
  bool take = false;
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = false;
    if (!ok) half_closed_ = true;
    // What comes after the end was decided is not taken, nor acknowledged.
    take = ok && !finishing_;
    // Nothing else is read until it is known whether this one is parked.
    if (take) parked_ = true;
  });
  if (take) {
    OnMessage();
  } else {
    FreeIfHome();
  }
}

void StreamCall::OnMessage() {
  const std::size_t entry = messages_++;
  // A stream may live for days: each submission takes the settings anew.
  auto task =
      std::make_shared<SubmissionTask>(method_, method_.settings->Get(), this,
                                       entry, SubmissionTask::Parking::kTold);
  task->bytes = message_.Length();
  task->deadline = DeadlineOf(context_);
  sending_.received_at = absl::Now();
  std::optional<Violation> violation;
  if (task->bytes > method_.limits.message_bytes) {
    violation = TooLarge(task->bytes, method_.limits);
  } else {
    violation = intake_.Read(Flatten(message_), sending_, &task->submission());
  }
  message_.Clear();
  {
    absl::MutexLock lock(&mutex_);
    unanswered_.emplace(entry, task->submission().submission_id);
  }
  if (!violation.has_value()) {
    task->SetLane(sending_.sender);
    return Offer(task, entry);
  }
  method_.pool->CountInvalid(Index(method_.method));
  OnAnswer(entry, Answer::Invalid(*std::move(violation)));
  OnUnparked();
}

void StreamCall::Offer(const std::shared_ptr<SubmissionTask>& task,
                       std::size_t entry) {
  {
    absl::MutexLock lock(&mutex_);
    offered_ = task;
    offered_entry_ = entry;
  }
  if (!task->Arrive()) OnUnparked();
}

void StreamCall::OnUnparked() {
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { parked_ = false; });
}

void StreamCall::OnAnswer(std::size_t entry, const Answer& answer) {
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto unanswered = unanswered_.find(entry);
    outbox_.push_back(ToByteBuffer(ToReceipt(answer, unanswered->second)));
    unanswered_.erase(unanswered);
  });
}

void StreamCall::OnWriteTag(bool ok) {
  if (!ok) cancelled_.store(true, std::memory_order_relaxed);
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { writing_ = false; });
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
  std::shared_ptr<SubmissionTask> offered;
  std::size_t entry = 0;
  {
    absl::MutexLock lock(&mutex_);
    offered = offered_;
    entry = offered_entry_;
  }
  const bool left = offered != nullptr && offered->Leave();
  Update([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (left) unanswered_.erase(entry);
  });
}

void StreamCall::OnFinishTag(bool) {
  {
    absl::MutexLock lock(&mutex_);
    finish_home_ = true;
  }
  FreeIfHome();
}

template <typename Change>
void StreamCall::Update(Change change) {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    change();
    next = Decide();
  }
  Begin(next);
}

StreamCall::Next StreamCall::Decide() {
  Next next;
  if (finishing_) return next;
  if (CallerGone()) outbox_.clear();
  if (!writing_ && !outbox_.empty()) {
    next.write = writing_ = true;
    next.message = outbox_.front();
    outbox_.pop_front();
  }
  const bool over = half_closed_ || draining_ || malformed_ || CallerGone();
  if (!over) {
    next.read =
        !reading_ && !parked_ && unanswered_.size() + outbox_.size() < kWindow;
    reading_ = reading_ || next.read;
  } else if (!parked_ && !writing_ && unanswered_.empty()) {
    next.finish = finishing_ = true;
    next.status = FinalStatus();
    code_ = next.status.error_code();
  }
  return next;
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

void StreamCall::Begin(const Next& next) {
  if (next.read) stream_.Read(&message_, ToQueue(&read_tag_));
  if (next.write) stream_.Write(next.message, ToQueue(&write_tag_));
  if (next.finish) stream_.Finish(next.status, ToQueue(&finish_tag_));
}

void StreamCall::FreeIfHome() {
  grpc::StatusCode code = grpc::StatusCode::OK;
  {
    absl::MutexLock lock(&mutex_);
    if (!done_home_ || !finish_home_ || reading_ || writing_) return;
    code = code_;
  }
  method_.rpc_metrics->Handled(code, absl::Now() - started_at_);
  delete this;
}

}  // namespace sluice

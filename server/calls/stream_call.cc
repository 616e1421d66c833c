#include "server/calls/stream_call.h"

#include <utility>

#include "base/check.h"
#include "pool/worker_pool.h"
#include "server/calls/receipt.h"
#include "server/calls/unary_call.h"
#include "server/submissions/answer.h"

namespace sluice {
namespace {

// Limit for the submissions of a stream that have no receipt yet, or whose
// receipt is in the outbox. At the limit the stream is not read. gRPC itself
// buffers another 64 KiB of receipts.
constexpr std::size_t kWindow = 256;

}  // namespace

void StreamCall::Await(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop,
                       StreamSet* streams) {
  auto* call = new StreamCall(method, intake, service, loop, streams);
  service->AwaitStream(method.method, &call->context_, &call->stream_,
                       loop->queue(), call->StartRequest());
}

StreamCall::StreamCall(const MethodContext& method, const SubmitIntake& intake,
                       RawService* service, CompletionLoop* loop,
                       StreamSet* streams)
    : Call(loop, method.rpc_metrics),
      method_(method),
      intake_(intake),
      service_(service),
      streams_(streams),
      stream_(&context_) {}

StreamCall::~StreamCall() { streams_->streams.erase(this); }

void StreamCall::AwaitAnother() {
  Await(method_, intake_, service_, loop_, streams_);
}

void StreamCall::OnStarted() {
  streams_->streams.insert(this);
  draining_ = streams_->draining;
  malformed_ = ReadSending(context_, &sending_);
  Advance();
}

void StreamCall::Drain() {
  draining_ = true;
  Advance();
}

void StreamCall::OnReadTag(bool ok) {
  if (!ok) half_closed_ = true;
  // Discard a message that arrives after the end of the stream was decided. Its
  // receipt could not be sent any more, so it must not be acknowledged.
  if (!ok || finishing()) return Advance();
  waits_ = loop_->PostIfLong(message_.Length(), &long_message_);
  if (!waits_) OnMessage();
}

void StreamCall::OnLongMessage() {
  waits_ = false;
  loop_->ReadLong(message_.Length());
  OnMessage();
}

void StreamCall::OnMessage() {
  if (message_.Length() <= CompletionLoop::kShortMax) loop_->CountShortCall();
  // A stream may last for days, so each submission uses the current settings.
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
    Flatten(message_, &task->NewSubmission()->content);
    violation = intake_.Read(sending_, task->NewSubmission());
  }
  message_.Clear();
  // Count before Arrive, because Arrive may post the answer.
  ++unanswered_;
  if (violation.has_value()) {
    method_.pool->CountArrival(Index(method_.method), TaskResult::kInvalid);
    return OnAnswer(0, task->submission().submission_id,
                    Answer::Invalid(*std::move(violation)));
  }
  task->SetSender(sending_.sender);
  offered_ = task;
  parked_ = task->Arrive();
  Advance();
}

void StreamCall::OnUnparked() {
  SLUICE_DCHECK(parked_);
  parked_ = false;
  Advance();
}

void StreamCall::OnAnswer(std::size_t, std::string_view submission_id,
                          const Answer& answer) {
  SLUICE_DCHECK_GT(unanswered_, 0u);
  outbox_.emplace_back(SerializeReceipt(answer, submission_id));
  --unanswered_;
  Advance();
}

void StreamCall::OnWriteTag(bool ok) {
  if (!ok) cancelled_.store(true, std::memory_order_relaxed);
  Advance();
}

void StreamCall::OnCancelled() {
  cancelled_.store(true, std::memory_order_relaxed);
  // Only the last submission can be parked. Workers skip the other, queued
  // submissions, but still answer them.
  if (offered_ != nullptr && offered_->Leave()) --unanswered_;
  Advance();
}

void StreamCall::Advance() {
  if (finishing()) return;
  if (CallerCancelled()) outbox_.clear();
  if (!write_.outstanding() && !outbox_.empty()) Write();
  const bool over =
      half_closed_ || draining_ || malformed_ || CallerCancelled();
  const bool room = unanswered_ + outbox_.size() < kWindow;
  if (!over && !read_.outstanding() && !parked_ && !waits_ && room) {
    Read();
  }
  // Wait for unanswered submissions, because their tasks refer to this call,
  // and for a message that has been read but not handled.
  // Wait for an outstanding write, because gRPC would not accept the finish. Do
  // not wait for an outstanding read: it returns once the stream has ended.
  if (over && !parked_ && !waits_ && !write_.outstanding() &&
      unanswered_ == 0) {
    Finish();
  }
}

void StreamCall::Read() {
  // A read may also write: gRPC tells the sender how much it may send
  // (WINDOW_UPDATE).
  loop_->BeforeWrite(&context_);
  stream_.Read(&message_, read_.Start());
}

void StreamCall::Write() {
  loop_->BeforeWrite(&context_);
  grpc::WriteOptions options;
  // With the hint gRPC holds the receipt back, to send it together with the
  // next receipt. Do not set the hint for the last available receipt: nothing
  // would send that receipt. gRPC ignores the hint for the first write of a
  // stream, which carries the metadata.
  if (outbox_.size() > 1) options.set_buffer_hint();
  stream_.Write(outbox_.front(), options, write_.Start());
  outbox_.pop_front();
}

void StreamCall::Finish() {
  const grpc::Status status = FinalStatus();
  loop_->BeforeWrite(&context_);
  stream_.Finish(status, StartFinish(status.error_code()));
}

grpc::Status StreamCall::FinalStatus() {
  if (CallerCancelled()) {
    return ToStatus(Answer::Cancelled(/*deadline_passed=*/false), &context_);
  }
  if (malformed_) return ToStatus(Answer::Invalid(*malformed_), &context_);
  if (half_closed_) return grpc::Status::OK;
  return ToStatus(Answer::ShuttingDown(), &context_);
}

}  // namespace sluice

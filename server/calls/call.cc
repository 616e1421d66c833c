#include "server/calls/call.h"

#include <chrono>

namespace sluice {

Call::Call(CompletionLoop* loop, RpcMetrics* metrics)
    : loop_(loop), metrics_(metrics) {}

Call::~Call() { SLUICE_DCHECK_EQ(operations_, 0); }

void* Call::StartRequest() {
  SLUICE_DCHECK(!started_);
  // gRPC must get the done tag before the call arrives, but returns the tag
  // only if a call does arrive. The tag is therefore counted in OnRequestTag.
  context_.AsyncNotifyWhenDone(done_.StartDue());
  return request_.StartAnywhere();
}

void Call::OnRequestTag(bool ok) {
  // The server shuts down. The request was the only operation, so the call is
  // freed when this function returns.
  if (!ok) return;
  started_ = true;
  // Two operations: "done" and the finish. Count the finish before it is
  // started, because a cancelled call must outlive its done tag until the call
  // is answered.
  operations_ += 2;
  AwaitAnother();
  started_at_ = std::chrono::steady_clock::now();
  if (metrics_ != nullptr) metrics_->Started();
  OnStarted();
}

void Call::OnDoneTag(bool) {
  if (!finishing_ && context_.IsCancelled()) OnCancelled();
}

void* Call::StartFinish(grpc::StatusCode code) {
  SLUICE_DCHECK(loop_->InLoopThread());
  SLUICE_DCHECK(started_ && !finishing_);
  finishing_ = true;
  code_ = code;
  return finish_.StartDue();
}

void Call::OnFinishTag(bool) {}

void Call::Free() {
  SLUICE_DCHECK(!started_ || finishing_);
  if (started_ && metrics_ != nullptr) {
    metrics_->Handled(code_, absl::FromChrono(std::chrono::steady_clock::now() -
                                              started_at_));
  }
  delete this;
}

}  // namespace sluice

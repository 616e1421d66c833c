#include "server/calls/health_service.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"
#include "server/calls/call.h"

namespace sluice {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

// One Check call. See call.h for its life.
class HealthCheck final : public Call {
 public:
  explicit HealthCheck(HealthService* health)
      : Call(health->loop_, /*metrics=*/nullptr),
        health_(health),
        responder_(&context_) {
    health_->service_.RequestCheck(&context_, &request_, &responder_,
                                   loop_->queue(), loop_->queue(),
                                   StartRequest());
  }

 private:
  void AwaitAnother() override { new HealthCheck(health_); }

  void OnStarted() override {
    HealthCheckResponse response;
    response.set_status(health_->StatusOf(request_.service()));
    if (response.status() == HealthCheckResponse::SERVICE_UNKNOWN) {
      const grpc::Status status(grpc::StatusCode::NOT_FOUND, "unknown service");
      responder_.FinishWithError(status, StartFinish(status.error_code()));
    } else {
      responder_.Finish(response, grpc::Status::OK,
                        StartFinish(grpc::StatusCode::OK));
    }
  }

  // Never called: StartFinish is called as soon as the call has arrived.
  void OnCancelled() override { SLUICE_DCHECK(false); }

  HealthService* const health_;
  HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> responder_;
};

// One Watch call: sends the status at once and at every change. See call.h for
// its life.
class HealthWatch final : public Call {
 public:
  explicit HealthWatch(HealthService* health)
      : Call(health->loop_, /*metrics=*/nullptr),
        health_(health),
        writer_(&context_) {
    health_->service_.RequestWatch(&context_, &request_, &writer_,
                                   loop_->queue(), loop_->queue(),
                                   StartRequest());
  }

  // Starts the operation that the state requires. Called after each change of
  // the state.
  void Advance() {
    if (write_.outstanding() || finishing()) return;
    const auto status = health_->StatusOf(request_.service());
    if (status != sent_ && !caller_gone_) {
      HealthCheckResponse response;
      response.set_status(status);
      sent_ = status;
      writer_.Write(response, write_.Start());
    } else if (caller_gone_ || health_->ended()) {
      const grpc::Status over(grpc::StatusCode::UNAVAILABLE,
                              "the server is shutting down");
      writer_.Finish(over, StartFinish(over.error_code()));
    }
  }

 private:
  ~HealthWatch() override { health_->watches_.erase(this); }

  void AwaitAnother() override { new HealthWatch(health_); }

  void OnStarted() override {
    health_->watches_.insert(this);
    Advance();
  }

  void OnCancelled() override {
    caller_gone_ = true;
    Advance();
  }

  void OnWriteTag(bool ok) {
    if (!ok) caller_gone_ = true;
    Advance();
  }

  HealthService* const health_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_;
  Operation<HealthWatch, &HealthWatch::OnWriteTag> write_{this};
  // The status that was sent last; UNKNOWN before the first was sent.
  HealthCheckResponse::ServingStatus sent_ = HealthCheckResponse::UNKNOWN;
  bool caller_gone_ = false;
};

HealthService::HealthService(Lookup lookup)
    : lookup_(std::move(lookup)), refresh_(this), end_watches_(this) {}

void HealthService::Await(CompletionLoop* loop) {
  loop_ = loop;
  new HealthCheck(this);
  new HealthWatch(this);
}

HealthCheckResponse::ServingStatus HealthService::StatusOf(
    const std::string& name) const {
  const std::optional<bool> ready = lookup_(name);
  if (!ready.has_value()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *ready ? HealthCheckResponse::SERVING
                : HealthCheckResponse::NOT_SERVING;
}

void HealthService::Refresh() {
  // A task must not be posted again before it has run.
  if (!refreshing_.exchange(true)) loop_->Post(&refresh_);
}

void HealthService::OnRefresh() {
  SLUICE_DCHECK(loop_->InLoopThread());
  // Reset before the statuses are read: a change after this line posts again.
  refreshing_ = false;
  for (HealthWatch* watch : watches_) watch->Advance();
}

void HealthService::OnEndWatches() {
  SLUICE_DCHECK(loop_->InLoopThread());
  ended_ = true;
  for (HealthWatch* watch : watches_) watch->Advance();
}

}  // namespace sluice

#include "server/calls/health_service.h"

#include <string>

#include "config/method.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"

namespace sluice {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

// One Check. Owns itself.
class HealthCheck {
 public:
  explicit HealthCheck(HealthService* health)
      : health_(health),
        responder_(&context_),
        request_tag_(this),
        finish_tag_(this) {
    grpc::ServerCompletionQueue* queue = health_->loop_->queue();
    health_->service_.RequestCheck(&context_, &request_, &responder_, queue,
                                   queue, ToQueue(&request_tag_));
  }

 private:
  void OnRequestTag(bool ok) {
    if (!ok) return OnFinishTag(ok);
    new HealthCheck(health_);
    HealthCheckResponse response;
    response.set_status(health_->StatusOf(request_.service()));
    if (response.status() == HealthCheckResponse::SERVICE_UNKNOWN) {
      responder_.FinishWithError(
          grpc::Status(grpc::StatusCode::NOT_FOUND, "unknown service"),
          ToQueue(&finish_tag_));
    } else {
      responder_.Finish(response, grpc::Status::OK, ToQueue(&finish_tag_));
    }
  }

  void OnFinishTag(bool /*ok*/) { delete this; }

  HealthService* const health_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> responder_;
  MemberTag<HealthCheck, &HealthCheck::OnRequestTag> request_tag_;
  MemberTag<HealthCheck, &HealthCheck::OnFinishTag> finish_tag_;
};

// One Watch: sends the status, and again when it is another. Owns itself.
class HealthWatch {
 public:
  explicit HealthWatch(HealthService* health)
      : health_(health),
        writer_(&context_),
        request_tag_(this),
        done_tag_(this),
        write_tag_(this),
        finish_tag_(this) {
    context_.AsyncNotifyWhenDone(ToQueue(&done_tag_));
    grpc::ServerCompletionQueue* queue = health_->loop_->queue();
    health_->service_.RequestWatch(&context_, &request_, &writer_, queue, queue,
                                   ToQueue(&request_tag_));
  }

  // Begins what follows from the state.
  void GoOn() {
    if (writing_ || finishing_) return;
    const auto status = health_->StatusOf(request_.service());
    if (status != sent_ && !gone_) {
      HealthCheckResponse response;
      response.set_status(status);
      sent_ = status;
      writing_ = true;
      writer_.Write(response, ToQueue(&write_tag_));
    } else if (gone_ || health_->ended()) {
      finishing_ = true;
      writer_.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                                  "the server is shutting down"),
                     ToQueue(&finish_tag_));
    }
  }

 private:
  ~HealthWatch() { health_->watches_.erase(this); }

  void OnRequestTag(bool ok) {
    if (!ok) {
      // The server shuts down; "done" never comes for what did not start.
      delete this;
      return;
    }
    new HealthWatch(health_);
    health_->watches_.insert(this);
    GoOn();
  }

  void OnWriteTag(bool ok) {
    writing_ = false;
    gone_ = gone_ || !ok;
    GoOn();
  }

  void OnDoneTag(bool /*ok*/) {
    done_home_ = true;
    gone_ = true;
    GoOn();
    FreeIfHome();
  }

  void OnFinishTag(bool /*ok*/) {
    finish_home_ = true;
    FreeIfHome();
  }

  void FreeIfHome() {
    if (done_home_ && finish_home_) delete this;
  }

  HealthService* const health_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_;
  MemberTag<HealthWatch, &HealthWatch::OnRequestTag> request_tag_;
  MemberTag<HealthWatch, &HealthWatch::OnDoneTag> done_tag_;
  MemberTag<HealthWatch, &HealthWatch::OnWriteTag> write_tag_;
  MemberTag<HealthWatch, &HealthWatch::OnFinishTag> finish_tag_;

  HealthCheckResponse::ServingStatus sent_ = HealthCheckResponse::UNKNOWN;
  bool gone_ = false;  // whoever watches
  bool writing_ = false;
  bool finishing_ = false;
  bool done_home_ = false;
  bool finish_home_ = false;
};

HealthService::HealthService() : stop_serving_(this), end_watches_(this) {}

void HealthService::Await(CompletionLoop* loop) {
  loop_ = loop;
  new HealthCheck(this);
  new HealthWatch(this);
}

HealthCheckResponse::ServingStatus HealthService::StatusOf(
    const std::string& name) const {
  if (!name.empty() && name != kServiceName) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return serving_ ? HealthCheckResponse::SERVING
                  : HealthCheckResponse::NOT_SERVING;
}

void HealthService::OnStopServing() {
  serving_ = false;
  for (HealthWatch* watch : watches_) watch->GoOn();
}

void HealthService::OnEndWatches() {
  ended_ = true;
  for (HealthWatch* watch : watches_) watch->GoOn();
}

}  // namespace sluice

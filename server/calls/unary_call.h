// One unary call, from before it arrives until its last operation is home.

#ifndef SLUICE_SERVER_CALLS_UNARY_CALL_H_
#define SLUICE_SERVER_CALLS_UNARY_CALL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/time.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/calls/intake.h"
#include "server/calls/raw_service.h"
#include "server/submissions/answer.h"
#include "server/submissions/method_context.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// Of the loop's thread; owns itself. Of its three operations (the request,
// "done", the finish) the last two come home in either order; the second of
// them frees the call.
class UnaryCall {
 public:
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

 protected:
  UnaryCall(const MethodContext& method, RawService* service,
            CompletionLoop* loop);
  virtual ~UnaryCall() = default;

  // Asks gRPC for the next call.
  void Await();

  // A call has come; `request_` has its bytes.
  virtual void OnRequest() = 0;
  // To put another call of its kind in its place, before anything else.
  virtual void AwaitAnother() = 0;
  // The caller has gone, or its deadline has passed. Finish is still due.
  virtual void OnCancelled() = 0;

  // The one answer, a serialized message.
  void FinishWith(std::string_view response);
  // For an answer that is not ok.
  void FinishWithError(const Answer& answer);

  // Answers, and returns true, if the pool refuses the call before it is read.
  bool RefusedUnread();
  // What is wrong with the request before its content is looked at.
  std::optional<Violation> ReadRequest(Sending* sending) const;
  // Its bytes; the request is empty afterwards.
  void TakeRequest(std::string* bytes);
  // The answer to a caller that has gone, or whose deadline has passed.
  Answer CallerLeft() const;
  // Answers that the request is not fit to be let in.
  void FinishInvalid(Violation violation);

  const MethodContext& method_;
  // As they were when the call came; null before.
  std::shared_ptr<const MethodSettings> settings_;
  RawService* const service_;
  CompletionLoop* const loop_;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;

 private:
  void OnRequestTag(bool ok);
  void OnDoneTag(bool ok);
  void OnFinishTag(bool ok);
  void FreeIfHome();
  // Nothing where the request must be read to know it.
  std::optional<std::uint64_t> LaneBeforeReading() const;

  RawService::Responder responder_;
  MemberTag<UnaryCall, &UnaryCall::OnRequestTag> request_tag_;
  MemberTag<UnaryCall, &UnaryCall::OnDoneTag> done_tag_;
  MemberTag<UnaryCall, &UnaryCall::OnFinishTag> finish_tag_;
  absl::Time started_at_;
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  bool done_home_ = false;
  bool finish_home_ = false;
};

// A caller's deadline on the monotonic clock; kForever where there is none.
TimePoint DeadlineOf(const grpc::ServerContext& context);

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_UNARY_CALL_H_

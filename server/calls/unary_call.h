// One unary call: reads the request, and answers exactly once.

#ifndef SLUICE_SERVER_CALLS_UNARY_CALL_H_
#define SLUICE_SERVER_CALLS_UNARY_CALL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/calls/call.h"
#include "server/calls/intake.h"
#include "server/calls/raw_service.h"
#include "server/submissions/answer.h"
#include "server/submissions/method_context.h"

namespace sluice {

// See call.h for the life of a call, its ownership and its thread. Exactly one
// of the Finish functions must be called, in OnRequest or later.
class UnaryCall : public Call {
 protected:
  // `method` and `service` must outlive the server's shutdown.
  UnaryCall(const MethodContext& method, RawService* service,
            CompletionLoop* loop);

  // Asks gRPC for the next call.
  void Await();

  // Called when the call has arrived. `request_` contains the request.
  virtual void OnRequest() = 0;
  // Like OnCancelled, but not called before OnRequest.
  virtual void OnCallerLeft() = 0;

  // Ends the call with OK and a serialized message.
  void FinishWith(std::string_view response);
  // Ends the call with the status of an answer that is not ok.
  void FinishWithError(const Answer& answer);
  // Ends the call with INVALID_ARGUMENT, and counts the request as invalid.
  void FinishInvalid(Violation violation);
  // Returns true if the pool refuses the call before the request has been read.
  // The call has then ended, or its refusal waits (refusal_pace.h).
  bool RefuseUnread();

  // Reads the metadata. Returns a violation if the metadata is malformed or the
  // request is too large.
  std::optional<Violation> ReadRequest(Sending* sending) const;
  // Moves the bytes of the request to `bytes`. The request is empty afterwards.
  void TakeRequest(std::string* bytes);
  // Returns the answer to a caller that has cancelled or disconnected, or whose
  // deadline has passed.
  Answer AnswerToCancelled() const;

  const MethodContext& method_;
  // The method's settings at the arrival of the call; null before.
  std::shared_ptr<const MethodSettings> settings_;
  RawService* const service_;
  grpc::ByteBuffer request_;

 private:
  void OnStarted() final;
  void OnCancelled() final;
  // Reads a long request, which had to wait.
  void ReadLong();
  // Sends a refusal, which had to wait.
  void SendRefusal();
  // Returns the lane of the call, or nothing if the lane depends on the content
  // of the request.
  std::optional<std::uint64_t> LaneBeforeReading() const;

  RawService::Responder responder_;
  MemberLoopTask<UnaryCall, &UnaryCall::ReadLong> read_long_{this};
  // True while the request waits to be read.
  bool waits_ = false;
  MemberLoopTask<UnaryCall, &UnaryCall::SendRefusal> send_refusal_{this};
  // The refusal that waits; null if no refusal had to wait.
  std::unique_ptr<const Answer> refusal_;
  // True if the caller left before the request was read.
  bool left_ = false;
};

// Returns the caller's deadline on the monotonic clock; kForever if the call
// has none.
TimePoint DeadlineOf(const grpc::ServerContext& context);

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_UNARY_CALL_H_

// SubmitStream: submissions and receipts on one stream.

#ifndef SLUICE_SERVER_CALLS_STREAM_CALL_H_
#define SLUICE_SERVER_CALLS_STREAM_CALL_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "grpcpp/support/byte_buffer.h"
#include "server/calls/call.h"
#include "server/calls/intake.h"
#include "server/calls/raw_service.h"
#include "server/submissions/method_context.h"
#include "server/submissions/submission_task.h"

namespace sluice {

class StreamCall;

// The streams of one completion loop. Must be used on the loop's thread only.
struct StreamSet {
  std::set<StreamCall*> streams;
  // True while the server shuts down: streams that arrive are ended at once.
  bool draining = false;
};

// Reads one message at a time. Does not read while a submission is parked or
// too many receipts are due: HTTP/2 flow control then slows the sender down.
// Sends receipts in the order in which submissions complete, one write at a
// time.
//
// See call.h for the life of a call, its ownership and its thread. In addition
// to the tags of call.h, at most one read and one write are outstanding. Each
// event changes the state; Advance then starts the operations that the state
// allows.
class StreamCall final : public Call, public SubmissionOwner {
 public:
  // Asks gRPC for a call. All arguments must outlive the server's shutdown.
  static void Await(const MethodContext& method, const SubmitIntake& intake,
                    RawService* service, CompletionLoop* loop,
                    StreamSet* streams);

  // Ends the stream once its receipts are sent, because the server shuts down.
  void Drain();

  bool CallerCancelled() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  CompletionLoop* loop() const override { return loop_; }
  void OnUnparked() override;
  void OnAnswer(std::size_t entry, std::string_view submission_id,
                const Answer& answer) override;

 private:
  StreamCall(const MethodContext& method, const SubmitIntake& intake,
             RawService* service, CompletionLoop* loop, StreamSet* streams);
  ~StreamCall() override;

  void AwaitAnother() override;
  void OnStarted() override;
  void OnCancelled() override;
  void OnReadTag(bool ok);
  void OnWriteTag(bool ok);

  // Handles a message that has been read.
  void OnMessage();
  // Handles a long message, which had to wait.
  void OnLongMessage();

  // Starts the operations that the state allows. Called after each change of
  // the state.
  void Advance();
  void Read();
  void Write();
  void Finish();
  grpc::Status FinalStatus();

  const MethodContext& method_;
  const SubmitIntake& intake_;
  RawService* const service_;
  StreamSet* const streams_;

  RawService::Stream stream_;
  Operation<StreamCall, &StreamCall::OnReadTag> read_{this};
  Operation<StreamCall, &StreamCall::OnWriteTag> write_{this};
  grpc::ByteBuffer message_;  // the message that was read last
  std::atomic<bool> cancelled_{false};

  Sending sending_;
  // Number of submissions without an answer.
  std::size_t unanswered_ = 0;
  // The submission that was offered to the pool last.
  std::shared_ptr<SubmissionTask> offered_;
  // Receipts that are not yet passed to gRPC.
  std::deque<SerializedMessage> outbox_;
  // True from the parking of `offered_` until OnUnparked is called.
  bool parked_ = false;
  // True while `message_` is long and waits for OnLongMessage.
  bool waits_ = false;
  MemberLoopTask<StreamCall, &StreamCall::OnLongMessage> long_message_{this};
  // True if the caller has sent its last message, or the connection has failed.
  bool half_closed_ = false;
  // Set if the metadata of the call is malformed.
  std::optional<Violation> malformed_;
  bool draining_ = false;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_STREAM_CALL_H_

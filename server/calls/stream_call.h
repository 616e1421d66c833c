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

#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/calls/intake.h"
#include "server/calls/raw_service.h"
#include "server/submissions/method_context.h"
#include "server/submissions/submission_task.h"
#include "server/transport/completion_loop.h"

namespace sluice {

class StreamCall;

// The streams of one completion loop. Used on its thread only.
struct StreamSet {
  std::set<StreamCall*> streams;
  // No new submissions: streams are ended once their receipts are sent.
  bool draining = false;
};

// The stream is read one message at a time, and not at all while a submission
// is parked or too many receipts are due: HTTP/2 flow control then holds back
// the sender. Receipts are sent in the order of completion, one write at a
// time.
//
// Owns itself; freed when its last operation is home. Of the loop's thread.
// After every change of state it is decided which operations follow.
class StreamCall final : public SubmissionOwner {
 public:
  // Waits for a call. Everything must outlive the server's shutdown.
  static void Await(const MethodContext& method, const SubmitIntake& intake,
                    RawService* service, CompletionLoop* loop,
                    StreamSet* streams);

  // The server shuts down: ends the stream once its receipts are sent.
  void Drain();

  bool CallerGone() const override {
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

  void OnRequestTag(bool ok);
  void OnDoneTag(bool ok);
  void OnReadTag(bool ok);
  void OnWriteTag(bool ok);
  void OnFinishTag(bool ok);

  // A message has been read.
  void OnMessage();
  // Takes back what may be parked or queued of a caller that has gone.
  void Leave();

  // Begins what follows from the state.
  void GoOn();
  void Read();
  void Write();
  void Finish();
  grpc::Status FinalStatus();
  void FreeIfHome();

  const MethodContext& method_;
  const SubmitIntake& intake_;
  RawService* const service_;
  CompletionLoop* const loop_;
  StreamSet* const streams_;

  grpc::ServerContext context_;
  RawService::Stream stream_;
  MemberTag<StreamCall, &StreamCall::OnRequestTag> request_tag_;
  MemberTag<StreamCall, &StreamCall::OnDoneTag> done_tag_;
  MemberTag<StreamCall, &StreamCall::OnReadTag> read_tag_;
  MemberTag<StreamCall, &StreamCall::OnWriteTag> write_tag_;
  MemberTag<StreamCall, &StreamCall::OnFinishTag> finish_tag_;
  absl::Time started_at_;
  grpc::ByteBuffer message_;  // of the read
  std::atomic<bool> cancelled_{false};

  Sending sending_;
  // Submissions that are not answered yet.
  std::size_t unanswered_ = 0;
  // The last one offered.
  std::shared_ptr<SubmissionTask> offered_;
  std::deque<SerializedMessage> outbox_;
  // The last one read is parked, or has not found its way yet.
  bool parked_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool half_closed_ = false;
  std::optional<Violation> malformed_;  // metadata
  bool draining_ = false;
  bool finishing_ = false;
  bool finish_home_ = false;
  bool done_home_ = false;
  grpc::StatusCode code_ = grpc::StatusCode::OK;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_STREAM_CALL_H_

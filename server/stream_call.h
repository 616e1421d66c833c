// SubmitStream: submissions and receipts on one stream.

#ifndef SLUICE_SERVER_STREAM_CALL_H_
#define SLUICE_SERVER_STREAM_CALL_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/completion_loop.h"
#include "server/intake.h"
#include "server/method_context.h"
#include "server/raw_service.h"
#include "server/submission_task.h"

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
// Owns itself; freed on the queue's thread when its last operation is home.
// Every change of state decides, under the lock, which operations follow; they
// are begun without it.
class StreamCall final : public SubmissionOwner {
 public:
  // Waits for a call. Everything must outlive the server's shutdown.
  static void Await(const MethodContext& method, const SubmitIntake& intake,
                    RawService* service, CompletionLoop* loop,
                    StreamSet* streams);

  // The server shuts down: ends the stream once its receipts are sent. On the
  // queue's thread.
  void Drain();

  bool CallerGone() const override {
    return cancelled_.load(std::memory_order_relaxed);
  }
  void OnUnparked() override;
  void OnAnswer(std::size_t entry, const Answer& answer) override;

 private:
  // What is to be begun once the lock is gone.
  struct Next {
    bool read = false;
    bool write = false;
    bool finish = false;
    grpc::ByteBuffer message;
    grpc::Status status;
  };

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
  // Offers it to the pool.
  void Offer(const std::shared_ptr<SubmissionTask>& task, std::size_t entry);
  // Takes back what may be parked or queued of a caller that has gone.
  void Leave();

  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status FinalStatus() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Changes the state by `change` and begins what follows from it.
  template <typename Change>
  void Update(Change change);
  void Begin(const Next& next);
  void FreeIfHome();

  const MethodContext& method_;
  const SubmitIntake& intake_;
  RawService* const service_;
  CompletionLoop* const loop_;
  StreamSet* const streams_;

  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_;
  MemberTag<StreamCall, &StreamCall::OnRequestTag> request_tag_;
  MemberTag<StreamCall, &StreamCall::OnDoneTag> done_tag_;
  MemberTag<StreamCall, &StreamCall::OnReadTag> read_tag_;
  MemberTag<StreamCall, &StreamCall::OnWriteTag> write_tag_;
  MemberTag<StreamCall, &StreamCall::OnFinishTag> finish_tag_;
  absl::Time started_at_;
  grpc::ByteBuffer message_;  // of the read
  std::atomic<bool> cancelled_{false};

  // Of the queue's thread.
  Sending sending_;
  std::size_t messages_ = 0;
  bool done_home_ = false;

  absl::Mutex mutex_;
  // Submissions that are not answered yet, by number of message.
  absl::flat_hash_map<std::size_t, std::string> unanswered_
      ABSL_GUARDED_BY(mutex_);
  // The last one offered.
  std::shared_ptr<SubmissionTask> offered_ ABSL_GUARDED_BY(mutex_);
  std::size_t offered_entry_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<grpc::ByteBuffer> outbox_ ABSL_GUARDED_BY(mutex_);
  // The last one read is parked, or has not found its way yet.
  bool parked_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Violation> malformed_ ABSL_GUARDED_BY(mutex_);  // metadata
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_home_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::StatusCode code_ ABSL_GUARDED_BY(mutex_) = grpc::StatusCode::OK;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_STREAM_CALL_H_

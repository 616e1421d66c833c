// Makes many unary calls at once from one test thread.

#ifndef SLUICE_TESTS_FAKES_ASYNC_CALLER_H_
#define SLUICE_TESTS_FAKES_ASYNC_CALLER_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "sluice/v1/ingestion.grpc.pb.h"

namespace sluice {

// A call of Submit that has been started.
struct AsyncSubmit {
  grpc::ClientContext context;
  v1::Receipt receipt;
  grpc::Status status;
  std::size_t ended_as = 0;  // order of the ends: 1 for the first
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Receipt>> reader;
  bool ended = false;
};

class AsyncCaller {
 public:
  explicit AsyncCaller(std::shared_ptr<grpc::Channel> channel);
  // Waits for all calls, and cancels calls that do not end.
  ~AsyncCaller();

  // Starts a call. This object owns the call.
  AsyncSubmit& Submit(const v1::SubmitRequest& request,
                      std::optional<absl::Duration> deadline = std::nullopt);

  // Waits until `count` calls have ended, at most for kPatience. Returns the
  // number of calls that have ended.
  std::size_t AwaitEnded(std::size_t count);
  bool Ended(const AsyncSubmit& call) const;
  // Waits until `call` has ended, and returns it. Fails the test after
  // kPatience.
  const AsyncSubmit& Await(const AsyncSubmit& call) const;
  // Starts a call and waits until it has ended.
  const AsyncSubmit& SubmitAndWait(const v1::SubmitRequest& request);

 private:
  void Run();

  const std::unique_ptr<v1::Ingestion::Stub> stub_;
  grpc::CompletionQueue queue_;
  std::deque<AsyncSubmit> calls_;  // used by the test's thread only

  mutable absl::Mutex mutex_;
  std::size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_ASYNC_CALLER_H_

// sluice-blocking-pool: the obvious design, to compare Sluice with. A thread
// takes calls from the completion queue, each a new object with a request
// parsed by gRPC, and puts them into a bounded queue under one mutex. If the
// queue is full, the thread blocks. Workers take one call at a time, sleep to
// simulate a store (--delay=0: no sleep), and answer. Deadlines are ignored.

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/queue_server.h"
#include "stores/kinds/discard_kind.h"
#include "tools/flags.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "address to listen on; port 0 takes a free one");
ABSL_FLAG(int, workers, 4, "threads that answer");
ABSL_FLAG(int, capacity, 128, "of the queue");
ABSL_FLAG(absl::Duration, delay, absl::Milliseconds(5),
          "the mean time that a worker is at a call");
ABSL_FLAG(std::string, jitter, "constant",
          "how that is distributed: constant, exponential or pareto");

namespace sluice {
namespace {

using AsyncService =
    v1::Ingestion::WithAsyncMethod_Submit<v1::Ingestion::Service>;

struct Call {
  bool answered = false;
  v1::SubmitRequest request;
  grpc::ServerContext context;
  grpc::ServerAsyncResponseWriter<v1::Receipt> responder{&context};
};

class BlockingQueue {
 public:
  explicit BlockingQueue(std::size_t capacity) : capacity_(capacity) {}

  void Push(Call* call) {
    absl::MutexLock lock(&mutex_);
    while (calls_.size() >= capacity_) not_full_.Wait(&mutex_);
    calls_.push_back(call);
    not_empty_.Signal();
  }

  Call* Pop() {
    absl::MutexLock lock(&mutex_);
    while (calls_.empty()) not_empty_.Wait(&mutex_);
    Call* call = calls_.front();
    calls_.pop_front();
    not_full_.Signal();
    return call;
  }

 private:
  const std::size_t capacity_;
  absl::Mutex mutex_;
  absl::CondVar not_full_;
  absl::CondVar not_empty_;
  std::deque<Call*> calls_ ABSL_GUARDED_BY(mutex_);
};

struct ServiceTime {
  absl::Duration mean;
  Jitter jitter;
};

class PoolServer {
 public:
  PoolServer(std::size_t capacity, ServiceTime time)
      : time_(time), calls_(capacity) {}

  bool Start(const std::string& address) { return server_.Start(address); }
  int port() const { return server_.port(); }

  // Accept and Work run until the process ends.
  [[noreturn]] void Accept() {
    for (int i = 0; i < kPrePosted; ++i) Arm();
    for (;;) {
      void* tag = nullptr;
      bool ok = false;
      if (!server_.queue()->Next(&tag, &ok)) std::abort();
      auto* call = static_cast<Call*>(tag);
      if (call->answered || !ok) {
        delete call;
        continue;
      }
      Arm();
      calls_.Push(call);
    }
  }
  [[noreturn]] void Work() {
    std::mt19937_64 random{std::random_device()()};
    std::uniform_real_distribution<double> uniform;
    for (;;) {
      Call* call = calls_.Pop();
      if (time_.mean > absl::ZeroDuration()) {
        absl::SleepFor(Jittered(time_.mean, time_.jitter, uniform(random)));
      }
      v1::Receipt receipt = receipt_;
      receipt.set_submission_id(call->request.submission_id());
      call->answered = true;
      call->responder.Finish(receipt, grpc::Status::OK, call);
    }
  }

 private:
  void Arm() {
    auto* call = new Call;
    server_.service().RequestSubmit(&call->context, &call->request,
                                    &call->responder, server_.queue(),
                                    server_.queue(), call);
  }

  const v1::Receipt receipt_ = FixedReceipt();
  const ServiceTime time_;
  BlockingQueue calls_;
  QueueServer<AsyncService> server_;
};

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  const auto jitter = ParseJitter(absl::GetFlag(FLAGS_jitter));
  if (!line.ok() || !line->positional.empty() || !jitter.has_value() ||
      absl::GetFlag(FLAGS_workers) < 1 || absl::GetFlag(FLAGS_capacity) < 1) {
    std::cerr << "sluice-blocking-pool: "
              << (line.ok() ? "bad usage" : line.status().message())
              << " (see --help)\n";
    return kExitUsage;
  }
  if (line->help) {
    std::cout << "usage: sluice-blocking-pool [flags]\n"
              << DescribeFlags("bench/blocking_pool.cc");
    return EXIT_SUCCESS;
  }

  PoolServer server(static_cast<std::size_t>(absl::GetFlag(FLAGS_capacity)),
                    {.mean = absl::GetFlag(FLAGS_delay), .jitter = *jitter});
  if (!server.Start(absl::GetFlag(FLAGS_listen))) {
    std::cerr << "sluice-blocking-pool: cannot listen on "
              << absl::GetFlag(FLAGS_listen) << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "listening on port " << server.port() << std::endl;
  // Runs until a signal ends the process. There is nothing to save.
  const int count = absl::GetFlag(FLAGS_workers);
  std::vector<std::thread> workers;
  workers.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    workers.emplace_back([&server] { server.Work(); });
  }
  server.Accept();
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

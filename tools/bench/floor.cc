// sluice-floor: the least that a completion-queue server can do. It takes
// Submit as raw bytes and answers each call with the same receipt, unread. What
// Sluice reaches on the same machine is told as a ratio to this. With --hold it
// answers nothing: so much memory do calls take in gRPC alone.

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/synchronization/mutex.h"
#include "tools/bench/raw_submit.h"
#include "tools/flags.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "address to listen on; port 0 takes a free one");
ABSL_FLAG(bool, hold, false, "answer no call, and keep them all instead");

namespace sluice {
namespace {

// One call at a time: armed, answered, then free to be armed again.
struct Call {
  bool answered = false;
  grpc::ByteBuffer request;
  std::optional<grpc::ServerContext> context;
  std::optional<grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> responder;
};

class FloorServer {
 public:
  explicit FloorServer(bool hold) : hold_(hold) {}

  bool Start(const std::string& address) { return transport_.Start(address); }
  int port() const { return transport_.port(); }

  // Serves until Stop.
  void Serve() {
    for (int i = 0; i < kPrePosted; ++i) Arm();
    void* tag = nullptr;
    bool ok = false;
    while (transport_.queue()->Next(&tag, &ok)) {
      auto* call = static_cast<Call*>(tag);
      if (call->answered || !ok) {
        free_.push_back(call);
        continue;
      }
      Arm();
      if (hold_) continue;
      call->answered = true;
      call->responder->Finish(receipt_, grpc::Status::OK, call);
    }
  }

  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    transport_.Stop();
  }

 private:
  void Arm() {
    // A queue that is shut down must not be asked for more.
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    if (free_.empty()) {
      free_.push_back(calls_.emplace_back(std::make_unique<Call>()).get());
    }
    Call* call = free_.back();
    free_.pop_back();
    call->answered = false;
    call->responder.reset();
    call->context.emplace();
    call->responder.emplace(&*call->context);
    transport_.Await(&*call->context, &call->request, &*call->responder, call);
  }

  const bool hold_;
  const grpc::ByteBuffer receipt_ = FixedReceipt();
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> free_;
  RawSubmitTransport transport_;
};

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (!line.ok() || !line->positional.empty()) {
    std::cerr << "sluice-floor: "
              << (line.ok() ? "takes no arguments" : line.status().message())
              << "\n";
    return kExitUsage;
  }
  if (line->help) {
    std::cout << "usage: sluice-floor [flags]\n"
              << DescribeFlags("tools/bench/floor.cc");
    return EXIT_SUCCESS;
  }

  // Before any thread starts, so that all of them leave the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  FloorServer server(absl::GetFlag(FLAGS_hold));
  if (!server.Start(absl::GetFlag(FLAGS_listen))) {
    std::cerr << "sluice-floor: cannot listen on "
              << absl::GetFlag(FLAGS_listen) << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "listening on port " << server.port() << std::endl;
  std::thread serving([&server] { server.Serve(); });
  int signal = 0;
  sigwait(&signals, &signal);
  server.Stop();
  serving.join();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

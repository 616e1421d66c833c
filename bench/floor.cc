// sluice-floor: a minimal completion-queue server. The server takes Submit and
// SubmitStream as raw bytes on one thread, and answers at once without parsing
// the requests. Benchmarks report Sluice's results as ratios to it.
//   --parse   parses each request into a reused message and serializes answers
//   --cork    sends answers together, as Sluice does
//   --refuse  answers calls with a bare status, which costs gRPC more than a
//             message
//   --hold    never answers, to measure gRPC's own memory for open calls

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "bench/queue_server.h"
#include "server/transport/held_writes.h"
#include "server/transport/peer_sockets.h"
#include "tools/flags.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "address to listen on; port 0 takes a free one");
ABSL_FLAG(bool, parse, false, "parse requests, and serialize answers");
ABSL_FLAG(bool, cork, false,
          "let answers go out together once there is nothing else to do");
ABSL_FLAG(bool, refuse, false, "answer calls with RESOURCE_EXHAUSTED");
ABSL_FLAG(bool, hold, false, "answer no call, and keep them all instead");

namespace sluice {
namespace {

using RawService = v1::Ingestion::WithRawMethod_Submit<
    v1::Ingestion::WithRawMethod_SubmitStream<v1::Ingestion::Service>>;

class Answers {
 public:
  explicit Answers(bool parse) : parse_(parse) {}

  // The result is valid until the next call.
  const grpc::ByteBuffer& ToCall(grpc::ByteBuffer& request) {
    if (!parse_) return fixed_;
    parsed_ = Parsed(request);
    return parsed_;
  }

  // A receipt in a stream must have the id of its message.
  grpc::ByteBuffer ToMessage(grpc::ByteBuffer& request) {
    return parse_ ? Parsed(request) : Named(request);
  }

 private:
  static grpc::ByteBuffer ToBuffer(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    return {&slice, 1};
  }

  grpc::ByteBuffer Parsed(grpc::ByteBuffer& request) {
    grpc::ByteBuffer answer;
    bool own = false;
    if (!grpc::SerializationTraits<v1::SubmitRequest>::Deserialize(&request,
                                                                   &request_)
             .ok()) {
      return fixed_;
    }
    receipt_.set_submission_id(request_.submission_id());
    grpc::SerializationTraits<v1::Receipt>::Serialize(receipt_, &answer, &own);
    return answer;
  }

  // Copies the id as bytes, because it is the first field of both messages.
  grpc::ByteBuffer Named(const grpc::ByteBuffer& request) {
    grpc::Slice slice;
    if (!request.TrySingleSlice(&slice).ok() &&
        !request.DumpToSingleSlice(&slice).ok()) {
      return fixed_;
    }
    const std::size_t size = kIdHead + receipt_.submission_id().size();
    if (slice.size() < size ||
        std::memcmp(slice.begin(), bytes_.data(), kIdHead) != 0) {
      return fixed_;
    }
    std::memcpy(bytes_.data(), slice.begin(), size);
    return ToBuffer(bytes_);
  }

  static constexpr std::size_t kIdHead = 2;  // bytes of field number and length

  const bool parse_;
  v1::SubmitRequest request_;
  v1::Receipt receipt_ = FixedReceipt();
  std::string bytes_ = receipt_.SerializeAsString();
  const grpc::ByteBuffer fixed_ = ToBuffer(bytes_);
  grpc::ByteBuffer parsed_;
};

// Corks sockets like Sluice's completion loop, if enabled.
class Corks {
 public:
  explicit Corks(bool on) : on_(on) {}

  void BeforeWrite(const grpc::ServerContext& context) {
    if (!on_) return;
    const std::string peer = context.peer();
    if (!sockets_.Find(peer)) FindSockets();
    held_.Hold(peer);
  }

  bool Next(grpc::CompletionQueue* queue, void** tag, bool* ok) {
    return held_.Next(queue, tag, ok);
  }

 private:
  // Finds the connections' sockets among the descriptors of the process,
  // because gRPC's listener does not report them.
  void FindSockets() {
    std::error_code error;
    for (const auto& file :
         std::filesystem::directory_iterator("/proc/self/fd", error)) {
      int fd = -1;
      if (absl::SimpleAtoi(file.path().filename().string(), &fd)) {
        sockets_.Add(fd);
      }
    }
  }

  const bool on_;
  PeerSockets sockets_;
  HeldWrites held_{&sockets_};
};

// A tag of the completion queue.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void Home(bool ok) = 0;
};

class FloorServer {
 public:
  enum class Calls { kAnswer, kRefuse, kHold };
  struct Options {
    bool parse;
    bool cork;
    Calls calls;
  };

  explicit FloorServer(const Options& options);
  ~FloorServer();

  bool Start(const std::string& address) { return server_.Start(address); }
  int port() const { return server_.port(); }

  // Serves until Stop is called.
  void Serve();
  void Stop();

 private:
  class Call;
  class Stream;

  // All calls, reused.
  template <typename T>
  struct Pool {
    std::vector<std::unique_ptr<T>> all;
    std::vector<T*> free;
  };

  // No operation may be started on a queue that is shut down.
  template <typename T>
  void Arm(Pool<T>& pool) {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    if (pool.free.empty()) {
      pool.free.push_back(
          pool.all.emplace_back(std::make_unique<T>(*this)).get());
    }
    T* next = pool.free.back();
    pool.free.pop_back();
    next->Await();
  }
  bool stopping() {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  Answers answers_;
  Corks corks_;
  const Calls then_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Pool<Call> calls_;
  Pool<Stream> streams_;
  QueueServer<RawService> server_;
};

// Handles one call at a time: requested, answered, then requested again.
class FloorServer::Call final : public Operation {
 public:
  explicit Call(FloorServer& floor) : floor_(floor) {}

  void Await() {
    answered_ = false;
    responder_.reset();
    context_.emplace();
    responder_.emplace(&*context_);
    auto& server = floor_.server_;
    server.service().RequestSubmit(&*context_, &request_, &*responder_,
                                   server.queue(), server.queue(), this);
  }

  void Home(bool ok) override {
    if (answered_ || !ok) return floor_.calls_.free.push_back(this);
    floor_.Arm(floor_.calls_);
    if (floor_.then_ == Calls::kHold) return;
    answered_ = true;
    floor_.corks_.BeforeWrite(*context_);
    if (floor_.then_ == Calls::kRefuse) {
      return responder_->FinishWithError(
          {grpc::StatusCode::RESOURCE_EXHAUSTED, ""}, this);
    }
    responder_->Finish(floor_.answers_.ToCall(request_), grpc::Status::OK,
                       this);
  }

 private:
  FloorServer& floor_;
  bool answered_ = false;
  grpc::ByteBuffer request_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> responder_;
};

// Handles one stream at a time: reads a message, writes its receipt, and so on.
class FloorServer::Stream final : public Operation {
 public:
  explicit Stream(FloorServer& floor) : floor_(floor) {}

  void Await() {
    step_ = Step::kAccept;
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    auto& server = floor_.server_;
    server.service().RequestSubmitStream(&*context_, &*stream_, server.queue(),
                                         server.queue(), this);
  }

  void Home(bool ok) override {
    const Step done = std::exchange(step_, Step::kFinish);
    if (done == Step::kFinish || (done == Step::kAccept && !ok)) {
      return floor_.streams_.free.push_back(this);
    }
    if (done == Step::kAccept) floor_.Arm(floor_.streams_);
    if (floor_.stopping()) return;
    if (!ok) {
      stream_->Finish(grpc::Status::OK, this);
    } else if (done == Step::kRead) {
      step_ = Step::kWrite;
      floor_.corks_.BeforeWrite(*context_);
      stream_->Write(floor_.answers_.ToMessage(message_), this);
    } else {
      step_ = Step::kRead;
      stream_->Read(&message_, this);
    }
  }

 private:
  enum class Step { kAccept, kRead, kWrite, kFinish };

  FloorServer& floor_;
  Step step_ = Step::kAccept;
  grpc::ByteBuffer message_;
  std::optional<grpc::ServerContext> context_;
  std::optional<
      grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>
      stream_;
};

FloorServer::FloorServer(const Options& options)
    : answers_(options.parse), corks_(options.cork), then_(options.calls) {}

FloorServer::~FloorServer() = default;

void FloorServer::Serve() {
  for (int i = 0; i < kPrePosted; ++i) {
    Arm(calls_);
    Arm(streams_);
  }
  void* tag = nullptr;
  bool ok = false;
  while (corks_.Next(server_.queue(), &tag, &ok)) {
    static_cast<Operation*>(tag)->Home(ok);
  }
}

void FloorServer::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  server_.Stop();
}

FloorServer::Calls ReadCallsFlags() {
  if (absl::GetFlag(FLAGS_hold)) return FloorServer::Calls::kHold;
  return absl::GetFlag(FLAGS_refuse) ? FloorServer::Calls::kRefuse
                                     : FloorServer::Calls::kAnswer;
}

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
              << DescribeFlags("bench/floor.cc");
    return EXIT_SUCCESS;
  }

  // Block the signals before any thread starts, so that all threads leave them
  // to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  FloorServer server({.parse = absl::GetFlag(FLAGS_parse),
                      .cork = absl::GetFlag(FLAGS_cork),
                      .calls = ReadCallsFlags()});
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

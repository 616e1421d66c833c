#include "server/completion_loop.h"

#include <utility>

#include "absl/base/config.h"

// gRPC's packages are not instrumented, so ThreadSanitizer is told that what
// came before an operation comes before its tag's return.
#ifdef ABSL_HAVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#else
static void __tsan_acquire(void*) {}
static void __tsan_release(void*) {}
#endif

namespace sluice {

void* ToQueue(Tag* tag) {
  __tsan_release(tag);
  return tag;
}

CompletionLoop::CompletionLoop(
    std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)) {}

CompletionLoop::~CompletionLoop() { Join(); }

void CompletionLoop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CompletionLoop::Join() {
  if (joined_) return;
  joined_ = true;
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();
  }
}

void CompletionLoop::Run() {
  void* returned = nullptr;
  bool ok = false;
  while (queue_->Next(&returned, &ok)) {
    __tsan_acquire(returned);
    static_cast<Tag*>(returned)->OnEvent(ok);
  }
}

}  // namespace sluice

#include "server/transport/completion_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/base/config.h"
#include "grpc/grpc.h"
#include "grpc/support/alloc.h"

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

void ErrandList::PushBack(Errand* errand) {
  errand->next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = errand;
  last_ = errand;
}

void ErrandList::Append(ErrandList* other) {
  if (other->empty()) return;
  (last_ != nullptr ? last_->next_ : first_) = other->first_;
  last_ = other->last_;
  *other = ErrandList();
}

Errand* ErrandList::PopFront() {
  Errand* errand = first_;
  first_ = errand->next_;
  if (first_ == nullptr) last_ = nullptr;
  return errand;
}

namespace {

// Of this thread.
thread_local CompletionLoop* running_loop = nullptr;
thread_local CompletionLoop::Gathering* open_gathering = nullptr;

}  // namespace

CompletionLoop::CompletionLoop(
    std::unique_ptr<grpc::ServerCompletionQueue> queue,
    const PeerSockets* sockets)
    : queue_(std::move(queue)), held_(sockets), wake_tag_(this) {}

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

void CompletionLoop::Post(Errand* errand) {
  if (open_gathering != nullptr) return open_gathering->Add(this, errand);
  ErrandList one;
  one.PushBack(errand);
  PostAll(&one);
}

void CompletionLoop::PostAll(ErrandList* errands) {
  {
    absl::MutexLock lock(&mutex_);
    errands_.Append(errands);
    // The loop's own thread looks for errands after each event.
    if (waking_ || running_loop == this) return;
    waking_ = true;
  }
  // Without the lock, for which the loop would wait as soon as it is awake. A
  // time that is long over, since gRPC rounds up to milliseconds.
  alarm_.Set(queue_.get(), std::chrono::system_clock::time_point(),
             ToQueue(&wake_tag_));
}

void CompletionLoop::BeforeWrite(grpc::ServerContext* context) {
  if (lone_errand_) return;
  // As peer() of the context, which copies it once more.
  char* const peer = grpc_call_get_peer(context->c_call());
  held_.Hold(peer);
  gpr_free(peer);
}

void CompletionLoop::Run() {
  running_loop = this;
  void* returned = nullptr;
  bool ok = false;
  while (held_.Next(queue_.get(), &returned, &ok)) {
    __tsan_acquire(returned);
    woken_ = false;
    static_cast<Tag*>(returned)->OnEvent(ok);
    RunErrands();
  }
  running_loop = nullptr;
}

void CompletionLoop::OnWake(bool) {
  woken_ = true;
  absl::MutexLock lock(&mutex_);
  waking_ = false;
}

void CompletionLoop::RunErrands() {
  for (;;) {
    ErrandList errands;
    {
      absl::MutexLock lock(&mutex_);
      std::swap(errands, errands_);
    }
    if (errands.empty()) return;
    lone_errand_ = woken_ && errands.has_one() && held_.empty();
    while (!errands.empty()) errands.PopFront()->OnLoop();
    lone_errand_ = false;
  }
}

CompletionLoop::Gathering::Gathering() { open_gathering = this; }

CompletionLoop::Gathering::~Gathering() {
  open_gathering = nullptr;
  for (OfLoop& of : loops_) of.loop->PostAll(&of.errands);
}

void CompletionLoop::Gathering::Add(CompletionLoop* loop, Errand* errand) {
  auto of = std::ranges::find(loops_, loop, &OfLoop::loop);
  if (of == loops_.end()) of = loops_.insert(of, {loop, {}});
  of->errands.PushBack(errand);
}

}  // namespace sluice

#include "server/transport/completion_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/base/config.h"
#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "grpc/grpc.h"
#include "grpc/support/alloc.h"

// Debian's gRPC is not instrumented for ThreadSanitizer. Tell ThreadSanitizer
// that starting an operation happens before its tag returns.
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

void LoopTaskList::PushBack(LoopTask* task) {
  // Linking a task twice would cut off the tasks behind it.
  SLUICE_DCHECK(task->next_ == nullptr);
  task->next_ = task;
  (last_ != nullptr ? last_->next_ : first_) = task;
  last_ = task;
}

void LoopTaskList::Append(LoopTaskList* other) {
  if (other->empty()) return;
  (last_ != nullptr ? last_->next_ : first_) = other->first_;
  last_ = other->last_;
  *other = LoopTaskList();
}

LoopTask* LoopTaskList::PopFront() {
  SLUICE_DCHECK(!empty());
  LoopTask* task = first_;
  if (task == last_) {
    first_ = last_ = nullptr;
  } else {
    first_ = task->next_;
  }
  task->next_ = nullptr;
  return task;
}

namespace {

// The loop that this thread runs, or null.
thread_local CompletionLoop* running_loop = nullptr;
thread_local CompletionLoop::PostBatch* open_batch = nullptr;

}  // namespace

CompletionLoop::CompletionLoop(
    std::unique_ptr<grpc::ServerCompletionQueue> queue,
    const PeerSockets* sockets)
    : queue_(std::move(queue)), held_(sockets), wake_tag_(this) {}

CompletionLoop::~CompletionLoop() { Join(); }

void CompletionLoop::Start() {
  SLUICE_DCHECK(!thread_.joinable() && !joined_);
  thread_ = std::thread([this] { Run(); });
}

void CompletionLoop::Join() {
  if (joined_) return;
  joined_ = true;
  SLUICE_DCHECK(!InLoopThread());
  // Run all that waits before the queue is shut down, because gRPC accepts no
  // operation afterwards. The server does not wait for a call whose caller has
  // cancelled.
  struct RunAll final : LoopTask {
    explicit RunAll(CompletionLoop* of) : loop(of) {}
    void OnLoop() override {
      while (!loop->behind_events_.empty()) {
        loop->behind_events_.PopFront()->OnLoop();
      }
      for (HeldRefusal& refusal : loop->refusals_) refusal.until = TimePoint();
      while (!loop->refusals_.empty()) loop->SendRefusals();
      done.Notify();
    }
    CompletionLoop* const loop;
    absl::Notification done;
  };
  RunAll run_all(this);
  if (thread_.joinable()) {
    Post(&run_all);
    run_all.done.WaitForNotification();
  }
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    // The loop was never started. Drain the queue here, because it must be
    // empty before it is destroyed.
    Run();
  }
}

bool CompletionLoop::InLoopThread() const { return running_loop == this; }

void CompletionLoop::Post(LoopTask* task) {
  if (open_batch != nullptr) return open_batch->Add(this, task);
  LoopTaskList tasks;
  tasks.PushBack(task);
  PostAll(&tasks);
}

void CompletionLoop::PostAll(LoopTaskList* tasks) {
  {
    absl::MutexLock lock(&mutex_);
    tasks_.Append(tasks);
    // The loop's own thread looks for tasks after each event.
    if (waking_ || InLoopThread()) return;
    waking_ = true;
  }
  // Set the alarm without the lock: the loop wakes at once and takes the lock.
  // The time lies far in the past because gRPC rounds up to milliseconds.
  alarm_.Set(queue_.get(), std::chrono::system_clock::time_point(),
             ToQueue(&wake_tag_));
}

void CompletionLoop::PostBehindEvents(LoopTask* task) {
  SLUICE_DCHECK(InLoopThread());
  // Short calls that came before long calls do not bound them.
  if (behind_events_.empty()) short_calls_ = false;
  behind_events_.PushBack(task);
}

bool CompletionLoop::PostIfLong(std::size_t bytes, LoopTask* task) {
  if (bytes <= kShortMax || bytes > kLongWaitingMax - long_waiting_) {
    return false;
  }
  long_waiting_ += bytes;
  PostBehindEvents(task);
  return true;
}

void CompletionLoop::CountServed(std::uint64_t lane) {
  SLUICE_DCHECK(InLoopThread());
  refusal_pace_.ServedAt(lane, std::chrono::steady_clock::now());
}

bool CompletionLoop::HoldRefusal(std::uint64_t lane, TimePoint deadline,
                                 LoopTask* task) {
  SLUICE_DCHECK(InLoopThread());
  const TimePoint now = std::chrono::steady_clock::now();
  if (!refusal_pace_.Holds(lane, deadline, refusals_.size(), now)) return false;
  refusals_.push_back({now + RefusalPace::kHold, task});
  return true;
}

void CompletionLoop::BeforeWrite(grpc::ServerContext* context) {
  SLUICE_DCHECK(InLoopThread());
  if (single_task_) return;
  // Like context->peer(), without its copy into a std::string.
  char* const peer = grpc_call_get_peer(context->c_call());
  held_.Hold(peer);
  gpr_free(peer);
}

void CompletionLoop::Run() {
  running_loop = this;
  while (HandleNext()) {
  }
  running_loop = nullptr;
}

bool CompletionLoop::HandleNext() {
  void* returned = nullptr;
  bool ok = false;
  if (behind_events_.empty() && refusals_.empty()) {
    if (!held_.Next(queue_.get(), &returned, &ok)) return false;
    Handle(returned, ok);
    return true;
  }
  // NextUntil instead of Next, because the thread must not sleep longer than
  // the tasks and refusals have to wait. If no event is ready, it also reads
  // from the sockets.
  TimePoint until = kForever;
  if (!refusals_.empty()) until = refusals_.front().until;
  if (!behind_events_.empty()) {
    until =
        std::min(until, TasksBehindEventsAt(std::chrono::steady_clock::now()));
  }
  const bool event = held_.NextUntil(until, queue_.get(), &returned, &ok) ==
                     grpc::CompletionQueue::GOT_EVENT;
  if (event) Handle(returned, ok);
  SendRefusals();
  if (behind_events_.empty()) return true;
  // Run the tasks after kEventsBetween events: under load another event is
  // always ready.
  if (event && ++events_before_ < kEventsBetween) return true;
  const TimePoint now = std::chrono::steady_clock::now();
  if (TasksBehindEventsAt(now) <= now) RunTasksBehindEvents();
  return true;
}

TimePoint CompletionLoop::TasksBehindEventsAt(TimePoint now) {
  if (std::exchange(short_calls_, false)) share_.ShortCallAt(now);
  return share_.NextAt(now);
}

void CompletionLoop::Handle(void* returned, bool ok) {
  __tsan_acquire(returned);
  woken_ = false;
  static_cast<Tag*>(returned)->OnEvent(ok);
  RunTasks();
}

void CompletionLoop::RunTasksBehindEvents() {
  events_before_ = 0;
  const TimePoint began = std::chrono::steady_clock::now();
  TimePoint now = began;
  // A task that posts itself again runs again in this turn, behind the others.
  while (!behind_events_.empty() && now - began < LongCallShare::kTurn) {
    behind_events_.PopFront()->OnLoop();
    // Run the loop tasks that the task may have posted for other calls.
    RunTasks();
    now = std::chrono::steady_clock::now();
  }
  share_.HadTurn(began, now);
}

void CompletionLoop::SendRefusals() {
  if (refusals_.empty()) return;
  const TimePoint now = std::chrono::steady_clock::now();
  // At most kEventsBetween at once: other calls must not wait for thousands.
  for (int sent = 0; sent < kEventsBetween && !refusals_.empty() &&
                     refusals_.front().until <= now;
       ++sent) {
    LoopTask* task = refusals_.front().task;
    refusals_.pop_front();
    task->OnLoop();
    RunTasks();
  }
}

void CompletionLoop::OnWake(bool) {
  woken_ = true;
  // From here on another thread may set the alarm again. RunTasks, which
  // follows each event, runs the tasks that were posted before.
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK(waking_);
  waking_ = false;
}

void CompletionLoop::RunTasks() {
  // Repeat until the list is empty before the thread sleeps: tasks may post
  // further tasks to this loop without waking it (PostAll).
  for (;;) {
    LoopTaskList tasks;
    {
      absl::MutexLock lock(&mutex_);
      std::swap(tasks, tasks_);
    }
    if (tasks.empty()) return;
    single_task_ = woken_ && tasks.has_one() && held_.empty();
    while (!tasks.empty()) tasks.PopFront()->OnLoop();
    single_task_ = false;
  }
}

CompletionLoop::PostBatch::PostBatch() {
  SLUICE_DCHECK(open_batch == nullptr);
  open_batch = this;
}

CompletionLoop::PostBatch::~PostBatch() {
  SLUICE_DCHECK(open_batch == this);
  open_batch = nullptr;
  for (LoopTasks& of : loops_) of.loop->PostAll(&of.tasks);
}

void CompletionLoop::PostBatch::Add(CompletionLoop* loop, LoopTask* task) {
  auto of = std::ranges::find(loops_, loop, &LoopTasks::loop);
  if (of == loops_.end()) of = loops_.insert(of, {loop, {}});
  of->tasks.PushBack(task);
}

}  // namespace sluice

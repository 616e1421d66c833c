// One gRPC completion queue and the thread that serves it.
//
// Only the thread of its loop touches a call, so calls need no lock. Other
// threads post a LoopTask to the loop of the call.

#ifndef SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_
#define SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/time.h"
#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server_context.h"
#include "server/transport/held_writes.h"
#include "server/transport/long_call_share.h"
#include "server/transport/peer_sockets.h"
#include "server/transport/refusal_pace.h"

namespace sluice {

// One operation on a completion queue. The owner keeps the tag until the queue
// has returned it.
class Tag {
 public:
  virtual ~Tag() = default;
  // Called on the loop's thread when the operation has completed. `ok` is
  // gRPC's result of the operation. Must not wait.
  virtual void OnEvent(bool ok) = 0;
};

// Calls a member function of an object when its tag returns. For operations of
// which at most one is outstanding.
template <typename Object, void (Object::*kMember)(bool ok)>
class MemberTag final : public Tag {
 public:
  explicit MemberTag(Object* object) : object_(object) {}
  void OnEvent(bool ok) override { (object_->*kMember)(ok); }

 private:
  Object* const object_;
};

// Returns the pointer to pass to gRPC when an operation is started.
void* ToQueue(Tag* tag);

// Work that is posted to a loop. After Post, the task must live until OnLoop is
// called, and must not be posted again before.
class LoopTask {
 public:
  virtual ~LoopTask() = default;
  // Runs the task. Called on the loop's thread; must not wait.
  virtual void OnLoop() = 0;

 private:
  friend class LoopTaskList;
  // Next task of the list; null while the task is in no list. The last task of
  // a list points to itself.
  LoopTask* next_ = nullptr;
};

// Calls a member function of an object on the loop's thread.
template <typename Object, void (Object::*kMember)()>
class MemberLoopTask final : public LoopTask {
 public:
  explicit MemberLoopTask(Object* object) : object_(object) {}
  void OnLoop() override { (object_->*kMember)(); }

 private:
  Object* const object_;
};

// An intrusive first-in, first-out list of tasks. Owns no task. Not
// thread-safe.
class LoopTaskList {
 public:
  bool empty() const { return first_ == nullptr; }
  bool has_one() const { return first_ != nullptr && first_ == last_; }
  // Appends `task`, which must be in no list.
  void PushBack(LoopTask* task);
  // Moves all tasks of `other` to the end of this list.
  void Append(LoopTaskList* other);
  // Removes the first task and returns it. The list must not be empty.
  LoopTask* PopFront();

 private:
  LoopTask* first_ = nullptr;
  LoopTask* last_ = nullptr;
};

class CompletionLoop {
 public:
  // `sockets` are the server's connections, whose writes are joined
  // (held_writes.h). If `sockets` is null, every write is sent separately.
  explicit CompletionLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                          const PeerSockets* sockets = nullptr);
  // Joins the thread.
  ~CompletionLoop();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Starts the thread. Call once, after the server has started.
  void Start();
  // Shuts the queue down and waits until all tags have returned. The server
  // must have been shut down. Does nothing if called again.
  void Join();

  // True on the loop's thread. Used in assertions.
  bool InLoopThread() const;

  // Runs `task` on the loop's thread, in posting order, after the event being
  // handled. Thread-safe; not to be called after Join.
  void Post(LoopTask* task);

  // Runs `task` after the events that are ready now, but after at most
  // kEventsBetween events. A call with much work does a part of the work and
  // then posts a task for the rest. Other calls of the loop then do not wait
  // for all of the work. While short calls arrive, such tasks get only a share
  // of the loop's time (long_call_share.h). Must be called on the loop's
  // thread.
  void PostBehindEvents(LoopTask* task);
  static constexpr int kEventsBetween = 64;

  // Records that a call or a message with little work has arrived. Must be
  // called on the loop's thread.
  void CountShortCall() { short_calls_ = true; }

  // Posts a task that reads a message of `bytes` behind events, if the message
  // is long. Returns false if the task must run at once: the message is short,
  // or long messages of kLongWaitingMax bytes wait already. Must be called on
  // the loop's thread.
  bool PostIfLong(std::size_t bytes, LoopTask* task);
  // Records that a long message is read, which had to wait.
  void ReadLong(std::size_t bytes) { long_waiting_ -= bytes; }
  // A message with more bytes is long. Reading it takes about as long as a
  // hundred short calls or more.
  static constexpr std::size_t kShortMax = std::size_t{64} << 10;
  // gRPC counts the messages that wait against its memory for all requests.
  static constexpr std::size_t kLongWaitingMax = std::size_t{32} << 20;

  // Records that a submission of `lane` was served. Must be called on the
  // loop's thread.
  void CountServed(std::uint64_t lane);
  // Runs `task`, which sends a refusal of `lane`, after RefusalPace::kHold.
  // Returns false if the refusal must be sent at once (refusal_pace.h).
  // `deadline` is the caller's. Must be called on the loop's thread.
  bool HoldRefusal(std::uint64_t lane, TimePoint deadline, LoopTask* task);

  // Announces a write to the caller of `context`. Must be called before each
  // write, on the loop's thread. Joins the write with the loop's other writes,
  // unless the loop was woken for this write alone.
  void BeforeWrite(grpc::ServerContext* context);

  // Collects the tasks that its thread posts, and posts them when it is
  // destroyed. Each loop is then woken once for the whole batch, and the loops
  // do not interrupt a worker after its first task. At most one PostBatch may
  // exist on a thread.
  class PostBatch {
   public:
    PostBatch();
    ~PostBatch();
    PostBatch(const PostBatch&) = delete;
    PostBatch& operator=(const PostBatch&) = delete;

   private:
    friend class CompletionLoop;
    struct LoopTasks {
      CompletionLoop* loop;
      LoopTaskList tasks;
    };
    void Add(CompletionLoop* loop, LoopTask* task);

    std::vector<LoopTasks> loops_;
  };

 private:
  void Run();
  // Handles the next event. Returns false if the queue is shut down and empty.
  bool HandleNext();
  void Handle(void* returned, bool ok);
  void RunTasks();
  void RunTasksBehindEvents();
  // Returns when the tasks of PostBehindEvents may run. A time that is not
  // after `now` means at once.
  TimePoint TasksBehindEventsAt(TimePoint now);
  // Sends some of the refusals that have waited long enough.
  void SendRefusals();
  void OnWake(bool ok);
  void PostAll(LoopTaskList* tasks);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;
  bool joined_ = false;

  // The members below are used on the loop's thread only.
  HeldWrites held_;
  // Tasks of PostBehindEvents, and the number of events handled while these
  // tasks wait.
  LoopTaskList behind_events_;
  int events_before_ = 0;
  LongCallShare share_;
  // True if a short call has arrived since `share_` was last told.
  bool short_calls_ = false;
  // Bytes of the long messages that wait to be read.
  std::size_t long_waiting_ = 0;
  RefusalPace refusal_pace_;
  // Refusals that wait, in the order in which they are sent.
  struct HeldRefusal {
    TimePoint until;
    LoopTask* task;
  };
  std::deque<HeldRefusal> refusals_;
  // True if the event being handled is the wake-up, so the loop slept before
  // this event.
  bool woken_ = false;
  // True if the loop was woken for the running task alone, so that its write
  // need not be joined with other writes.
  bool single_task_ = false;

  absl::Mutex mutex_;
  LoopTaskList tasks_ ABSL_GUARDED_BY(mutex_);
  // True if `alarm_` is set, and `wake_tag_` has not returned yet.
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;
  // Wakes the queue: an alarm that has already expired is the only way to put
  // an event into a queue of gRPC. Used by the thread that set `waking_`, until
  // `wake_tag_` has returned.
  grpc::Alarm alarm_;
  MemberTag<CompletionLoop, &CompletionLoop::OnWake> wake_tag_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_

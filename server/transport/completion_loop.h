// A completion queue with its thread. All that touches a call happens on the
// thread of its loop; what other threads have for a call they post.

#ifndef SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_
#define SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_

#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server_context.h"
#include "server/transport/held_writes.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// One operation on a completion queue. Its owner keeps it until the queue has
// returned it.
class Tag {
 public:
  virtual ~Tag() = default;
  // The queue has returned the tag; on the queue's thread, which must not wait.
  virtual void OnEvent(bool ok) = 0;
};

// A member function of an object as a tag, for one kind of operation of which
// one is outstanding at a time.
template <typename Object, void (Object::*kMember)(bool ok)>
class MemberTag final : public Tag {
 public:
  explicit MemberTag(Object* object) : object_(object) {}
  void OnEvent(bool ok) override { (object_->*kMember)(ok); }

 private:
  Object* const object_;
};

// To be passed to gRPC with an operation.
void* ToQueue(Tag* tag);

// Something to be done on a loop's thread. Its owner keeps it until it is done,
// and posts it again only then.
class Errand {
 public:
  virtual ~Errand() = default;
  virtual void OnLoop() = 0;

 private:
  friend class ErrandList;
  Errand* next_ = nullptr;
};

// A member function of an object as an errand.
template <typename Object, void (Object::*kMember)()>
class MemberErrand final : public Errand {
 public:
  explicit MemberErrand(Object* object) : object_(object) {}
  void OnLoop() override { (object_->*kMember)(); }

 private:
  Object* const object_;
};

// First come first, linked through the errands themselves. Owns nothing.
class ErrandList {
 public:
  bool empty() const { return first_ == nullptr; }
  bool has_one() const { return first_ != nullptr && first_ == last_; }
  void PushBack(Errand* errand);
  // Takes over all of `other`.
  void Append(ErrandList* other);
  // The list must not be empty.
  Errand* PopFront();

 private:
  Errand* first_ = nullptr;
  Errand* last_ = nullptr;
};

class CompletionLoop {
 public:
  // `sockets` are those of the server's connections; without them each answer
  // goes out by itself.
  explicit CompletionLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                          const PeerSockets* sockets = nullptr);
  // Joins.
  ~CompletionLoop();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // To be called once the server has been started.
  void Start();
  // Shuts the queue down and waits until it is drained. The server must have
  // been shut down.
  void Join();

  // Has the errand done by the queue's thread, after those that were posted
  // before and after the event that the thread is at. Thread-safe; not to be
  // called after Join.
  void Post(Errand* errand);

  // An answer or a message is about to be written to the caller: together with
  // what else the loop has at hand, or at once where the loop was woken for
  // that alone. Of the loop's thread.
  void BeforeWrite(grpc::ServerContext* context);

  // While one lives on a thread, what the thread posts is gathered and goes out
  // when it ends: a loop is woken once for all of it, and a worker that posts a
  // batch is not interrupted by the first of it. No two live on one thread.
  class Gathering {
   public:
    Gathering();
    ~Gathering();
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;

   private:
    friend class CompletionLoop;
    struct OfLoop {
      CompletionLoop* loop;
      ErrandList errands;
    };
    void Add(CompletionLoop* loop, Errand* errand);

    std::vector<OfLoop> loops_;
  };

 private:
  void Run();
  void RunErrands();
  void OnWake(bool ok);
  void PostAll(ErrandList* errands);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;
  bool joined_ = false;
  // Of the loop's thread:
  HeldWrites held_;
  // The event that the thread is at is a wake-up: it slept.
  bool woken_ = false;
  // The errand that is being done is all that it was woken for.
  bool lone_errand_ = false;

  absl::Mutex mutex_;
  ErrandList errands_ ABSL_GUARDED_BY(mutex_);
  // The wake-up is on its way.
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;
  // An alarm that is over at once is how a queue of gRPC can be handed
  // something. Of whoever has set `waking_`, until the tag is back.
  grpc::Alarm alarm_;
  MemberTag<CompletionLoop, &CompletionLoop::OnWake> wake_tag_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_COMPLETION_LOOP_H_

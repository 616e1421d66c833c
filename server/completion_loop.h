// A completion queue with its thread.

#ifndef SLUICE_SERVER_COMPLETION_LOOP_H_
#define SLUICE_SERVER_COMPLETION_LOOP_H_

#include <memory>
#include <thread>

#include "grpcpp/completion_queue.h"

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

class CompletionLoop {
 public:
  explicit CompletionLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  // Joins.
  ~CompletionLoop();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // To be called once the server has been started.
  void Start();
  // Shuts the queue down and waits until it is drained. The server must have
  // been shut down.
  void Join();

 private:
  void Run();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;
  bool joined_ = false;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_COMPLETION_LOOP_H_

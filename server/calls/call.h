// The life of one call on a completion loop, from before it arrives until its
// last tag has returned. Unary calls, streams and health checks derive from
// class Call.
//
//     Await() ----------- request tag out
//        |
//   request tag returned
//        |-- not ok: the server shuts down; no call came ------> freed
//        |
//     AwaitAnother(), OnStarted()          done and finish are due from here
//        |
//     any number of reads and writes       one tag each, e.g. Operation<...>
//        |
//     StartFinish(), exactly once -------- finish tag out
//        |
//   done tag, finish tag and the tags of reads and writes return in any order
//        |
//   the last tag returned --------------------------------------> freed
//
// The done tag returns when gRPC is finished with the call. If it returns
// before StartFinish, the caller has cancelled or disconnected, or its deadline
// has passed: OnCancelled is called, and StartFinish is still due.

#ifndef SLUICE_SERVER_CALLS_CALL_H_
#define SLUICE_SERVER_CALLS_CALL_H_

#include "base/check.h"
#include "base/time.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "server/metrics/rpc_metrics.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// Owns itself: created with `new`, freed when no operation is outstanding or
// due. Runs on the loop's thread only. Exception: Await may be called before
// the loop has started.
class Call {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 protected:
  // One kind of operation, and its tag. At most one such operation is
  // outstanding at a time. `kReturned` is a member function of the call. It is
  // called when the tag returns, and may start further operations.
  template <typename Derived, void (Derived::*kReturned)(bool ok)>
  class Operation final : public Tag {
   public:
    explicit Operation(Derived* call) : call_(call) {}

    // Counts the operation as outstanding. Returns the tag for gRPC.
    void* Start() {
      SLUICE_DCHECK(call_->loop_->InLoopThread());
      SLUICE_DCHECK(!call_->finishing_);
      return StartAnywhere();
    }

    // True from Start until the tag has returned.
    bool outstanding() const { return outstanding_; }

    void OnEvent(bool ok) override {
      SLUICE_DCHECK(outstanding_);
      outstanding_ = false;
      (call_->*kReturned)(ok);
      // Must be last, so that the call is not freed while its member function
      // runs.
      call_->ReturnOperation();
    }

   private:
    friend class Call;

    void* StartAnywhere() {
      SLUICE_DCHECK(!outstanding_);
      outstanding_ = true;
      ++call_->operations_;
      return ToQueue(this);
    }
    // Starts the operation if it has been counted as due.
    void* StartDue() {
      SLUICE_DCHECK(!outstanding_);
      outstanding_ = true;
      return ToQueue(this);
    }

    Derived* const call_;
    bool outstanding_ = false;
  };

  // `metrics` counts the call once it has started; null for calls that are not
  // counted. `loop` and `metrics` must outlive the server's shutdown.
  Call(CompletionLoop* loop, RpcMetrics* metrics);
  virtual ~Call();

  // Asks gRPC for another call of the same kind, because this call has arrived.
  virtual void AwaitAnother() = 0;
  // Called when the call has arrived. Must call StartFinish, now or later.
  virtual void OnStarted() = 0;
  // Called when the caller has cancelled or disconnected, or its deadline has
  // passed. StartFinish must still be called. Called at most once, and not
  // after StartFinish.
  virtual void OnCancelled() = 0;

  // Returns the tag for the operation that asks gRPC for a call. Must be called
  // once.
  void* StartRequest();
  // Returns the tag for the operation that ends the call with a status of
  // `code`. Must be called exactly once for each call that started. No other
  // operation may be started afterwards.
  void* StartFinish(grpc::StatusCode code);
  // True once StartFinish has been called.
  bool finishing() const { return finishing_; }

  CompletionLoop* const loop_;
  grpc::ServerContext context_;

 private:
  void OnRequestTag(bool ok);
  void OnDoneTag(bool ok);
  void OnFinishTag(bool ok);
  // Counts the return of an operation. Frees the call when no operation is
  // outstanding or due.
  void ReturnOperation() {
    SLUICE_DCHECK_GT(operations_, 0);
    if (--operations_ == 0) Free();
  }
  void Free();

  RpcMetrics* const metrics_;
  Operation<Call, &Call::OnRequestTag> request_{this};
  Operation<Call, &Call::OnDoneTag> done_{this};
  Operation<Call, &Call::OnFinishTag> finish_{this};
  // Number of operations that are outstanding or due. "Done" and the finish are
  // due once the call has started.
  int operations_ = 0;
  bool started_ = false;
  bool finishing_ = false;
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  TimePoint started_at_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_CALL_H_

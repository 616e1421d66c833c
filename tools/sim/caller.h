// One caller of a simulation and its submission.

#ifndef SLUICE_TOOLS_SIM_CALLER_H_
#define SLUICE_TOOLS_SIM_CALLER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "pool/task.h"

namespace sluice {

class Caller;

// Receives the events of a caller's task.
class CallerOwner {
 public:
  virtual ~CallerOwner() = default;
  // Called when a parked task has been queued.
  virtual void OnQueued(Caller* caller) = 0;
  // Called when a worker has taken the task.
  virtual void OnStarted(Caller* caller) = 0;
  // Called when the task ended without being processed. `retry` is the delay of
  // a refusal.
  virtual void OnEnded(Caller* caller, TaskResult result, Duration retry) = 0;
  // Called when the worker has processed the task.
  virtual void OnProcessed(Caller* caller) = 0;
};

class Caller final : public Task, public AdmissionListener {
 public:
  void OnAdmitted(std::int64_t /*sequence*/) override { owner->OnQueued(this); }
  void OnEnded(TaskResult end, Duration retry) override {
    owner->OnEnded(this, end, retry);
  }
  void OnDone() override { owner->OnProcessed(this); }

  CallerOwner* owner = nullptr;
  std::size_t source = 0;
  std::size_t attempts = 0;  // number of attempts so far
  TimePoint arrived_at{};    // arrival of this attempt
  bool parked = false;
  // True if the caller has its answer, or its deadline has passed.
  bool answered = false;

  // Links of the CallerList that holds the caller.
  Caller* previous = nullptr;
  Caller* next = nullptr;
  bool listed = false;
};

// Free list of callers. Owns all callers.
class CallerPool {
 public:
  // Returns a caller. Its fields have the values of the previous use.
  Caller* Get() {
    if (idle_.empty()) return &callers_.emplace_back();
    Caller* caller = idle_.back();
    idle_.pop_back();
    return caller;
  }
  void Return(Caller* caller) { idle_.push_back(caller); }

  std::size_t in_use() const { return callers_.size() - idle_.size(); }

 private:
  std::deque<Caller> callers_;
  std::vector<Caller*> idle_;
};

// Callers in order of arrival. Because all have the same deadline, this is also
// the order in which their deadlines pass. Owns nothing.
class CallerList {
 public:
  Caller* front() const { return front_; }

  void PushBack(Caller* caller) {
    caller->previous = back_;
    caller->next = nullptr;
    (back_ != nullptr ? back_->next : front_) = caller;
    back_ = caller;
    caller->listed = true;
  }

  // Removes the caller. Does nothing if the caller is not listed.
  void Remove(Caller* caller) {
    if (!caller->listed) return;
    (caller->previous != nullptr ? caller->previous->next : front_) =
        caller->next;
    (caller->next != nullptr ? caller->next->previous : back_) =
        caller->previous;
    caller->listed = false;
  }

 private:
  Caller* front_ = nullptr;
  Caller* back_ = nullptr;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_CALLER_H_

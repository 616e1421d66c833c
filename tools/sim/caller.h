// One caller of a simulation, with the submission that it brings.

#ifndef SLUICE_TOOLS_SIM_CALLER_H_
#define SLUICE_TOOLS_SIM_CALLER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "pool/task.h"

namespace sluice {

class Caller;

// What becomes of a caller's task.
class CallerOwner {
 public:
  virtual ~CallerOwner() = default;
  // It was parked and is queued now.
  virtual void OnLetIn(Caller* caller) = 0;
  virtual void OnTaken(Caller* caller) = 0;
  virtual void OnUnworked(Caller* caller, TaskResult result,
                          Duration retry) = 0;
  virtual void OnWorked(Caller* caller) = 0;
};

class Caller final : public Task, public AdmissionListener {
 public:
  void OnAdmitted(std::int64_t /*sequence*/) override { owner->OnLetIn(this); }
  void OnEnded(TaskResult end, Duration retry) override {
    owner->OnUnworked(this, end, retry);
  }
  void OnDone() override { owner->OnWorked(this); }

  CallerOwner* owner = nullptr;
  std::size_t source = 0;
  std::size_t attempts = 0;      // begun
  TimePoint first_arrived_at{};  // of the first attempt
  TimePoint arrived_at{};        // of this attempt
  bool parked = false;
  bool answered = false;  // told its result, or gone when its deadline passed

  // In the list of those of its source who wait for an answer.
  Caller* previous = nullptr;
  Caller* next = nullptr;
  bool listed = false;
};

// Callers to be used again and again. Owns all that it made.
class CallerSupply {
 public:
  // As new, but for what the next user sets anyway.
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

// Callers in the order in which they came: with one deadline for all, also the
// order in which they leave. Owns nothing.
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

  // Does nothing with one that is not listed.
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

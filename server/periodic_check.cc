#include "server/periodic_check.h"

#include <utility>

namespace sluice {

PeriodicCheck::PeriodicCheck(std::string name,
                             std::function<absl::Status()> check,
                             std::function<void()> on_result, Clock* clock)
    : name_(std::move(name)),
      check_(std::move(check)),
      on_result_(std::move(on_result)),
      clock_(clock),
      thread_([this] { Run(); }) {}

PeriodicCheck::~PeriodicCheck() {
  BeginStop();
  thread_.join();
}

std::optional<PeriodicCheck::Result> PeriodicCheck::last() const {
  absl::MutexLock lock(&mutex_);
  return last_;
}

void PeriodicCheck::BeginStop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  changed_.SignalAll();
}

bool PeriodicCheck::AwaitStopped(TimePoint deadline) {
  absl::MutexLock lock(&mutex_);
  while (!stopped_ && clock_->Now() < deadline) {
    clock_->Wait(&changed_, &mutex_, deadline);
  }
  return stopped_;
}

void PeriodicCheck::Run() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    const TimePoint begun_at = clock_->Now();
    mutex_.Unlock();
    absl::Status status = check_();
    mutex_.Lock();
    last_ = {.status = std::move(status), .begun_at = begun_at};
    mutex_.Unlock();
    on_result_();
    mutex_.Lock();
    const TimePoint next = begun_at + kPeriod;
    while (!stopping_ && clock_->Now() < next) {
      clock_->Wait(&changed_, &mutex_, next);
    }
  }
  stopped_ = true;
  changed_.SignalAll();
}

}  // namespace sluice

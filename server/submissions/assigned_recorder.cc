#include "server/submissions/assigned_recorder.h"

#include <algorithm>

#include "base/check.h"

namespace sluice {

AssignedRecorder::AssignedRecorder(Store* store, Clock* clock)
    : store_(store), clock_(clock) {
  thread_ = std::thread([this] { Run(); });
}

AssignedRecorder::~AssignedRecorder() { Join(); }

void AssignedRecorder::Record(std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK(!joining_);
  assigned_ = std::max(assigned_, sequence);
  changed_.SignalAll();
}

void AssignedRecorder::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    if (assigned_ == recorded_) {
      if (joining_) return;
      changed_.Wait(&mutex_);
      continue;
    }
    const std::int64_t sequence = assigned_;
    mutex_.Unlock();
    store_->RecordAssigned(sequence);
    mutex_.Lock();
    recorded_ = sequence;
    changed_.SignalAll();
  }
}

bool AssignedRecorder::AwaitIdle(TimePoint deadline) {
  absl::MutexLock lock(&mutex_);
  while (assigned_ != recorded_ && clock_->Now() < deadline) {
    clock_->Wait(&changed_, &mutex_, deadline);
  }
  return assigned_ == recorded_;
}

void AssignedRecorder::Join() {
  {
    absl::MutexLock lock(&mutex_);
    joining_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace sluice

// Admitted submissions that a drain could not finish.

#ifndef SLUICE_SERVER_SUBMISSIONS_LEFTOVERS_H_
#define SLUICE_SERVER_SUBMISSIONS_LEFTOVERS_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "config/method.h"

namespace sluice {

struct Leftover {
  Method method;
  std::string study_id;
  std::string submission_id;
};

// Thread-safe.
class Leftovers {
 public:
  void Add(Leftover leftover) {
    absl::MutexLock lock(&mutex_);
    all_.push_back(std::move(leftover));
  }

  // Counts submissions that are in a journal. They will be processed after the
  // next start.
  void AddJournaled(std::size_t submissions) {
    absl::MutexLock lock(&mutex_);
    journaled_ += submissions;
  }

  std::size_t journaled() const {
    absl::MutexLock lock(&mutex_);
    return journaled_;
  }

  std::vector<Leftover> All() const {
    absl::MutexLock lock(&mutex_);
    return all_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<Leftover> all_ ABSL_GUARDED_BY(mutex_);
  std::size_t journaled_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_LEFTOVERS_H_

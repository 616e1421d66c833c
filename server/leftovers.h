// What a drain could not finish, by id.

#ifndef SLUICE_SERVER_LEFTOVERS_H_
#define SLUICE_SERVER_LEFTOVERS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "server/method.h"

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

  std::vector<Leftover> All() const {
    absl::MutexLock lock(&mutex_);
    return all_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<Leftover> all_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_SERVER_LEFTOVERS_H_

// What the configuration says of a method, which may change while the server
// runs. A call takes it once, when it arrives, and keeps it to its end, so that
// no call is handled by two configurations.

#ifndef SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_
#define SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "config/config.h"
#include "policies/admission_policy.h"

namespace sluice {

// Constant; freed with the last that holds it.
struct MethodSettings {
  MethodConfig config;
  // With the one that is only asked as well, if there is one.
  std::unique_ptr<const AdmissionPolicy> policy;
  // A call that finds the pool full is refused before it is read. Not so where
  // the policy drops: what is dropped is answered entry by entry.
  bool refuses_unread;
  // The policy loses: a submission may be answered that it was dropped.
  bool loses;
  // What is queued may be dropped for a later one.
  bool droppable;
  // Of the method's pool.
  FairBy fair_by;
};

// `config` must be valid.
std::shared_ptr<const MethodSettings> MakeMethodSettings(
    const MethodConfig& config, FairBy fair_by);

// The settings that calls take which arrive now. Thread-safe; nobody holds its
// lock for longer than it takes to copy a pointer.
class LiveMethodSettings {
 public:
  // Null before the first Set.
  std::shared_ptr<const MethodSettings> Get() const {
    absl::MutexLock lock(&mutex_);
    return settings_;
  }

  void Set(std::shared_ptr<const MethodSettings> settings) {
    absl::MutexLock lock(&mutex_);
    settings_.swap(settings);  // the old ones are freed without the lock
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<const MethodSettings> settings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_

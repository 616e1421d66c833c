// The configuration of a method, which may change while the server runs. A call
// reads the settings when it arrives and keeps them until it ends, so that no
// call is handled by two configurations.

#ifndef SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_
#define SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "config/config.h"
#include "policies/admission_policy.h"

namespace sluice {

// Constant. Freed when the last call that holds them has ended.
struct MethodSettings {
  MethodConfig config;
  // The policy, combined with the shadow policy if there is one.
  std::unique_ptr<const AdmissionPolicy> policy;
  // True if a call that finds the pool full is refused before its request is
  // read. False for policies that drop: each dropped entry needs its own
  // answer.
  bool refuses_unread;
  // True if the policy may drop a submission, and answer that it was dropped.
  bool loses;
  // True if a later submission may evict a queued submission.
  bool droppable;
  // Sharing of the method's pool: among studies, among sites, or not at all.
  FairBy fair_by;
};

// Creates the settings of a method. `config` must be valid.
std::shared_ptr<const MethodSettings> MakeMethodSettings(
    const MethodConfig& config, FairBy fair_by);

// The current settings. Thread-safe; the lock is held only to copy a pointer.
class LiveMethodSettings {
 public:
  // Null before the first Set.
  std::shared_ptr<const MethodSettings> Get() const {
    absl::MutexLock lock(&mutex_);
    return settings_;
  }

  void Set(std::shared_ptr<const MethodSettings> settings) {
    absl::MutexLock lock(&mutex_);
    settings_.swap(settings);  // the caller frees the old settings, unlocked
  }

 private:
  mutable absl::Mutex mutex_;
  std::shared_ptr<const MethodSettings> settings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_METHOD_SETTINGS_H_

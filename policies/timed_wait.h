// Parks arrivals as block does, but for at most max_wait.

#ifndef SLUICE_POLICIES_TIMED_WAIT_H_
#define SLUICE_POLICIES_TIMED_WAIT_H_

#include "policies/admission_policy.h"

namespace sluice {

class TimedWaitPolicy final : public AdmissionPolicy {
 public:
  // `max_wait` must be positive.
  explicit TimedWaitPolicy(Duration max_wait) : max_wait_(max_wait) {}

  Verdict OnFull(const Arrival& arrival, const PoolView&) const override {
    return Verdict::ParkUntil(arrival.now + max_wait_);
  }

 private:
  const Duration max_wait_;
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_TIMED_WAIT_H_

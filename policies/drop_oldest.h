// Evicts the oldest queued submission that may be dropped: for data whose
// newest entries are worth most.

#ifndef SLUICE_POLICIES_DROP_OLDEST_H_
#define SLUICE_POLICIES_DROP_OLDEST_H_

#include "policies/admission_policy.h"

namespace sluice {

class DropOldestPolicy final : public AdmissionPolicy {
 public:
  Verdict OnFull(const Arrival&, const PoolView&) const override {
    return Verdict::EvictOldest();
  }
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_DROP_OLDEST_H_

// Refuses at once, so that the caller can use another server or retry later.

#ifndef SLUICE_POLICIES_FAIL_FAST_H_
#define SLUICE_POLICIES_FAIL_FAST_H_

#include "policies/admission_policy.h"

namespace sluice {

class FailFastPolicy final : public AdmissionPolicy {
 public:
  Verdict OnFull(const Arrival&, const PoolView&) const override {
    return Verdict::Refuse();
  }
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_FAIL_FAST_H_

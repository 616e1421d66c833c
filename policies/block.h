// Parks arrivals until there is room, the caller cancels, or its deadline
// passes.

#ifndef SLUICE_POLICIES_BLOCK_H_
#define SLUICE_POLICIES_BLOCK_H_

#include "policies/admission_policy.h"

namespace sluice {

class BlockPolicy final : public AdmissionPolicy {
 public:
  Verdict OnFull(const Arrival&, const PoolView&) const override {
    return Verdict::ParkUntil(kForever);
  }
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_BLOCK_H_

// Answers at once that the submission is not kept: for data that may be lost.

#ifndef SLUICE_POLICIES_DROP_H_
#define SLUICE_POLICIES_DROP_H_

#include "policies/admission_policy.h"

namespace sluice {

class DropPolicy final : public AdmissionPolicy {
 public:
  Verdict OnFull(const Arrival&, const PoolView&) const override {
    return Verdict::Drop();
  }
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_DROP_H_

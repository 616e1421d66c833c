// Combines two policies: the first decides; the decision of the second is only
// recorded, to try it on live traffic.

#ifndef SLUICE_POLICIES_SHADOWED_H_
#define SLUICE_POLICIES_SHADOWED_H_

#include <memory>
#include <utility>

#include "policies/admission_policy.h"

namespace sluice {

class ShadowedPolicy final : public AdmissionPolicy {
 public:
  ShadowedPolicy(std::unique_ptr<const AdmissionPolicy> obeyed,
                 std::unique_ptr<const AdmissionPolicy> shadow)
      : obeyed_(std::move(obeyed)), shadow_(std::move(shadow)) {}

  Verdict OnFull(const Arrival& arrival, const PoolView& pool) const override {
    Verdict verdict = obeyed_->OnFull(arrival, pool);
    verdict.shadow = shadow_->OnFull(arrival, pool).kind;
    return verdict;
  }

 private:
  const std::unique_ptr<const AdmissionPolicy> obeyed_;
  const std::unique_ptr<const AdmissionPolicy> shadow_;
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_SHADOWED_H_

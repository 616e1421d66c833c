// Counts of a method by the policy that was in force at the time.

#ifndef SLUICE_SERVER_METRICS_COUNTS_BY_POLICY_H_
#define SLUICE_SERVER_METRICS_COUNTS_BY_POLICY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/check.h"

namespace sluice {

// Splits a method's counters of `kKinds` kinds by policy. When the policy
// changes, earlier counts stay with the old policy, so that no exported counter
// decreases. Not thread-safe.
template <std::size_t kKinds>
class CountsByPolicy {
 public:
  using Counts = std::array<std::uint64_t, kKinds>;

  explicit CountsByPolicy(std::string policy) : policy_(std::move(policy)) {}

  // Sets the method's policy from now on. `total` must be the method's counts
  // so far, under all policies, and must not decrease from one call to the
  // next.
  void Change(const Counts& total, const std::string& policy) {
    before_ = At(total);
    total_before_ = total;
    policy_ = policy;
  }

  // Returns the counts by policy. `total` must be the method's current counts.
  std::map<std::string, Counts> At(const Counts& total) const {
    std::map<std::string, Counts> counts = before_;
    Counts& since = counts[policy_];
    for (std::size_t i = 0; i < kKinds; ++i) {
      SLUICE_DCHECK_GE(total[i], total_before_[i]);
      since[i] += total[i] - total_before_[i];
    }
    return counts;
  }

 private:
  std::string policy_;
  // The counts at the time when `policy_` began: in total, and by policy.
  Counts total_before_{};
  std::map<std::string, Counts> before_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_COUNTS_BY_POLICY_H_

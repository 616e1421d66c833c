// Policies by their names in the configuration.

#ifndef SLUICE_POLICIES_REGISTRY_H_
#define SLUICE_POLICIES_REGISTRY_H_

#include <memory>
#include <span>
#include <string_view>

#include "policies/admission_policy.h"

namespace sluice {

// Options of a policy in the configuration.
struct PolicyOptions {
  Duration max_wait{};  // positive if and only if takes_max_wait
};

struct PolicyKind {
  std::string_view name;
  // True if `max_wait` is required; otherwise `max_wait` is an error.
  bool takes_max_wait;
  // True if the policy may answer OK and drop the submission.
  bool loses;
  // True if the policy may drop submissions that are queued already.
  bool evicts;
  std::unique_ptr<const AdmissionPolicy> (*make)(const PolicyOptions&);
};

// All kinds of policy, in alphabetical order.
std::span<const PolicyKind> PolicyKinds();

// Returns the kind with this name, or null.
const PolicyKind* FindPolicyKind(std::string_view name);

}  // namespace sluice

#endif  // SLUICE_POLICIES_REGISTRY_H_

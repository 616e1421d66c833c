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
  Duration max_wait{};  // more than 0 if and only if takes_max_wait
};

struct PolicyKind {
  std::string_view name;
  bool takes_max_wait;  // needs `max_wait`, which is an error elsewhere
  bool loses;           // may answer OK and keep nothing
  bool evicts;          // may drop what is queued already
  std::unique_ptr<const AdmissionPolicy> (*make)(const PolicyOptions&);
};

// All kinds of policy, in alphabetical order.
std::span<const PolicyKind> PolicyKinds();

// Returns null if no kind has that name.
const PolicyKind* FindPolicyKind(std::string_view name);

}  // namespace sluice

#endif  // SLUICE_POLICIES_REGISTRY_H_

#include "server/submissions/method_settings.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "policies/registry.h"
#include "policies/shadowed.h"

namespace sluice {
namespace {

std::unique_ptr<const AdmissionPolicy> MakePolicy(const std::string& on_full,
                                                  absl::Duration max_wait) {
  return FindPolicyKind(on_full)->make({.max_wait = ToMonotonic(max_wait)});
}

std::unique_ptr<const AdmissionPolicy> MakePolicy(const MethodConfig& config) {
  auto policy = MakePolicy(config.on_full, config.max_wait);
  const ShadowConfig& shadow = config.shadow;
  if (shadow.on_full.empty()) return policy;
  return std::make_unique<ShadowedPolicy>(
      std::move(policy), MakePolicy(shadow.on_full, shadow.max_wait));
}

}  // namespace

std::shared_ptr<const MethodSettings> MakeMethodSettings(
    const MethodConfig& config, FairBy fair_by) {
  const PolicyKind* policy = FindPolicyKind(config.on_full);
  return std::make_shared<const MethodSettings>(
      MethodSettings{.config = config,
                     .policy = MakePolicy(config),
                     .refuses_unread = !policy->loses,
                     .loses = policy->loses,
                     .droppable = policy->evicts && config.ack == Ack::kStored,
                     .fair_by = fair_by});
}

}  // namespace sluice

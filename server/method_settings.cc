#include "server/method_settings.h"

#include "absl/time/time.h"
#include "policies/registry.h"

namespace sluice {

std::shared_ptr<const MethodSettings> MakeMethodSettings(
    const MethodConfig& config, FairBy fair_by) {
  const PolicyKind* policy = FindPolicyKind(config.on_full);
  return std::make_shared<const MethodSettings>(MethodSettings{
      .config = config,
      .policy = policy->make(
          {.max_wait = absl::ToChronoNanoseconds(config.max_wait)}),
      .refuses_unread = !policy->loses,
      .fair_by = fair_by});
}

}  // namespace sluice

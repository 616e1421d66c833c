#include "policies/registry.h"

#include <algorithm>

#include "policies/block.h"
#include "policies/drop.h"
#include "policies/drop_oldest.h"
#include "policies/fail_fast.h"
#include "policies/timed_wait.h"

namespace sluice {
namespace {

using Policy = std::unique_ptr<const AdmissionPolicy>;

template <typename P>
Policy Make(const PolicyOptions&) {
  return std::make_unique<P>();
}

Policy MakeTimedWait(const PolicyOptions& options) {
  return std::make_unique<TimedWaitPolicy>(options.max_wait);
}

constexpr PolicyKind kKinds[] = {
    {"block", /*takes_max_wait=*/false, /*loses=*/false, /*evicts=*/false,
     Make<BlockPolicy>},
    {"drop", /*takes_max_wait=*/false, /*loses=*/true, /*evicts=*/false,
     Make<DropPolicy>},
    {"drop_oldest", /*takes_max_wait=*/false, /*loses=*/true, /*evicts=*/true,
     Make<DropOldestPolicy>},
    {"fail_fast", /*takes_max_wait=*/false, /*loses=*/false, /*evicts=*/false,
     Make<FailFastPolicy>},
    {"timed_wait", /*takes_max_wait=*/true, /*loses=*/false, /*evicts=*/false,
     MakeTimedWait},
};

}  // namespace

std::span<const PolicyKind> PolicyKinds() { return kKinds; }

const PolicyKind* FindPolicyKind(std::string_view name) {
  const auto* kind = std::ranges::find(kKinds, name, &PolicyKind::name);
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace sluice

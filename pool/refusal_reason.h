// Why the pool did not admit an arrival.

#ifndef SLUICE_POOL_REFUSAL_REASON_H_
#define SLUICE_POOL_REFUSAL_REASON_H_

#include <cstddef>
#include <string_view>

namespace sluice {

// Callers read the name in ErrorInfo.reason, operators in the label `reason`.
enum class RefusalReason {
  kQueueFull,         // the policy does not wait
  kWaitOver,          // it waited as long as the policy lets it
  kWaitingRoomFull,   // it would have waited, but too many do already
  kDraining,          // the server is shutting down
  kStoreUnavailable,  // its result could not be waited for: the store fails
  kHopeless,          // it would not be done in the time that it has
};
inline constexpr std::size_t kRefusalReasons = 6;

// In upper snake case, e.g. "QUEUE_FULL".
std::string_view RefusalReasonName(RefusalReason reason);

}  // namespace sluice

#endif  // SLUICE_POOL_REFUSAL_REASON_H_

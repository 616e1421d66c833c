#include "pool/refusal_reason.h"

namespace sluice {

std::string_view RefusalReasonName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kQueueFull:
      return "QUEUE_FULL";
    case RefusalReason::kWaitOver:
      return "WAIT_OVER";
    case RefusalReason::kWaitingRoomFull:
      return "WAITING_ROOM_FULL";
    case RefusalReason::kDraining:
      return "DRAINING";
    case RefusalReason::kStoreUnavailable:
      return "STORE_UNAVAILABLE";
    case RefusalReason::kHopeless:
      return "HOPELESS";
  }
  return "";
}

}  // namespace sluice

#include "pool/task_result.h"

namespace sluice {

std::string_view RefusalReasonName(TaskResult result) {
  switch (result) {
    case TaskResult::kQueueFull:
      return "QUEUE_FULL";
    case TaskResult::kWaitOver:
      return "WAIT_OVER";
    case TaskResult::kWaitingRoomFull:
      return "WAITING_ROOM_FULL";
    case TaskResult::kDraining:
      return "DRAINING";
    case TaskResult::kStoreUnavailable:
      return "STORE_UNAVAILABLE";
    case TaskResult::kQuarantineFull:
      return "QUARANTINE_FULL";
    case TaskResult::kDiskFull:
      return "DISK_FULL";
    case TaskResult::kNumbersUsedUp:
      return "NUMBERS_USED_UP";
    case TaskResult::kHopeless:
      return "HOPELESS";
    default:
      return "";
  }
}

std::string_view OutcomeName(TaskResult result) {
  switch (result) {
    case TaskResult::kStored:
      return "stored";
    case TaskResult::kDuplicate:
      return "duplicate";
    case TaskResult::kConflict:
      return "conflict";
    case TaskResult::kAnswered:
      return "answered";
    case TaskResult::kFailed:
      return "failed";
    case TaskResult::kStoreUnavailable:
      return "unavailable";
    case TaskResult::kQuarantined:
      return "quarantined";
    case TaskResult::kCancelled:
      return "abandoned";
    case TaskResult::kDraining:
      return "left";
    case TaskResult::kHopeless:
      return "hopeless";
    case TaskResult::kDropped:
      return "dropped";
    default:
      return "";
  }
}

}  // namespace sluice

// The result of a task: how an arrival ended in a pool.
//
// Three kinds of result describe what became of a submission:
//
// - The store's result (stores/store.h, Saved): what the store did with a
//   record.
// - The pool's result (this file): how the task ended. Counters and metrics
//   show it.
// - The caller's answer (server/submissions/answer.h): the status or receipt
//   that the caller gets.
//
// A policy's Verdict is a decision about an arrival, not a result.

#ifndef SLUICE_POOL_TASK_RESULT_H_
#define SLUICE_POOL_TASK_RESULT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>

namespace sluice {

enum class TaskResult : std::uint8_t {
  // Processed. Set by the processor.
  kStored,
  kDuplicate,
  kConflict,
  kAnswered,     // a look-up of receipts, not a submission
  kFailed,       // processing threw an exception, or the store rejected the
                 // submission
  kQuarantined,  // acknowledged, but could not be stored

  // Refused, on arrival or later. Set by the Gate; the processor may set
  // kStoreUnavailable, too. kQuarantineFull, kDiskFull and kNumbersUsedUp are
  // set before a task is offered to the Gate.
  kQueueFull,         // no room, and the policy does not wait
  kWaitOver,          // parked for as long as the policy allows
  kWaitingRoomFull,   // no room, neither in the queue nor in the waiting room
  kDraining,          // the server is shutting down
  kStoreUnavailable,  // the store failed, or its circuit is open
  kQuarantineFull,    // the quarantine might have no room for the submission
  kDiskFull,          // the journal's disk has too little free space
  kNumbersUsedUp,     // no reserved sequence number is left
  kHopeless,          // the result would come after the caller's deadline

  // Neither processed nor refused.
  kDropped,    // not kept, as the policy says: on arrival, or evicted later
  kCancelled,  // the caller cancelled or disconnected before processing began
  kDeadline,   // parked until the caller's deadline
  kInvalid,    // malformed: never offered to the Gate
};
inline constexpr std::size_t kTaskResults = 19;

constexpr std::size_t Index(TaskResult result) {
  return static_cast<std::size_t>(result);
}

// True if the task was processed.
constexpr bool IsWorked(TaskResult result) {
  return result <= TaskResult::kQuarantined;
}

// True if the caller is refused.
constexpr bool IsRefusal(TaskResult result) {
  return TaskResult::kQueueFull <= result && result <= TaskResult::kHopeless;
}

// The reasons for a refusal, in the order in which reports list them.
inline constexpr std::array kRefusals = {
    TaskResult::kQueueFull,        TaskResult::kWaitOver,
    TaskResult::kWaitingRoomFull,  TaskResult::kDraining,
    TaskResult::kStoreUnavailable, TaskResult::kQuarantineFull,
    TaskResult::kDiskFull,         TaskResult::kNumbersUsedUp,
    TaskResult::kHopeless};

// The possible results of an admitted task, in the order in which metrics list
// them.
inline constexpr std::array kOutcomes = {
    TaskResult::kStored,      TaskResult::kDuplicate,
    TaskResult::kConflict,    TaskResult::kAnswered,
    TaskResult::kFailed,      TaskResult::kStoreUnavailable,
    TaskResult::kQuarantined, TaskResult::kCancelled,
    TaskResult::kDraining,    TaskResult::kHopeless,
    TaskResult::kDropped};

// Returns the name of a refusal's reason in upper snake case, e.g.
// "QUEUE_FULL". Callers read the name in ErrorInfo.reason; metrics have it, in
// lower case, in the label `reason`. Returns an empty string for other results.
std::string_view RefusalReasonName(TaskResult result);

// Returns the label `outcome` of an admitted task's result, e.g. "stored".
// Returns an empty string for results that an admitted task cannot have.
std::string_view OutcomeName(TaskResult result);

// Counts by result.
struct ResultCounts {
  std::array<std::uint64_t, kTaskResults> counts{};

  std::uint64_t& operator[](TaskResult result) { return counts[Index(result)]; }
  std::uint64_t operator[](TaskResult result) const {
    return counts[Index(result)];
  }

  std::uint64_t Sum() const {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }
  std::uint64_t Refusals() const {
    std::uint64_t sum = 0;
    for (const TaskResult reason : kRefusals) sum += counts[Index(reason)];
    return sum;
  }

  bool operator==(const ResultCounts&) const = default;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_RESULT_H_

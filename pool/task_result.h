// The pool's result: how the way of an arrival through a pool ended.
//
// Three vocabularies describe what became of a submission. The store's result
// (stores/store.h, Saved) says what the store did with a record. The pool's
// result, below, says how the task ended, and is what counters and metrics
// show. The caller's answer (server/submissions/answer.h) says what the caller
// is told. A policy's Verdict is none of these: it is a decision about an
// arrival, not the end of one.

#ifndef SLUICE_POOL_TASK_RESULT_H_
#define SLUICE_POOL_TASK_RESULT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>

namespace sluice {

enum class TaskResult : std::uint8_t {
  // Worked: set by the processor.
  kStored,
  kDuplicate,
  kConflict,
  kAnswered,     // a question, not a submission
  kFailed,       // processing threw, or the store rejected it
  kQuarantined,  // acknowledged, but could not be stored

  // Refused, on arrival or later. All but kStoreUnavailable, which the
  // processor may set too, are set by the Gate.
  kQueueFull,         // no room, and the policy does not wait
  kWaitOver,          // parked for as long as the policy allows
  kWaitingRoomFull,   // no room, neither in the queue nor in the waiting room
  kDraining,          // the server is shutting down
  kStoreUnavailable,  // the store failed, or its circuit is open
  kHopeless,          // the result would come too late for the caller

  // Neither worked nor refused.
  kDropped,    // not kept, as the policy says: on arrival, or evicted later
  kCancelled,  // the caller cancelled or disconnected before work began
  kDeadline,   // parked until the caller's deadline
  kInvalid,    // malformed: never offered to the Gate
};
inline constexpr std::size_t kTaskResults = 16;

constexpr std::size_t Index(TaskResult result) {
  return static_cast<std::size_t>(result);
}

// True if a processor has worked the task.
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
    TaskResult::kStoreUnavailable, TaskResult::kHopeless};

// The results that an admitted task can have, in the order in which metrics
// list them.
inline constexpr std::array kOutcomes = {
    TaskResult::kStored,      TaskResult::kDuplicate,
    TaskResult::kConflict,    TaskResult::kAnswered,
    TaskResult::kFailed,      TaskResult::kStoreUnavailable,
    TaskResult::kQuarantined, TaskResult::kCancelled,
    TaskResult::kDraining,    TaskResult::kHopeless,
    TaskResult::kDropped};

// The name of a refusal's reason in upper snake case, e.g. "QUEUE_FULL".
// Callers read it in ErrorInfo.reason, operators, in lower case, in the label
// `reason`. Empty for other results.
std::string_view RefusalReasonName(TaskResult result);

// The label `outcome` of an admitted task's result, e.g. "stored". Empty for
// results that an admitted task cannot have.
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

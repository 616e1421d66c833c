#include "pool/task_result.h"

#include <algorithm>
#include <cstddef>

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(TaskResult, ExactlyTheRefusalsHaveAReason) {
  for (std::size_t i = 0; i < kTaskResults; ++i) {
    const auto result = static_cast<TaskResult>(i);
    const bool listed = std::ranges::count(kRefusals, result) == 1;
    EXPECT_EQ(IsRefusal(result), listed) << i;
    EXPECT_EQ(RefusalReasonName(result) != "", listed) << i;
  }
}

TEST(TaskResult, ExactlyTheResultsOfAdmittedTasksHaveAnOutcome) {
  for (std::size_t i = 0; i < kTaskResults; ++i) {
    const auto result = static_cast<TaskResult>(i);
    const bool listed = std::ranges::count(kOutcomes, result) == 1;
    EXPECT_EQ(OutcomeName(result) != "", listed) << i;
    if (IsWorked(result)) {
      EXPECT_TRUE(listed) << i;
    }
  }
}

TEST(TaskResult, CountsAreAddedUp) {
  ResultCounts counts;
  counts[TaskResult::kQueueFull] = 2;
  counts[TaskResult::kHopeless] = 3;
  counts[TaskResult::kInvalid] = 4;
  EXPECT_EQ(counts.Sum(), 9u);
  EXPECT_EQ(counts.Refusals(), 5u);
}

}  // namespace
}  // namespace sluice

#include "pool/batch_share.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "policies/block.h"
#include "pool/gate.h"
#include "tests/fakes/fake_task.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kHonest = 1;
constexpr std::uint64_t kImport = 2;

// Lanes by the number of their tasks.
using ByLane = std::map<std::uint64_t, std::size_t>;

// A Gate that is shared by lanes.
class BatchShareTest : public testing::Test {
 protected:
  void Arrive(std::uint64_t lane, std::size_t count,
              Priority priority = Priority::kNormal) {
    for (std::size_t i = 0; i < count; ++i) {
      FakeTask& task = tasks_.emplace_back();
      task.lane = lane;
      task.priority = priority;
      const Admission admission = gate_.Arrive(&task, policy_, now_, &events_);
      ASSERT_EQ(admission.kind, Admission::Kind::kAdmitted);
    }
  }

  // Takes a batch of at most 256 tasks, and ends it.
  ByLane Take() {
    std::vector<Task*> batch;
    gate_.Take({.tasks = 256}, now_, &batch, &events_);
    ByLane taken;
    for (Task* task : batch) {
      ++taken[task->lane];
      task->result = TaskResult::kStored;
    }
    gate_.Done(batch, StoreState::kUp, now_, &events_);
    return taken;
  }

  TimePoint now_{std::chrono::hours(1)};

 private:
  std::list<FakeTask> tasks_;
  const BlockPolicy policy_{};
  GateEvents events_;
  std::atomic<std::int64_t> sequence_ = 0;
  Gate gate_{{.capacity = 10'000, .by_lane = true}, /*methods=*/1, &sequence_};
};

TEST_F(BatchShareTest, ALongQueueGetsAsMuchOfABatchAsTheNextLane) {
  constexpr std::uint64_t kThird = 3;
  Arrive(kImport, 1000);
  Arrive(kHonest, 64);
  Arrive(kThird, 40);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 64}, {kImport, 64}, {kThird, 40}}));
  Arrive(kHonest, 20);
  Arrive(kThird, 30);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 20}, {kImport, 30}, {kThird, 30}}));
}

TEST_F(BatchShareTest, BesideSeldomTasksALongQueueGetsShortBatches) {
  Arrive(kImport, 1000);
  Arrive(kHonest, 2);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 2}, {kImport, BatchShare::kAlone}}));
  // The callers of the other lane have their results, and will be back soon.
  EXPECT_EQ(Take(), (ByLane{{kImport, BatchShare::kAlone}}));
  now_ += milliseconds(900);
  Arrive(kHonest, 1);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 1}, {kImport, BatchShare::kAlone}}));
}

TEST_F(BatchShareTest, ALongQueueOfLowPriorityGetsLess) {
  Arrive(kImport, 1000, Priority::kLow);
  Arrive(kHonest, 100);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 100}, {kImport, 25}}));
  EXPECT_EQ(Take(), (ByLane{{kImport, BatchShare::kAlone / 4}}));
  now_ += BatchShare::kTogether;
  EXPECT_EQ(Take(), (ByLane{{kImport, 256}}));
}

TEST_F(BatchShareTest, ALaneThatIsAloneFillsItsBatches) {
  Arrive(kImport, 1000);
  EXPECT_EQ(Take(), (ByLane{{kImport, 256}}));
  Arrive(kHonest, 1);
  Take();
  now_ += BatchShare::kTogether;
  EXPECT_EQ(Take(), (ByLane{{kImport, 256}}));
}

TEST_F(BatchShareTest, LongQueuesFillTheirBatchesTogether) {
  Arrive(kImport, 1000);
  Arrive(kHonest, 1000);
  EXPECT_EQ(Take(), (ByLane{{kHonest, 128}, {kImport, 128}}));
}

}  // namespace
}  // namespace sluice

// Sequences of events in which an earlier version of the Gate broke a promise
// of gate.h, or in which a change could easily break a promise. The invariants
// are checked after each event.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policies/block.h"
#include "policies/drop_oldest.h"
#include "policies/fail_fast.h"
#include "pool/fair_queue.h"
#include "pool/gate.h"
#include "pool/standing_queue.h"
#include "tests/fakes/fake_task.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
constexpr FakeTask::Traits kDroppable = {.droppable = true};

const BlockPolicy kBlock;
const DropOldestPolicy kDropOldest;
const FailFastPolicy kFailFast;

class GatePromisesTest : public testing::Test {
 protected:
  FakeTask* Make(const FakeTask::Traits& traits, std::uint64_t lane = 0) {
    FakeTask& task = tasks_.emplace_back(traits);
    task.lane = lane;
    return &task;
  }

  FakeTask* MakeHigh(std::size_t bytes, std::uint64_t lane) {
    FakeTask* task = Make({.bytes = bytes}, lane);
    task->priority = Priority::kHigh;
    return task;
  }

  Admission Arrive(FakeTask* task, const AdmissionPolicy& policy) {
    const Admission admission = gate_.Arrive(task, policy, now_, &events_);
    Check();
    return admission;
  }

  std::vector<Task*> Take(std::size_t max = kUnlimited) {
    std::vector<Task*> batch;
    gate_.Take({.tasks = max}, now_, &batch, &events_);
    Check();
    return batch;
  }

  void Done(const std::vector<Task*>& batch, StoreState store) {
    for (Task* task : batch) {
      task->result = TaskResult::kStoreUnavailable;
      task->again = store == StoreState::kDown && task->promised;
    }
    gate_.Done(batch, store, now_, &events_);
    Check();
  }

  void EndPause() {
    now_ = gate_.circuit().retry_at();
    gate_.Expire(now_, &events_);
    Check();
  }

  // Returns the tasks that the Gate has ended since the last call.
  std::vector<Task*> Ended() {
    std::vector<Task*> tasks;
    for (const sluice::Ended& ended : events_.ended) {
      tasks.push_back(ended.task);
    }
    events_.clear();
    return tasks;
  }

  void Check() { EXPECT_EQ(gate_.CheckInvariants(), ""); }

  TimePoint now_{seconds(1000)};
  std::atomic<std::int64_t> sequence_{0};
  Gate gate_{{.capacity = 8,
              .capacity_bytes = 100,
              .waiting_max = 8,
              .waiting_max_bytes = 100,
              .by_lane = true},
             /*methods=*/2,
             &sequence_};
  GateEvents events_;
  std::list<FakeTask> tasks_;
};

TEST_F(GatePromisesTest, AnArrivalEvictsOnlyWithinItsOwnLane) {
  FakeTask* quiet = Make(kDroppable, 1);
  Arrive(quiet, kDropOldest);
  std::vector<FakeTask*> loud;
  for (int i = 0; i < 4; ++i) {
    loud.push_back(Make(kDroppable, 2));
    ASSERT_EQ(Arrive(loud.back(), kDropOldest).kind,
              Admission::Kind::kAdmitted);
  }
  EXPECT_THAT(Ended(), IsEmpty());
  EXPECT_EQ(Arrive(Make(kDroppable, 2), kDropOldest).kind,
            Admission::Kind::kAdmitted);
  EXPECT_THAT(Ended(), ElementsAre(loud[0])) << "not the other lane's oldest";
  EXPECT_EQ(gate_.depth(), 5u);
}

TEST_F(GatePromisesTest, AnArrivalWhoseLaneHasNothingToEvictIsDropped) {
  for (std::uint64_t lane = 1; lane <= 8; ++lane) {
    ASSERT_EQ(Arrive(Make(kDroppable, lane), kDropOldest).kind,
              Admission::Kind::kAdmitted);
  }
  EXPECT_EQ(Arrive(Make(kDroppable, 9), kDropOldest).result,
            TaskResult::kDropped);
  // Lane 0 is the common lane. The empty stand-in for lanes that do not exist
  // has the id 0, too.
  EXPECT_EQ(Arrive(Make(kDroppable, 0), kDropOldest).result,
            TaskResult::kDropped);
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(GatePromisesTest, TheLastOfALaneMayBeEvicted) {
  FakeTask* small = Make({.bytes = 40, .droppable = true}, 2);
  Arrive(small, kDropOldest);
  // The limit is 100 bytes: 40 are queued, 40 are reserved for other lanes, and
  // 20 are free.
  EXPECT_EQ(Arrive(Make({.bytes = 60, .droppable = true}, 2), kDropOldest).kind,
            Admission::Kind::kAdmitted);
  EXPECT_THAT(Ended(), ElementsAre(small));
}

TEST_F(GatePromisesTest, ADeferredTaskLeavesTheListThatItIsIn) {
  FakeTask* first = Make({.order_key = 7});
  FakeTask* second = Make({.order_key = 7});
  FakeTask* third = Make({.order_key = 7});
  FakeTask* other = Make({});
  Arrive(first, kFailFast);
  const std::vector<Task*> batch = Take(1);
  Arrive(second, kFailFast);
  Arrive(third, kFailFast);
  EXPECT_THAT(Take(), IsEmpty()) << "second and third are deferred";
  Arrive(other, kFailFast);
  EXPECT_TRUE(gate_.Leave(second, now_, &events_));
  Check();
  EXPECT_THAT(gate_.queued(), ElementsAre(third, other));
  Done(batch, StoreState::kUp);
  EXPECT_THAT(Take(), ElementsAre(third, other));
}

TEST_F(GatePromisesTest, ADeferredTaskIsEndedWhenTheCircuitOpens) {
  Arrive(Make({.promised = true, .order_key = 7}), kFailFast);
  const std::vector<Task*> slow = Take();
  FakeTask* waits = Make({.order_key = 7});
  Arrive(waits, kFailFast);
  EXPECT_THAT(Take(), IsEmpty()) << "the task is deferred";
  Arrive(Make({.promised = true}), kFailFast);
  for (int failure = 1; failure <= Circuit::kOpensAfter; ++failure) {
    EXPECT_THAT(Ended(), IsEmpty());
    const std::vector<Task*> batch = Take();
    ASSERT_EQ(batch.size(), 1u);
    Done(batch, StoreState::kDown);
    if (!gate_.circuit().open()) EndPause();
  }
  EXPECT_THAT(Ended(), ElementsAre(waits));
  Done(slow, StoreState::kUp);
}

TEST_F(GatePromisesTest, AnOlderBatchDoesNotMakeWayForASecondProbe) {
  for (int i = 0; i < 4; ++i) Arrive(Make({.promised = true}, 1), kFailFast);
  const std::vector<Task*> fails = Take(1);
  const std::vector<Task*> slow = Take(1);
  Done(fails, StoreState::kDown);
  EndPause();
  const std::vector<Task*> probe = Take(1);
  ASSERT_EQ(probe.size(), 1u);
  EXPECT_FALSE(gate_.ready());
  Done(slow, StoreState::kUntouched);
  EXPECT_FALSE(gate_.ready()) << "the probe is in work";
  EXPECT_THAT(Take(), IsEmpty());
  Done(probe, StoreState::kUp);
  EXPECT_TRUE(gate_.ready());
}

TEST_F(GatePromisesTest, ASuccessOfAnOlderBatchClosesTheCircuit) {
  for (int i = 0; i < 4; ++i) Arrive(Make({.promised = true}, 1), kFailFast);
  const std::vector<Task*> fails = Take(1);
  const std::vector<Task*> slow = Take(1);
  Done(fails, StoreState::kDown);
  EndPause();
  const std::vector<Task*> probe = Take(1);
  Done(slow, StoreState::kUp);
  EXPECT_TRUE(gate_.ready()) << "nothing is failing any more";
  EXPECT_EQ(Take().size(), 2u);
  Done(probe, StoreState::kUp);
}

TEST_F(GatePromisesTest, NoTaskIsParkedBehindALaterClassThatAwaitsBytes) {
  Arrive(Make({.bytes = 90}, 1), kBlock);
  FakeTask* large = Make({.bytes = 50}, 2);
  ASSERT_EQ(Arrive(large, kBlock).kind, Admission::Kind::kParked);
  // The high class has nothing queued, so its turn is before the turn of
  // `large`.
  FakeTask* high = MakeHigh(5, 3);
  Arrive(high, kBlock);
  EXPECT_GT(high->sequence, 0) << "not admitted";
  EXPECT_EQ(large->sequence, 0);
}

TEST_F(GatePromisesTest, ARestoredTaskAdmitsAParkedTaskThatIsFirstNow) {
  Arrive(Make({.bytes = 85}, 1), kBlock);
  for (std::uint64_t lane = 4; lane <= 8; ++lane) {
    ASSERT_EQ(Arrive(MakeHigh(1, lane), kBlock).kind,
              Admission::Kind::kAdmitted);
  }
  FakeTask* large = Make({.bytes = 50}, 2);
  ASSERT_EQ(Arrive(large, kBlock).kind, Admission::Kind::kParked);
  // By weight, 5 high tasks are more than 1 normal task, so `large` is first.
  FakeTask* high = MakeHigh(5, 3);
  ASSERT_EQ(Arrive(high, kBlock).kind, Admission::Kind::kParked);
  ASSERT_EQ(high->sequence, 0) << "admitted";
  // By weight, 5 high tasks are fewer than 2 normal tasks.
  gate_.Restore(Make({.promised = true}, 1), now_, &events_);
  Check();
  EXPECT_GT(high->sequence, 0) << "not admitted";
  EXPECT_EQ(large->sequence, 0);
}

TEST(GateLanesTest, RemembersALimitedNumberOfLanes) {
  constexpr std::uint64_t kLanes = 2 * FairQueue::kRememberedMax;
  std::atomic<std::int64_t> sequence{0};
  GateEvents events;
  const TimePoint now{seconds(1000)};
  Gate gate({.capacity = 2 * kLanes, .by_lane = true}, /*methods=*/1,
            &sequence);
  std::list<FakeTask> tasks;
  for (std::uint64_t lane = 1; lane <= kLanes; ++lane) {
    FakeTask& task = tasks.emplace_back();
    task.lane = lane;
    ASSERT_EQ(gate.Arrive(&task, kFailFast, now, &events).kind,
              Admission::Kind::kAdmitted);
  }
  // Leave one task in the queue, so that lanes are remembered.
  std::vector<Task*> batch;
  gate.Take({.tasks = kLanes - 1}, now, &batch, &events);
  EXPECT_EQ(batch.size(), kLanes - 1);
  EXPECT_EQ(gate.CheckInvariants(), "");
}

// Gate::open is false while one lane has a standing queue.
class StandingLaneTest : public GatePromisesTest {
 protected:
  // Makes a standing queue of lane 1, but not of the pool. Leaves two tasks in
  // lane 1.
  void SetUp() override {
    for (int i = 0; i < 4; ++i) Arrive(Make({}, 1), kFailFast);
    now_ += milliseconds(100);
    // A task of another lane is taken without a wait, so the pool has no
    // standing queue.
    Arrive(Make({}, 2), kFailFast);
    Done(Take(2), StoreState::kUp);
    now_ += StandingQueue::kInterval;
    TakeAndStore();
    ASSERT_EQ(gate_.depth(), 2u);
    ASSERT_FALSE(gate_.open()) << "lane 1 has no standing queue";
  }

  void TakeAndStore() {
    const std::vector<Task*> batch = Take(1);
    ASSERT_EQ(batch.size(), 1u);
    Done(batch, StoreState::kUp);
  }
};

TEST_F(StandingLaneTest, EndsWhenTheLaneIsEmpty) {
  TakeAndStore();
  EXPECT_FALSE(gate_.open());
  TakeAndStore();
  EXPECT_TRUE(gate_.open());
}

TEST_F(StandingLaneTest, EndsWhenTheCallersOfTheLaneHaveLeft) {
  for (const Task* task : gate_.queued()) {
    EXPECT_FALSE(gate_.open());
    EXPECT_TRUE(gate_.Leave(const_cast<Task*>(task), now_, &events_));
    Check();
  }
  EXPECT_TRUE(gate_.open());
}

}  // namespace
}  // namespace sluice

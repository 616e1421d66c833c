#include "pool/worker_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policies/block.h"
#include "policies/drop.h"
#include "policies/drop_oldest.h"
#include "policies/fail_fast.h"
#include "policies/timed_wait.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_processor.h"
#include "tests/fakes/fake_task.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Each;
using testing::ElementsAre;
using testing::Le;

using Kind = Admission::Kind;

const BlockPolicy kBlock;
const FailFastPolicy kFailFast;
const DropPolicy kDrop;
const DropOldestPolicy kDropOldest;
const TimedWaitPolicy kWait250(milliseconds(250));

// The tasks, the clock and the processor outlive the pool.
class WorkerPoolTest : public testing::Test {
 protected:
  void Start(WorkerPoolOptions options) {
    pool_ = std::make_unique<WorkerPool>(std::move(options), &processor_,
                                         &clock_, &sequence_);
  }

  FakeTask* NewTask(const FakeTask::Traits& traits = {}) {
    return &tasks_.emplace_back(traits);
  }

  // Offers a new task, and expects this answer of the pool.
  FakeTask* Arrived(Kind expected, const AdmissionPolicy& policy = kBlock,
                    const FakeTask::Traits& traits = {}) {
    FakeTask* task = NewTask(traits);
    EXPECT_EQ(pool_->Arrive(task, policy).kind, expected);
    return task;
  }

  // Holds the processor while each of `workers` workers has one task.
  void Occupy(std::size_t workers) {
    processor_.Hold();
    for (std::size_t i = 1; i <= workers; ++i) {
      Arrived(Kind::kAdmitted);
      ASSERT_TRUE(processor_.AwaitHeld(i));
    }
  }

  // Calls a member that takes the pool's lock.
  void CallThePool() { EXPECT_TRUE(pool_->Snapshot().counters[0].Balanced()); }

  void TearDown() override {
    processor_.Release();
    if (pool_ == nullptr) return;
    pool_->Join();
    for (const MethodCounters& counters : pool_->Snapshot().counters) {
      EXPECT_TRUE(counters.Balanced());
    }
  }

  std::deque<FakeTask> tasks_;
  FakeClock clock_;
  FakeProcessor processor_;
  std::atomic<std::int64_t> sequence_{0};
  std::unique_ptr<WorkerPool> pool_;
};

std::uint64_t Completed(const MethodCounters& counters, TaskResult result) {
  return counters.completed[result];
}

TEST_F(WorkerPoolTest, WorksWhatArrives) {
  Start({});
  FakeTask* task = Arrived(Kind::kAdmitted);
  ASSERT_TRUE(task->AwaitHandedBack());
  EXPECT_EQ(task->done(), TaskResult::kStored);
  EXPECT_EQ(task->times_handed_back(), 1);
  EXPECT_EQ(task->notices(), 0) << "the task was never parked";
}

TEST_F(WorkerPoolTest, AWorkerTakesAllThatWaitsUpToTheLimit) {
  Start({.workers = {.min = 1, .max = 1}, .batch = {.tasks = 4}});
  Occupy(1);
  for (int i = 0; i < 6; ++i) Arrived(Kind::kAdmitted);
  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  EXPECT_THAT(processor_.batch_sizes(), ElementsAre(1, 4, 2));
  EXPECT_THAT(processor_.sequences(), ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST_F(WorkerPoolTest, WorkersWorkAtTheSameTimeAndNeverMoreThanThereAre) {
  Start({.workers = {.min = 3, .max = 3}, .batch = {.tasks = 1}});
  Occupy(3);
  for (int i = 0; i < 30; ++i) Arrived(Kind::kAdmitted);
  PoolSnapshot snapshot = pool_->Snapshot();
  EXPECT_EQ(snapshot.workers_busy, 3u);
  EXPECT_EQ(snapshot.workers_idle, 0u);
  EXPECT_EQ(snapshot.in_work, 3u);
  EXPECT_EQ(snapshot.view.depth, 30u);
  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  EXPECT_EQ(processor_.in_work_max(), 3u);
  EXPECT_EQ(pool_->Snapshot().workers_idle, 3u);
}

TEST_F(WorkerPoolTest, TenThousandParkedAllEnterInOrderAndAreWorked) {
  constexpr std::size_t kCapacity = 16;
  constexpr std::size_t kParked = 10'000;
  Start({.limits = {.capacity = kCapacity, .waiting_max = kParked},
         .workers = {.min = 4, .max = 4},
         .batch = {.tasks = 8}});
  Occupy(4);
  for (std::size_t i = 0; i < kCapacity; ++i) Arrived(Kind::kAdmitted);
  std::vector<FakeTask*> parked;
  for (std::size_t i = 0; i < kParked; ++i) {
    parked.push_back(Arrived(Kind::kParked));
  }
  EXPECT_EQ(pool_->Arrive(NewTask(), kBlock).result,
            TaskResult::kWaitingRoomFull);
  tasks_.pop_back();

  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  for (std::size_t i = 0; i < kParked; ++i) {
    ASSERT_TRUE(parked[i]->AwaitNotice());
    ASSERT_EQ(parked[i]->admitted_as(),
              static_cast<std::int64_t>(4 + kCapacity + 1 + i));
  }
  EXPECT_LE(processor_.in_work_max(), 4u);
  EXPECT_THAT(processor_.batch_sizes(), Each(Le(8u)));

  pool_->Join();
  for (const FakeTask& task : tasks_) {
    ASSERT_EQ(task.times_handed_back(), 1);
    ASSERT_LE(task.notices(), 1);
    ASSERT_EQ(task.done(), TaskResult::kStored);
  }
  EXPECT_EQ(Completed(pool_->Snapshot().counters[0], TaskResult::kStored),
            tasks_.size());
}

TEST_F(WorkerPoolTest, ParkedTasksAreEndedWhenTheirTimeHasCome) {
  Start({.limits = {.capacity = 1, .waiting_max = 3}});
  Occupy(1);
  Arrived(Kind::kAdmitted);
  FakeTask* patient = Arrived(Kind::kParked, kBlock);
  FakeTask* timed = Arrived(Kind::kParked, kWait250);
  FakeTask* hurried = Arrived(Kind::kParked, kBlock,
                              {.deadline = clock_.Now() + milliseconds(100)});

  clock_.Advance(milliseconds(100));
  ASSERT_TRUE(hurried->AwaitHandedBack());
  EXPECT_EQ(hurried->ending(), TaskResult::kDeadline);
  EXPECT_EQ(timed->times_handed_back(), 0);
  FakeTask* next = Arrived(Kind::kParked, kWait250);

  clock_.Advance(milliseconds(150));
  ASSERT_TRUE(timed->AwaitHandedBack());
  EXPECT_EQ(timed->ending(), TaskResult::kWaitOver);
  EXPECT_EQ(next->times_handed_back(), 0);
  EXPECT_EQ(patient->times_handed_back(), 0);
  EXPECT_EQ(pool_->Snapshot().view.waiting, 2u);

  processor_.Release();
  ASSERT_TRUE(patient->AwaitHandedBack());
  EXPECT_EQ(patient->done(), TaskResult::kStored);
  EXPECT_EQ(timed->notices(), 0);
}

TEST_F(WorkerPoolTest, AnEarlierEndIsNotMissedWhileALaterIsAwaited) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  Arrived(Kind::kAdmitted);
  FakeTask* late =
      Arrived(Kind::kParked, kBlock, {.deadline = clock_.Now() + seconds(9)});
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  FakeTask* early =
      Arrived(Kind::kParked, kBlock, {.deadline = clock_.Now() + seconds(1)});
  clock_.Advance(seconds(1));
  ASSERT_TRUE(early->AwaitHandedBack());
  EXPECT_EQ(late->times_handed_back(), 0);
}

TEST_F(WorkerPoolTest, CallersLeaveTheWaitingRoomAndTheQueueButNotWork) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  FakeTask* in_work = &tasks_.back();
  FakeTask* queued = Arrived(Kind::kAdmitted);
  FakeTask* waiting = Arrived(Kind::kParked);

  EXPECT_FALSE(pool_->Leave(in_work));
  EXPECT_TRUE(pool_->Leave(waiting));
  EXPECT_TRUE(pool_->Leave(queued));
  EXPECT_FALSE(pool_->Leave(queued));

  processor_.Release();
  ASSERT_TRUE(in_work->AwaitHandedBack());
  pool_->Join();
  EXPECT_EQ(in_work->done(), TaskResult::kStored);
  EXPECT_EQ(queued->times_handed_back(), 0);
  EXPECT_EQ(waiting->times_handed_back(), 0);
  EXPECT_EQ(waiting->notices(), 0);
  const MethodCounters counters = pool_->Snapshot().counters[0];
  EXPECT_EQ(counters.not_admitted[TaskResult::kCancelled], 1u);
  EXPECT_EQ(Completed(counters, TaskResult::kCancelled), 1u);
}

TEST_F(WorkerPoolTest, ALeaveAdmitsTheNextTaskWhichIsTold) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  FakeTask* queued = Arrived(Kind::kAdmitted);
  FakeTask* waiting = Arrived(Kind::kParked);
  EXPECT_TRUE(pool_->Leave(queued));
  EXPECT_EQ(waiting->notices(), 1) << "told before Leave returns";
  EXPECT_EQ(waiting->admitted_as(), 3);
}

// See GatePromisesTest.ARestoredTaskAdmitsAParkedTaskThatIsFirstNow.
TEST_F(WorkerPoolTest, ARestoreAdmitsTheNextTaskWhichIsTold) {
  Start({.limits = {.capacity = 8,
                    .capacity_bytes = 100,
                    .waiting_max = 8,
                    .waiting_max_bytes = 100,
                    .by_lane = true},
         .workers = {.min = 1, .max = 1}});
  Occupy(1);
  const auto arrive = [this](Kind expected, std::size_t bytes,
                             std::uint64_t lane, Priority priority) {
    FakeTask* task = NewTask({.bytes = bytes});
    task->lane = lane;
    task->priority = priority;
    EXPECT_EQ(pool_->Arrive(task, kBlock).kind, expected);
    return task;
  };
  arrive(Kind::kAdmitted, 84, 1, Priority::kNormal);
  for (std::uint64_t lane = 4; lane <= 8; ++lane) {
    arrive(Kind::kAdmitted, 1, lane, Priority::kHigh);
  }
  const FakeTask* large = arrive(Kind::kParked, 50, 2, Priority::kNormal);
  FakeTask* high = arrive(Kind::kParked, 5, 3, Priority::kHigh);
  high->when_told = [this] { CallThePool(); };
  ASSERT_EQ(high->notices(), 0);

  FakeTask* restored = NewTask({.promised = true});
  restored->lane = 1;
  pool_->Restore(restored);
  EXPECT_EQ(high->notices(), 1) << "told before Restore returns";
  EXPECT_EQ(large->notices(), 0);
}

// Callbacks run without the pool's lock, so that they may call the pool

TEST_F(WorkerPoolTest, ATaskAdmittedByATakeMayCallThePool) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  Arrived(Kind::kAdmitted);
  FakeTask* waiting = NewTask();
  FakeTask* another = NewTask();
  waiting->when_told = [&] {
    if (waiting->notices() == 0) pool_->Arrive(another, kBlock);
  };
  ASSERT_EQ(pool_->Arrive(waiting, kBlock).kind, Kind::kParked);
  processor_.Release();
  ASSERT_TRUE(waiting->AwaitNotice());
  EXPECT_TRUE(waiting->AwaitHandedBack());
  EXPECT_TRUE(another->AwaitHandedBack());
}

TEST_F(WorkerPoolTest, ATaskAdmittedByALeaveMayCallThePool) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  FakeTask* queued = Arrived(Kind::kAdmitted);
  FakeTask* waiting = Arrived(Kind::kParked);
  waiting->when_told = [&] { CallThePool(); };
  EXPECT_TRUE(pool_->Leave(queued));
  EXPECT_EQ(waiting->notices(), 1);
}

TEST_F(WorkerPoolTest, ATaskAdmittedByDoneWorkMayCallThePool) {
  Start({.limits = {.capacity_bytes = 1}});
  Occupy(1);
  FakeTask* in_work = &tasks_.back();
  FakeTask* waiting = Arrived(Kind::kParked);
  waiting->when_told = [&] { CallThePool(); };
  // The listener of the parked task is called before the completed task is
  // returned.
  in_work->when_told = [&] { EXPECT_TRUE(waiting->AwaitNotice()); };
  processor_.Release();
  EXPECT_TRUE(in_work->AwaitHandedBack());
}

TEST_F(WorkerPoolTest, ATaskEndedOrAdmittedByTheTimerMayCallThePool) {
  Start({.limits = {.capacity_bytes = 2}});
  Occupy(1);
  FakeTask* large = Arrived(Kind::kParked, kWait250, {.bytes = 2});
  FakeTask* small = Arrived(Kind::kParked, kBlock, {.bytes = 1});
  large->when_told = [&] { CallThePool(); };
  small->when_told = [&] { CallThePool(); };
  clock_.Advance(milliseconds(250));
  EXPECT_TRUE(large->AwaitHandedBack());
  EXPECT_TRUE(small->AwaitNotice());
}

TEST_F(WorkerPoolTest, ATaskEndedByCloseMayCallThePool) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  Arrived(Kind::kAdmitted);
  FakeTask* waiting = Arrived(Kind::kParked);
  waiting->when_told = [&] { CallThePool(); };
  pool_->Close(kForever);
  EXPECT_EQ(waiting->times_handed_back(), 1);
}

TEST_F(WorkerPoolTest, AnEvictedTaskIsToldAndMayCallThePool) {
  Start({.limits = {.capacity = 1}});
  Occupy(1);
  FakeTask* oldest = Arrived(Kind::kAdmitted, kDropOldest, {.droppable = true});
  oldest->when_told = [&] { CallThePool(); };
  Arrived(Kind::kAdmitted, kDropOldest, {.droppable = true});
  EXPECT_EQ(oldest->times_handed_back(), 1) << "told before Arrive returns";
  EXPECT_EQ(oldest->ending(), TaskResult::kDropped);
  EXPECT_EQ(pool_->Snapshot().view.depth, 1u);
}

TEST_F(WorkerPoolTest, ACompletedTaskMayCallThePool) {
  Start({});
  FakeTask* task = NewTask();
  task->when_told = [&] { CallThePool(); };
  pool_->Arrive(task, kBlock);
  EXPECT_TRUE(task->AwaitHandedBack());
}

TEST_F(WorkerPoolTest, NoWorkerSleepsWhileThereIsWork) {
  Start({.limits = {.capacity_bytes = 3},
         .workers = {.min = 3, .max = 3},
         .batch = {.tasks = 1}});
  processor_.Hold();
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 3});
  ASSERT_TRUE(processor_.AwaitHeld(1));
  for (int i = 0; i < 3; ++i) Arrived(Kind::kParked, kBlock, {.bytes = 1});
  processor_.ReleaseHeld();
  EXPECT_TRUE(processor_.AwaitHeld(3)) << "each worker wakes the next";
}

TEST_F(WorkerPoolTest, ALeaveThatAdmitsATaskWakesAWorker) {
  Start({.limits = {.capacity_bytes = 2}, .workers = {.min = 2, .max = 2}});
  Occupy(1);
  FakeTask* large = Arrived(Kind::kParked, kBlock, {.bytes = 2});
  Arrived(Kind::kParked, kBlock, {.bytes = 1});
  EXPECT_TRUE(pool_->Leave(large));
  EXPECT_TRUE(processor_.AwaitHeld(2));
}

TEST_F(WorkerPoolTest, AnExpiryThatAdmitsATaskWakesAWorker) {
  Start({.limits = {.capacity_bytes = 2}, .workers = {.min = 2, .max = 2}});
  Occupy(1);
  Arrived(Kind::kParked, kWait250, {.bytes = 2});
  Arrived(Kind::kParked, kBlock, {.bytes = 1});
  clock_.Advance(milliseconds(250));
  EXPECT_TRUE(processor_.AwaitHeld(2));
}

TEST_F(WorkerPoolTest, WhatThrowsFailsItsBatchAndTheWorkerLives) {
  processor_.then = [](std::span<Task* const> batch) {
    if (batch[0]->bytes == 100) throw std::runtime_error("poison");
    if (batch[0]->bytes == 200) throw 42;
  };
  Start({.workers = {.min = 1, .max = 1}, .batch = {.tasks = 2}});
  Occupy(1);
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 100});
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 1});
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 200});
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 1});
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 1});
  processor_.Release();
  std::vector<std::optional<TaskResult>> outcomes;
  for (FakeTask& task : tasks_) {
    ASSERT_TRUE(task.AwaitHandedBack());
    outcomes.push_back(task.done());
  }
  EXPECT_THAT(outcomes, ElementsAre(TaskResult::kStored, TaskResult::kFailed,
                                    TaskResult::kFailed, TaskResult::kFailed,
                                    TaskResult::kFailed, TaskResult::kStored));
  EXPECT_EQ(pool_->Snapshot().workers_idle, 1u);
}

TEST_F(WorkerPoolTest, TurnsAwayWhileItIsFullOrClosed) {
  Start({.limits = {.capacity = 1}, .methods = 2});
  const Arrival arrival = {.now = {}, .bytes = 1};
  EXPECT_EQ(pool_->TurnAway(arrival, 1, kFailFast), std::nullopt);
  Occupy(1);
  Arrived(Kind::kAdmitted);
  EXPECT_EQ(pool_->TurnAway(arrival, 1, kBlock), std::nullopt);
  EXPECT_EQ(pool_->TurnAway(arrival, 1, kDrop)->result, TaskResult::kDropped);
  EXPECT_EQ(pool_->TurnAway(arrival, 1, kFailFast)->result,
            TaskResult::kQueueFull);
  pool_->Close(kForever);
  EXPECT_EQ(pool_->TurnAway(arrival, 1, kDrop)->result, TaskResult::kDraining);
  pool_->CountArrival(1, TaskResult::kInvalid);
  const MethodCounters counters = pool_->Snapshot().counters[1];
  EXPECT_EQ(counters.received, 4u);
  EXPECT_EQ(counters.not_admitted[TaskResult::kInvalid], 1u);
}

TEST_F(WorkerPoolTest, AResizeAdmitsAndWakesAndSetsTheNextBatch) {
  Start({.limits = {.capacity = 1},
         .workers = {.min = 2, .max = 2},
         .batch = {.tasks = 1}});
  Occupy(2);
  Arrived(Kind::kAdmitted);
  for (int i = 0; i < 4; ++i) {
    FakeTask* waiting = Arrived(Kind::kParked);
    waiting->when_told = [&] { CallThePool(); };
  }
  EXPECT_TRUE(
      pool_->TurnAway({.now = {}, .bytes = 1}, 0, kFailFast).has_value());
  pool_->Resize({.capacity = 10}, {.tasks = 5});
  EXPECT_EQ(tasks_.back().notices(), 1) << "told before Resize returns";
  EXPECT_EQ(pool_->Snapshot().view.depth, 5u);
  EXPECT_FALSE(
      pool_->TurnAway({.now = {}, .bytes = 1}, 0, kFailFast).has_value());
  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  EXPECT_THAT(processor_.batch_sizes(), ElementsAre(1, 1, 5));
}

TEST_F(WorkerPoolTest, AResizeThatAdmitsATaskWakesAWorkerThatSleeps) {
  Start({.limits = {.capacity_bytes = 10},
         .workers = {.min = 2, .max = 2},
         .batch = {.tasks = 1}});
  processor_.Hold();
  Arrived(Kind::kAdmitted, kBlock, {.bytes = 10});
  ASSERT_TRUE(processor_.AwaitHeld(1));
  Arrived(Kind::kParked, kBlock, {.bytes = 10});
  pool_->Resize({.capacity_bytes = 20}, {.tasks = 1});
  EXPECT_TRUE(processor_.AwaitHeld(2));
}

TEST_F(WorkerPoolTest, AResizeBelowTheDepthTakesNothingAway) {
  Start({.limits = {.capacity = 5},
         .workers = {.min = 1, .max = 1},
         .batch = {.tasks = 1}});
  Occupy(1);
  for (int i = 0; i < 5; ++i) Arrived(Kind::kAdmitted);
  pool_->Resize({.capacity = 2}, {.tasks = 1});
  EXPECT_TRUE(
      pool_->TurnAway({.now = {}, .bytes = 1}, 0, kFailFast).has_value());
  EXPECT_EQ(pool_->Snapshot().view.depth, 5u);
  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  EXPECT_THAT(processor_.sequences(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(WorkerPoolTest, VisitsWhatIsUnfinished) {
  Start({.workers = {.min = 2, .max = 2}, .batch = {.tasks = 1}});
  Occupy(2);
  Arrived(Kind::kAdmitted);
  std::vector<std::int64_t> sequences;
  pool_->VisitUnfinished(
      [&](const Task& task) { sequences.push_back(task.sequence); });
  EXPECT_THAT(sequences, testing::UnorderedElementsAre(1, 2, 3));
  processor_.Release();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  pool_->VisitUnfinished(
      [&](const Task&) { ADD_FAILURE() << "all tasks are done"; });
}

// Closing

TEST_F(WorkerPoolTest, ADrainWorksWhatIsQueuedAndEndsWhatWaits) {
  Start({.limits = {.capacity = 2}, .batch = {.tasks = 1}});
  Occupy(1);
  FakeTask* in_work = &tasks_.back();
  FakeTask* queued = Arrived(Kind::kAdmitted);
  Arrived(Kind::kAdmitted);
  FakeTask* waiting = Arrived(Kind::kParked);

  pool_->Close(clock_.Now() + seconds(10));
  EXPECT_EQ(waiting->ending(), TaskResult::kDraining) << "before Close returns";
  EXPECT_EQ(pool_->Arrive(NewTask(), kBlock).result, TaskResult::kDraining);

  EXPECT_FALSE(pool_->AwaitIdle(clock_.Now())) << "the processor is held";
  processor_.Release();
  EXPECT_TRUE(pool_->AwaitIdle(clock_.Now() + seconds(10)));
  pool_->Join();
  EXPECT_EQ(in_work->done(), TaskResult::kStored);
  EXPECT_EQ(queued->done(), TaskResult::kStored);
}

TEST_F(WorkerPoolTest, ADrainEndsWhatIsStillQueuedWhenItsTimeIsOver) {
  Start({.limits = {.capacity = 2}, .batch = {.tasks = 1}});
  Occupy(1);
  FakeTask* in_work = &tasks_.back();
  FakeTask* queued = Arrived(Kind::kAdmitted);
  FakeTask* promised = Arrived(Kind::kAdmitted, kBlock, {.promised = true});
  const TimePoint until = clock_.Now() + seconds(10);
  pool_->Close(until);

  clock_.Advance(seconds(10));
  ASSERT_TRUE(queued->AwaitHandedBack());
  ASSERT_TRUE(promised->AwaitHandedBack());
  EXPECT_EQ(queued->ending(), TaskResult::kDraining);
  EXPECT_EQ(promised->ending(), TaskResult::kDraining);
  EXPECT_FALSE(pool_->AwaitIdle(until)) << "a task is in work";
  EXPECT_EQ(in_work->times_handed_back(), 0);

  processor_.Release();
  EXPECT_TRUE(pool_->AwaitIdle(kForever));
  EXPECT_EQ(Completed(pool_->Snapshot().counters[0], TaskResult::kDraining),
            2u);
}

TEST_F(WorkerPoolTest, ADrainEndsATaskThatIsDelayedForLonger) {
  const TimePoint until = clock_.Now() + seconds(10);
  processor_.then = [until](std::span<Task* const> batch) {
    for (Task* task : batch) {
      task->again = true;
      task->again_at = until;
    }
  };
  Start({.workers = {.min = 1, .max = 1}});
  FakeTask* task = Arrived(Kind::kAdmitted, kBlock, {.promised = true});
  pool_->Close(until);
  ASSERT_TRUE(task->AwaitHandedBack()) << "although no time passes";
  EXPECT_EQ(task->ending(), TaskResult::kDraining);
  EXPECT_TRUE(pool_->AwaitIdle(until));
}

TEST_F(WorkerPoolTest, AwaitIdleGivesUpAtItsDeadline) {
  Start({});
  Occupy(1);
  std::atomic<bool> idle = true;
  const TimePoint deadline = clock_.Now() + seconds(5);
  std::thread waiter([&] { idle = pool_->AwaitIdle(deadline); });
  ASSERT_TRUE(clock_.AwaitWaiters(2)) << "the pool's timer, and the waiter";
  clock_.Advance(seconds(5));
  waiter.join();
  EXPECT_FALSE(idle);
}

TEST_F(WorkerPoolTest, AwaitIdleIsWokenByTheEndOfTheLastWork) {
  Start({});
  Occupy(1);
  std::atomic<bool> idle = false;
  std::thread waiter([&] { idle = pool_->AwaitIdle(kForever); });
  ASSERT_TRUE(clock_.AwaitWaiters(2));
  processor_.Release();
  waiter.join();
  EXPECT_TRUE(idle);
}

TEST_F(WorkerPoolTest, JoinLeavesWhatIsQueuedUnworked) {
  Start({.workers = {.min = 1, .max = 1}, .batch = {.tasks = 1}});
  Occupy(1);
  FakeTask* in_work = &tasks_.back();
  FakeTask* queued = Arrived(Kind::kAdmitted);
  ASSERT_TRUE(clock_.AwaitWaiters(1)) << "the timer";
  std::thread joiner([&] { pool_->Join(); });
  ASSERT_TRUE(clock_.AwaitWaiters(0)) << "the timer has ended: Join has begun";
  processor_.Release();
  joiner.join();
  EXPECT_EQ(in_work->done(), TaskResult::kStored);
  EXPECT_EQ(queued->times_handed_back(), 0);
  EXPECT_EQ(pool_->Snapshot().view.depth, 1u);
  pool_->Join();  // a second call does nothing
}

TEST_F(WorkerPoolTest, WhatComesBackAfterADrainIsHandedBackByJoin) {
  processor_.then = [](std::span<Task* const> batch) {
    for (Task* task : batch) task->again = true;
  };
  processor_.store = StoreState::kDown;
  processor_.Hold();
  Start({.workers = {.min = 1, .max = 1}, .batch = {.tasks = 1}});
  FakeTask* task = Arrived(Kind::kAdmitted, kBlock, {.promised = true});
  ASSERT_TRUE(processor_.AwaitHeld(1));
  pool_->Close(clock_.Now());
  EXPECT_FALSE(pool_->AwaitIdle(clock_.Now()));
  std::thread joiner([&] { pool_->Join(); });
  ASSERT_TRUE(clock_.AwaitWaiters(0)) << "the timer has ended";
  processor_.Release();
  joiner.join();
  EXPECT_EQ(task->times_handed_back(), 1);
  EXPECT_EQ(task->ending(), TaskResult::kDraining);
}

TEST_F(WorkerPoolTest, IsJoinedByItsDestructor) {
  Start({.workers = {.min = 4, .max = 4}});
  ASSERT_TRUE(Arrived(Kind::kAdmitted)->AwaitHandedBack());
  pool_.reset();
}

// Workers that follow the load

// A pool with batches of one task. The store needs 20 ms for a batch, however
// many batches are in work.
class ScaledPoolTest : public WorkerPoolTest {
 protected:
  void StartScaled(WorkerRange workers) {
    processor_.Hold();
    Start({.limits = {.capacity = 100'000},
           .workers = workers,
           .on_hang =
               [this](const WorkerHang& hang) {
                 absl::MutexLock lock(&mutex_);
                 hangs_.push_back(hang);
               },
           .batch = {.tasks = 1}});
    queued_at_least_ = 4 * workers.max;
  }

  // Waits until exactly `workers` workers have a task.
  void AwaitBusy(std::size_t workers) {
    ASSERT_TRUE(processor_.AwaitHeld(workers)) << workers;
  }

  // Waits until the timer has handled everything that is due, and sleeps again.
  void AwaitTimer() {
    AwaitThat("the timer waits", [&] {
      return clock_.next_due() > clock_.Now() && clock_.AwaitWaiters(1);
    });
  }

  // Offers a promised task, because a standing queue does not refuse it.
  void ArrivedPromised() {
    Arrived(Kind::kAdmitted, kBlock, {.promised = true});
  }

  // Ends all batches in work. Waits until the workers have taken their next
  // batches.
  void WorkOneRound() {
    while (pool_->Snapshot().view.depth < queued_at_least_) {
      ArrivedPromised();
    }
    const std::size_t begun = processor_.batch_sizes().size();
    clock_.Advance(milliseconds(20));
    processor_.ReleaseHeld();
    AwaitTimer();
    AwaitThat("all workers have taken a task", [&] {
      return processor_.batch_sizes().size() >= begun + Workers();
    });
  }

  // Overloads the pool until it has `workers` workers.
  void GrowTo(std::size_t workers) {
    ArrivedPromised();
    AwaitBusy(1);
    for (int round = 0; Workers() < workers; ++round) {
      ASSERT_LT(round, 5000) << "the pool does not grow to " << workers;
      WorkOneRound();
    }
  }

  std::size_t Workers() const {
    const PoolSnapshot snapshot = pool_->Snapshot();
    return snapshot.workers_busy + snapshot.workers_idle +
           snapshot.workers_hung;
  }

  void AwaitWorkers(std::size_t workers) {
    AwaitThat(absl::StrCat("there are ", workers, " workers"),
              [&] { return Workers() == workers; });
  }

  // Waits until `count` hangs have been reported since the start.
  void AwaitHangs(std::size_t count) {
    AwaitThat(absl::StrCat(count, " hangs are reported"),
              [&] { return hangs().size() == count; });
  }

  void WorkAll() {
    processor_.Release();
    EXPECT_TRUE(pool_->AwaitIdle(kForever));
  }

  std::vector<WorkerHang> hangs() {
    absl::MutexLock lock(&mutex_);
    return hangs_;
  }

 private:
  std::size_t queued_at_least_ = 0;
  absl::Mutex mutex_;
  std::vector<WorkerHang> hangs_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(ScaledPoolTest, GrowsUnderLoadToItsMostAndNotBeyond) {
  StartScaled({.min = 1, .max = 4});
  EXPECT_EQ(Workers(), 1u);
  GrowTo(4);
  for (int round = 0; round < 200; ++round) {
    WorkOneRound();
    ASSERT_LE(Workers(), 4u);
  }
  WorkAll();
  EXPECT_EQ(processor_.in_work_max(), 4u);
}

TEST_F(ScaledPoolTest, ShrinksAfterIdling) {
  StartScaled({.min = 2, .max = 6});
  GrowTo(6);
  WorkAll();
  EXPECT_EQ(Workers(), 6u);
  AwaitThat("the pool has shrunk", [&] {
    clock_.Advance(milliseconds(100));
    return Workers() == 2;
  });
  const TimePoint then = clock_.Now();
  ASSERT_TRUE(Arrived(Kind::kAdmitted)->AwaitHandedBack());
  EXPECT_GE(then - FakeClock::kStart, Scaler::kIdleMax);
}

TEST_F(ScaledPoolTest, AnIdlePoolSleeps) {
  StartScaled({.min = 1, .max = 4});
  processor_.Release();
  ASSERT_TRUE(Arrived(Kind::kAdmitted)->AwaitHandedBack());
  // Let enough time pass for the scaler's last decisions and for the timeout of
  // the batch.
  for (int i = 0; i < 70; ++i) {
    clock_.Advance(seconds(1));
    AwaitTimer();
  }
  EXPECT_EQ(clock_.next_due(), kForever);
}

TEST_F(ScaledPoolTest, AHungWorkerIsReportedOnceAndReplaced) {
  StartScaled({.min = 1, .max = 2});
  Arrived(Kind::kAdmitted);
  AwaitBusy(1);
  Arrived(Kind::kAdmitted);
  clock_.Advance(seconds(59));
  AwaitTimer();
  EXPECT_EQ(pool_->Snapshot().workers_hung, 0u);

  clock_.Advance(seconds(1));
  AwaitBusy(2);
  PoolSnapshot snapshot = pool_->Snapshot();
  EXPECT_EQ(snapshot.workers_hung, 1u);
  EXPECT_EQ(snapshot.workers_busy, 1u);
  EXPECT_EQ(snapshot.workers_idle, 0u);
  EXPECT_EQ(snapshot.hangs, 1u);
  EXPECT_EQ(snapshot.in_work, 2u);
  AwaitHangs(1);
  EXPECT_EQ(hangs()[0].age, seconds(60));
  EXPECT_EQ(hangs()[0].tasks, 1u);

  clock_.Advance(seconds(59));
  AwaitTimer();
  EXPECT_EQ(hangs().size(), 1u) << "a hang is reported once";

  processor_.ReleaseHeld();
  for (FakeTask& task : tasks_) ASSERT_TRUE(task.AwaitHandedBack());
  AwaitWorkers(1);
  EXPECT_EQ(pool_->Snapshot().workers_hung, 0u);
  EXPECT_EQ(pool_->Snapshot().hangs, 1u);
}

TEST_F(ScaledPoolTest, HungWorkersAreReplacedOnlyWithinTheMost) {
  StartScaled({.min = 2, .max = 3});
  for (int i = 0; i < 5; ++i) Arrived(Kind::kAdmitted);
  AwaitBusy(2);
  clock_.Advance(seconds(60));
  AwaitBusy(3);
  AwaitHangs(2);
  clock_.Advance(seconds(60));
  AwaitHangs(3);
  EXPECT_EQ(Workers(), 3u);
  EXPECT_EQ(pool_->Snapshot().workers_hung, 3u);

  WorkAll();
  AwaitWorkers(2);
  EXPECT_EQ(processor_.in_work_max(), 3u);
}

TEST_F(ScaledPoolTest, ASlowBatchIsNoHangIfEachIsShort) {
  StartScaled({.min = 1, .max = 2});
  Arrived(Kind::kAdmitted);
  AwaitBusy(1);
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(seconds(40));
    Arrived(Kind::kAdmitted);
    processor_.ReleaseHeld();
    ASSERT_TRUE(tasks_[static_cast<std::size_t>(i)].AwaitHandedBack());
    AwaitBusy(1);
  }
  EXPECT_EQ(pool_->Snapshot().hangs, 0u);
}

TEST_F(ScaledPoolTest, ANewRangeStartsAndEndsWorkersUnderLoad) {
  StartScaled({.min = 1, .max = 1});
  for (int i = 0; i < 100; ++i) Arrived(Kind::kAdmitted);
  AwaitBusy(1);

  pool_->SetWorkers({.min = 5, .max = 8});
  AwaitBusy(5);
  EXPECT_EQ(pool_->Snapshot().workers, (WorkerRange{.min = 5, .max = 8}));

  pool_->SetWorkers({.min = 2, .max = 2});
  EXPECT_EQ(Workers(), 5u) << "each ends after its batch";
  processor_.ReleaseHeld();
  AwaitWorkers(2);
  AwaitBusy(2);

  WorkAll();
  EXPECT_EQ(processor_.in_work_max(), 5u);
  pool_->Join();
  for (const FakeTask& task : tasks_) EXPECT_EQ(task.times_handed_back(), 1);
}

TEST_F(ScaledPoolTest, ANewRangeEndsWorkersThatSleep) {
  StartScaled({.min = 6, .max = 6});
  pool_->SetWorkers({.min = 1, .max = 1});
  AwaitWorkers(1);
  processor_.Release();
  EXPECT_TRUE(Arrived(Kind::kAdmitted)->AwaitHandedBack());
}

TEST_F(ScaledPoolTest, IsJoinedWhileItGrows) {
  for (int round = 0; round < 50; ++round) {
    Start({.workers = {.min = 1, .max = 64}});
    std::thread caller([&] {
      for (std::size_t workers : {64u, 1u, 32u, 2u}) {
        pool_->SetWorkers({.min = workers, .max = 64});
      }
    });
    pool_->Join();
    caller.join();
    EXPECT_EQ(Workers(), 0u);
  }
}

// Many threads at once

// A caller whose tasks arrive, wait and leave at random, and record their
// callbacks.
class Caller {
 public:
  Caller(WorkerPool* pool, FakeClock* clock, std::uint64_t seed)
      : pool_(pool), clock_(clock), random_(seed) {}

  void Call(std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
      Arrive();
      if (Below(3) == 0) Leave();
      if (Below(20) == 0) clock_->Advance(milliseconds(100));
      // Yield now and then to let workers keep up, so that all results occur.
      if (Below(40) == 0) std::this_thread::yield();
    }
  }

  // Expects that each task was returned, refused or left, exactly once.
  void ExpectEachAnsweredOnce() const {
    for (const Called& called : calls_) {
      EXPECT_EQ(called.task.times_handed_back() + called.refused + called.left,
                1);
      EXPECT_LE(called.task.notices(), 1);
      if (called.task.notices() == 1) {
        EXPECT_EQ(called.task.admitted_as(), called.task.sequence);
      }
    }
  }

  std::uint64_t CountDone() const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        calls_,
        [](const Called& called) { return called.task.done().has_value(); }));
  }

 private:
  struct Called {
    explicit Called(const FakeTask::Traits& traits) : task(traits) {}
    FakeTask task;
    int refused = 0;
    int left = 0;
  };

  std::size_t Below(std::size_t bound) { return random_() % bound; }

  void Arrive() {
    const AdmissionPolicy* policies[] = {&kBlock,    &kBlock, &kWait250,
                                         &kFailFast, &kDrop,  &kDropOldest};
    Called& called = calls_.emplace_back(FakeTask::Traits{
        .bytes = Below(10),
        .deadline =
            Below(2) == 0 ? kForever : clock_->Now() + milliseconds(Below(500)),
        .method = Below(2),
        .promised = Below(4) == 0,
        .droppable = Below(2) == 0});
    const Admission admission =
        pool_->Arrive(&called.task, *policies[Below(6)]);
    called.refused = admission.kind == Kind::kEnded;
  }

  // Calls Leave for one of the latest 50 tasks, in whatever state it is.
  void Leave() {
    Called& called = calls_[calls_.size() - 1 - Below(calls_.size()) % 50];
    if (called.left == 0) called.left = pool_->Leave(&called.task);
  }

  WorkerPool* const pool_;
  FakeClock* const clock_;
  std::mt19937_64 random_;
  std::deque<Called> calls_;
};

TEST_F(WorkerPoolTest, UnderHammeringEachIsAnsweredOnceAndTheBalanceHolds) {
  constexpr std::size_t kCallers = 4;
  constexpr std::size_t kTimes = 10'000;
  Start({.limits = {.capacity = 8,
                    .capacity_bytes = 200,
                    .waiting_max = 50,
                    .waiting_max_bytes = 1000},
         .workers = {.min = 4, .max = 4},
         .batch = {.tasks = 8},
         .methods = 2});
  std::deque<Caller> callers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kCallers; ++i) {
    Caller* caller = &callers.emplace_back(pool_.get(), &clock_, i);
    threads.emplace_back([caller] { caller->Call(kTimes); });
  }
  std::atomic<bool> over = false;
  std::thread observer([&] {
    while (!over) {
      const PoolSnapshot snapshot = pool_->Snapshot();
      for (const MethodCounters& counters : snapshot.counters) {
        EXPECT_TRUE(counters.Balanced());
      }
      EXPECT_LE(snapshot.view.depth, 8u);
      EXPECT_LE(snapshot.view.waiting, 50u);
      EXPECT_LE(snapshot.view.held_bytes, 200u);
      EXPECT_LE(snapshot.workers_busy, 4u);
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();

  pool_->Close(kForever);
  EXPECT_TRUE(pool_->AwaitIdle(kForever));
  over = true;
  observer.join();
  pool_->Join();

  std::uint64_t done = 0;
  for (const Caller& caller : callers) {
    caller.ExpectEachAnsweredOnce();
    done += caller.CountDone();
  }
  std::uint64_t received = 0;
  std::uint64_t stored = 0;
  std::uint64_t admitted = 0;
  for (const MethodCounters& counters : pool_->Snapshot().counters) {
    received += counters.received;
    admitted += counters.admitted;
    stored += Completed(counters, TaskResult::kStored);
  }
  EXPECT_EQ(received, kCallers * kTimes);
  EXPECT_EQ(stored, done);
  EXPECT_EQ(admitted, static_cast<std::uint64_t>(sequence_));
  EXPECT_GT(stored, 0u);
}

TEST_F(WorkerPoolTest, UnderChangesOfItsWorkersEachIsAnsweredOnce) {
  constexpr std::size_t kTimes = 10'000;
  Start({.limits = {.capacity = 8, .waiting_max = 50},
         .task_timeout = seconds(1),
         .batch = {.tasks = 4},
         .methods = 2});
  std::deque<Caller> callers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 3; ++i) {
    Caller* caller = &callers.emplace_back(pool_.get(), &clock_, i);
    threads.emplace_back([caller] { caller->Call(kTimes); });
  }
  std::atomic<bool> over = false;
  std::thread changer([&] {
    for (std::size_t i = 0; !over; ++i) {
      pool_->SetWorkers({.min = i % 3 + 1, .max = i % 3 + i % 4 + 1});
      const PoolSnapshot snapshot = pool_->Snapshot();
      EXPECT_LE(snapshot.workers_busy + snapshot.workers_hung, 6u);
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  pool_->Close(kForever);
  EXPECT_TRUE(pool_->AwaitIdle(kForever));
  over = true;
  changer.join();
  pool_->Join();
  for (const Caller& caller : callers) caller.ExpectEachAnsweredOnce();
  EXPECT_LE(processor_.in_work_max(), 6u);
}

TEST_F(WorkerPoolTest, AClosingPoolAnswersAllWhoStillCome) {
  for (int round = 0; round < 50; ++round) {
    Start({.limits = {.capacity = 4, .waiting_max = 20},
           .workers = {.min = 2, .max = 2},
           .methods = 2});
    std::deque<Caller> callers;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      Caller* caller = &callers.emplace_back(pool_.get(), &clock_, i);
      threads.emplace_back([caller] { caller->Call(200); });
    }
    pool_->Close(clock_.Now());
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(pool_->AwaitIdle(kForever));
    pool_->Join();
    for (const Caller& caller : callers) caller.ExpectEachAnsweredOnce();
    pool_.reset();
  }
}

}  // namespace
}  // namespace sluice

#include "pool/fair_queue.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fakes/fake_task.h"

namespace sluice {
namespace {

// A FairQueue that is shared by lanes, and its tasks.
class Queue {
 public:
  Queue() { queue_.SetByLane(true, KeyOrder(), TaskList()); }

  void Push(std::uint64_t lane, Priority priority = Priority::kNormal,
            std::uint64_t order_key = 0) {
    FakeTask& task = tasks_.emplace_back();
    task.lane = lane;
    task.priority = priority;
    task.order_key = order_key;
    queue_.Enter(task);
    queue_.Reserve(&task);
    queue_.Push(&task);
  }

  const Task& Take() {
    Task* task = queue_.Next();
    queue_.Remove(task);
    queue_.UseTurn(*task);
    queue_.Release(task);
    return *task;
  }

  FairQueue& queue() { return queue_; }

 private:
  FairQueue queue_;
  std::list<FakeTask> tasks_;
};

TEST(FairQueue, LanesTakeTurns) {
  Queue queue;
  for (int i = 0; i < 100; ++i) queue.Push(1);
  for (int i = 0; i < 10; ++i) queue.Push(2);
  for (int i = 0; i < 10; ++i) queue.Push(3);
  std::map<std::uint64_t, int> taken;
  for (int i = 0; i < 30; ++i) ++taken[queue.Take().lane];
  EXPECT_EQ(taken[1], 10);
  EXPECT_EQ(taken[2], 10);
  EXPECT_EQ(taken[3], 10);
}

TEST(FairQueue, ClassesGetWorkByTheirWeights) {
  Queue queue;
  std::map<Priority, int> taken;
  for (int i = 0; i < 21 * 10; ++i) {
    for (const Priority priority :
         {Priority::kHigh, Priority::kNormal, Priority::kLow}) {
      queue.Push(1, priority);
    }
  }
  for (int i = 0; i < 21 * 10; ++i) ++taken[queue.Take().priority];
  EXPECT_EQ(taken[Priority::kHigh], 160);
  EXPECT_EQ(taken[Priority::kNormal], 40);
  EXPECT_EQ(taken[Priority::kLow], 10);
}

TEST(FairQueue, AClassThatHadNothingToDoDoesNotMakeUpForIt) {
  Queue queue;
  for (int i = 0; i < 1000; ++i) queue.Push(1, Priority::kHigh);
  for (int i = 0; i < 800; ++i) queue.Take();
  for (int i = 0; i < 100; ++i) queue.Push(1, Priority::kNormal);
  int high = 0;
  for (int i = 0; i < 20; ++i) {
    if (queue.Take().priority == Priority::kHigh) ++high;
  }
  EXPECT_EQ(high, 16);
}

TEST(FairQueue, ALaneMakesUpForAFewTurnsOnly) {
  Queue queue;
  for (int i = 0; i < 1000; ++i) queue.Push(1);
  for (int i = 0; i < 500; ++i) queue.Take();
  for (int i = 0; i < 100; ++i) queue.Push(2);
  int of_newcomer = 0;
  for (int i = 0; i < 40; ++i) {
    if (queue.Take().lane == 2) ++of_newcomer;
  }
  EXPECT_GE(of_newcomer, 20);
  EXPECT_LE(of_newcomer, 20 + static_cast<int>(FairQueue::kBurst));
}

TEST(FairQueue, NewcomersDoNotStarveALane) {
  Queue queue;
  queue.Push(1);
  queue.Push(1);
  queue.Push(1);
  int of_first = 0;
  for (std::uint64_t lane = 2; lane < 2000; ++lane) {
    queue.Push(lane);
    if (queue.Take().lane == 1) ++of_first;
  }
  EXPECT_EQ(of_first, 3);
}

TEST(FairQueue, LanesAreForgotten) {
  Queue queue;
  queue.Push(1);  // keeps the queue from running empty
  for (std::uint64_t lane = 2; lane < 20'000; ++lane) {
    queue.Push(lane);
    queue.Push(lane);
    queue.Take();
    queue.Take();
    EXPECT_LE(queue.queue().lanes(), 2u);
  }
  EXPECT_LE(queue.queue().lanes_kept(), FairQueue::kRememberedMax + 2);
  while (!queue.queue().empty()) queue.Take();
  EXPECT_EQ(queue.queue().lanes(), 0u);
  EXPECT_EQ(queue.queue().lanes_kept(), 0u);
}

TEST(FairQueue, TasksOfAKeyShareTheLaneOfTheFirst) {
  Queue queue;
  queue.Push(1, Priority::kLow, /*order_key=*/7);
  queue.Push(2, Priority::kHigh, /*order_key=*/7);
  EXPECT_EQ(queue.queue().lanes(), 1u);
  EXPECT_EQ(queue.Take().lane, 1u);
  EXPECT_EQ(queue.Take().lane, 2u);
}

}  // namespace
}  // namespace sluice

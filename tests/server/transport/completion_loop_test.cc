#include "server/transport/completion_loop.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "grpcpp/alarm.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "tests/fakes/run_on_loop.h"

namespace sluice {
namespace {

using testing::ElementsAre;

class FunctionTask final : public LoopTask {
 public:
  explicit FunctionTask(std::function<void()> function)
      : function_(std::move(function)) {}
  void OnLoop() override { function_(); }

 private:
  const std::function<void()> function_;
};

class CompletionLoopTest : public testing::Test {
 protected:
  // Joins the loop. All posted tasks have run afterwards.
  void Join() { loop_.Join(); }

  // Returns a task that appends `number` to `done_`.
  LoopTask* Append(int number) {
    return &tasks_.emplace_back([this, number] { done_.push_back(number); });
  }

  CompletionLoop loop_{grpc::ServerBuilder().AddCompletionQueue()};
  std::list<FunctionTask> tasks_;
  // Used on the loop's thread only, until the loop is joined.
  std::vector<int> done_;
};

TEST_F(CompletionLoopTest, RunsTasksInPostingOrder) {
  loop_.Start();
  for (int i = 1; i <= 3; ++i) loop_.Post(Append(i));
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
}

TEST_F(CompletionLoopTest, WakesForATaskThatIsPostedWhileItSleeps) {
  loop_.Start();
  for (int i = 1; i <= 100; ++i) RunOnLoop(loop_, [] {});
  Join();
}

TEST_F(CompletionLoopTest, RunsATaskThatIsPostedByATaskAfterThatTask) {
  LoopTask* second = Append(2);
  FunctionTask first([&] {
    loop_.Post(second);
    done_.push_back(1);
  });
  loop_.Start();
  loop_.Post(&first);
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2));
}

TEST_F(CompletionLoopTest, HandlesEventsBetweenTheRoundsOfATask) {
  class Event final : public Tag {
   public:
    void OnEvent(bool) override { handled = true; }
    bool handled = false;
  };
  // Maximum number of rounds, far more than pass before an event is ready.
  constexpr int kRounds = 1'000'000;
  Event event;
  grpc::Alarm alarm;
  int rounds = 0;
  absl::Notification done;
  FunctionTask task([&] {
    if (rounds == 0) {
      alarm.Set(loop_.queue(), std::chrono::system_clock::time_point(),
                ToQueue(&event));
    }
    if (event.handled || ++rounds == kRounds) return done.Notify();
    loop_.PostBehindEvents(&task);
  });
  loop_.Start();
  loop_.Post(&task);
  done.WaitForNotification();
  Join();
  EXPECT_TRUE(event.handled);
  EXPECT_LT(rounds, kRounds);
}

TEST_F(CompletionLoopTest, EventsDoNotKeepATaskFromItsNextRound) {
  class Event final : public Tag {
   public:
    explicit Event(CompletionLoop* loop) : loop_(loop) {}
    // Sets the next event, so that an event is always ready.
    void OnEvent(bool) override {
      if (++handled < 100'000 && !stop) Set();
    }
    void Set() {
      alarm_.Set(loop_->queue(), std::chrono::system_clock::time_point(),
                 ToQueue(this));
    }
    int handled = 0;
    bool stop = false;

   private:
    CompletionLoop* const loop_;
    grpc::Alarm alarm_;
  };
  Event event(&loop_);
  int rounds = 0;
  absl::Notification done;
  FunctionTask task([&] {
    if (rounds == 0) event.Set();
    if (++rounds < 10) return loop_.PostBehindEvents(&task);
    event.stop = true;
    done.Notify();
  });
  loop_.Start();
  loop_.Post(&task);
  done.WaitForNotification();
  Join();
  EXPECT_LE(event.handled, 10 * CompletionLoop::kEventsBetween);
}

TEST_F(CompletionLoopTest, BesideShortCallsATaskPausesBetweenItsTurns) {
  // A turn of the task, without the pause that follows it.
  constexpr auto kWorks = 2 * LongCallShare::kTurn;
  constexpr auto kPause = (LongCallShare::kParts - 1) * kWorks;
  std::vector<TimePoint> began;
  absl::Notification done;
  FunctionTask task([&] {
    began.push_back(std::chrono::steady_clock::now());
    loop_.CountShortCall();
    while (std::chrono::steady_clock::now() - began.back() < kWorks) {
    }
    if (began.size() == 4) return done.Notify();
    loop_.PostBehindEvents(&task);
    loop_.CountShortCall();
  });
  loop_.Start();
  loop_.Post(&task);
  done.WaitForNotification();
  Join();
  // Nothing was counted before the first turn.
  for (std::size_t i = 2; i < began.size(); ++i) {
    EXPECT_GE(began[i] - began[i - 1], kWorks + kPause) << i;
  }
}

TEST_F(CompletionLoopTest, HoldsARefusalBesideAnotherLane) {
  FunctionTask send([this] { done_.push_back(1); });
  TimePoint held_at;
  bool holds = false;
  absl::Notification sent;
  FunctionTask last([&] { sent.Notify(); });
  loop_.Start();
  RunOnLoop(loop_, [&] {
    loop_.CountServed(/*lane=*/1);
    held_at = std::chrono::steady_clock::now();
    holds = loop_.HoldRefusal(/*lane=*/2, kForever, &send) &&
            loop_.HoldRefusal(/*lane=*/2, kForever, &last);
    done_.push_back(0);
  });
  ASSERT_TRUE(holds);
  // Other tasks do not wait for the refusal.
  RunOnLoop(loop_, [] {});
  sent.WaitForNotification();
  EXPECT_GE(std::chrono::steady_clock::now() - held_at, RefusalPace::kHold);
  Join();
  EXPECT_THAT(done_, ElementsAre(0, 1));
}

TEST_F(CompletionLoopTest, SendsTheRefusalsThatItHoldsBeforeItEnds) {
  loop_.Start();
  bool holds = false;
  RunOnLoop(loop_, [&] {
    loop_.CountServed(/*lane=*/1);
    holds = loop_.HoldRefusal(/*lane=*/2, kForever, Append(1)) &&
            loop_.HoldRefusal(/*lane=*/2, kForever, Append(2));
  });
  ASSERT_TRUE(holds);
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2));
}

TEST_F(CompletionLoopTest, HoldsNoRefusalOfALaneThatIsAlone) {
  loop_.Start();
  bool holds = true;
  RunOnLoop(loop_, [&] {
    loop_.CountServed(/*lane=*/1);
    holds = loop_.HoldRefusal(/*lane=*/1, kForever, Append(1));
  });
  EXPECT_FALSE(holds);
}

TEST_F(CompletionLoopTest, PostsABatchWhenItEnds) {
  absl::Notification other_done;
  FunctionTask other([&] { other_done.Notify(); });
  loop_.Start();
  {
    const CompletionLoop::PostBatch batch;
    for (int i = 1; i <= 3; ++i) loop_.Post(Append(i));
    // The new thread has no batch, so it posts the task at once.
    std::thread([&] { loop_.Post(&other); }).join();
    other_done.WaitForNotification();
    // The loop is idle, and has not run the tasks of the batch.
    EXPECT_TRUE(done_.empty());
  }
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
}

TEST_F(CompletionLoopTest, RunsEveryTaskOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::atomic<int> done{0};
  std::vector<std::list<FunctionTask>> tasks(kThreads);
  loop_.Start();
  std::vector<std::thread> threads;
  for (auto& own : tasks) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        loop_.Post(&own.emplace_back([&] { ++done; }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Join();
  EXPECT_EQ(done, kThreads * kEach);
}

TEST_F(CompletionLoopTest, KnowsItsThread) {
  bool in_task = false;
  FunctionTask task([&] { in_task = loop_.InLoopThread(); });
  loop_.Start();
  loop_.Post(&task);
  Join();
  EXPECT_TRUE(in_task);
  EXPECT_FALSE(loop_.InLoopThread());
}

TEST(LoopTaskList, TakesATaskAgainOnceItIsRemoved) {
  FunctionTask task([] {});
  FunctionTask other([] {});
  LoopTaskList list;
  list.PushBack(&task);
  EXPECT_TRUE(list.has_one());
  list.PushBack(&other);
  EXPECT_FALSE(list.has_one());
  EXPECT_EQ(list.PopFront(), &task);
  list.PushBack(&task);
  EXPECT_EQ(list.PopFront(), &other);
  EXPECT_EQ(list.PopFront(), &task);
  EXPECT_TRUE(list.empty());
}

TEST(LoopTaskListDeathTest, RefusesATaskThatIsInAList) {
  if (!kChecks) GTEST_SKIP() << "assertions are off";
  FunctionTask task([] {});
  LoopTaskList list;
  list.PushBack(&task);
  EXPECT_DEATH(list.PushBack(&task), "check failed: task->next_");
}

}  // namespace
}  // namespace sluice

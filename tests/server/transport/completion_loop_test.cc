#include "server/transport/completion_loop.h"

#include <atomic>
#include <functional>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::ElementsAre;

class Doing final : public Errand {
 public:
  explicit Doing(std::function<void()> what) : what_(std::move(what)) {}
  void OnLoop() override { what_(); }

 private:
  const std::function<void()> what_;
};

class CompletionLoopTest : public testing::Test {
 protected:
  // Joins the loop, so that all that was posted is done.
  void Join() { loop_.Join(); }

  Errand* Note(int number) {
    return &errands_.emplace_back([this, number] { done_.push_back(number); });
  }

  CompletionLoop loop_{grpc::ServerBuilder().AddCompletionQueue()};
  std::list<Doing> errands_;
  // Of the loop's thread, until it is joined.
  std::vector<int> done_;
};

TEST_F(CompletionLoopTest, DoesErrandsInTheirOrder) {
  loop_.Start();
  for (int i = 1; i <= 3; ++i) loop_.Post(Note(i));
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
}

TEST_F(CompletionLoopTest, WakesForWhatIsPostedWhileItSleeps) {
  loop_.Start();
  for (int i = 1; i <= 100; ++i) {
    absl::Notification done;
    Doing errand([&] { done.Notify(); });
    loop_.Post(&errand);
    done.WaitForNotification();
  }
  Join();
}

TEST_F(CompletionLoopTest, DoesWhatAnErrandPostsAfterThatErrand) {
  Errand* second = Note(2);
  Doing first([&] {
    loop_.Post(second);
    done_.push_back(1);
  });
  loop_.Start();
  loop_.Post(&first);
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2));
}

TEST_F(CompletionLoopTest, SendsWhatIsGatheredAtItsEnd) {
  absl::Notification other_done;
  Doing other([&] { other_done.Notify(); });
  loop_.Start();
  {
    const CompletionLoop::Gathering gathering;
    for (int i = 1; i <= 3; ++i) loop_.Post(Note(i));
    // Of a thread that does not gather.
    std::thread([&] { loop_.Post(&other); }).join();
    other_done.WaitForNotification();
    // The loop has nothing else left, and has not done these.
    EXPECT_TRUE(done_.empty());
  }
  Join();
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
}

TEST_F(CompletionLoopTest, LosesNothingOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::atomic<int> done{0};
  std::vector<std::list<Doing>> errands(kThreads);
  loop_.Start();
  std::vector<std::thread> threads;
  for (auto& own : errands) {
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

}  // namespace
}  // namespace sluice

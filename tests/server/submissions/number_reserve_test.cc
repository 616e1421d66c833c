#include "server/submissions/number_reserve.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_server_registry.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

constexpr std::int64_t kBlock = NumberReserve::kBlock;

class NumberReserveTest : public testing::Test {
 protected:
  void Start() {
    auto reserve = NumberReserve::Start(&registry_, &last_, &clock_);
    ASSERT_TRUE(reserve.ok()) << reserve.status();
    reserve_ = *std::move(reserve);
  }
  void AwaitReserved(std::int64_t sequence) {
    AwaitThat("the block is reserved",
              [&] { return *registry_.Reserved() == sequence; });
    AwaitThat("the numbers are covered",
              [&] { return reserve_->Covers(sequence); });
  }

  FakeServerRegistry registry_;
  std::atomic<std::int64_t> last_{100};
  FakeClock clock_;
  std::unique_ptr<NumberReserve> reserve_;
};

TEST_F(NumberReserveTest, ReservesABlockBeforeTheFirstNumber) {
  Start();
  EXPECT_EQ(*registry_.Reserved(), 100 + kBlock);
  EXPECT_TRUE(reserve_->Covers(100 + kBlock));
  EXPECT_FALSE(reserve_->Covers(101 + kBlock));
  EXPECT_FALSE(reserve_->used_up());
}

TEST_F(NumberReserveTest, ARestartUsesTheSameBlock) {
  Start();
  reserve_.reset();
  last_ = 200;
  Start();
  EXPECT_EQ(registry_.reservations(), 1);
  EXPECT_EQ(*registry_.Reserved(), 100 + kBlock);
}

TEST_F(NumberReserveTest, ReservesMoreOnceHalfIsUsed) {
  Start();
  last_ = 100 + kBlock / 2;
  EXPECT_FALSE(reserve_->used_up());
  EXPECT_EQ(registry_.reservations(), 1);
  last_ = 101 + kBlock / 2;
  EXPECT_FALSE(reserve_->used_up());
  AwaitReserved(101 + kBlock / 2 + kBlock);
  // The thread waits for the next half.
  last_ = last_ + kBlock;
  reserve_->Covers(last_);
  AwaitReserved(101 + kBlock / 2 + 2 * kBlock);
}

TEST_F(NumberReserveTest, IsUsedUpWhileTheStoreFails) {
  Start();
  registry_.FailWith(absl::UnavailableError("away"));
  last_ = 100 + kBlock - 1;
  EXPECT_FALSE(reserve_->used_up());
  EXPECT_TRUE(clock_.AwaitWaiters(1));
  last_ = 100 + kBlock;
  EXPECT_TRUE(reserve_->used_up());
  EXPECT_TRUE(reserve_->Covers(100 + kBlock));
  EXPECT_FALSE(reserve_->Covers(101 + kBlock));
  registry_.FailWith(absl::OkStatus());
  clock_.Advance(NumberReserve::kTryAgainAfter);
  AwaitReserved(100 + 2 * kBlock);
  EXPECT_FALSE(reserve_->used_up());
}

// Threads of completion queues ask, so no answer may wait for the store.
TEST_F(NumberReserveTest, AnswersWhileTheStoreHangs) {
  Start();
  registry_.Hold();
  last_ = 100 + kBlock;
  EXPECT_TRUE(reserve_->used_up());
  AwaitThat("the store hangs", [&] { return registry_.reservations() == 2; });
  EXPECT_TRUE(reserve_->used_up());
  reserve_->Close();
  EXPECT_FALSE(reserve_->AwaitIdle(clock_.Now()));
  registry_.Release();
  EXPECT_TRUE(reserve_->AwaitIdle(kForever));
}

TEST_F(NumberReserveTest, EndsWhileTheStoreFails) {
  Start();
  registry_.FailWith(absl::UnavailableError("away"));
  last_ = 100 + kBlock;
  EXPECT_TRUE(reserve_->used_up());
  EXPECT_TRUE(clock_.AwaitWaiters(1));
  reserve_->Join();
}

TEST_F(NumberReserveTest, StartsAlthoughTheStoreCannotBeWritten) {
  registry_.FailReserveWith(absl::UnavailableError("the disk is full"));
  Start();
  EXPECT_TRUE(reserve_->used_up());
  EXPECT_TRUE(clock_.AwaitWaiters(1));
  registry_.FailReserveWith(absl::OkStatus());
  clock_.Advance(NumberReserve::kTryAgainAfter);
  AwaitReserved(100 + kBlock);
}

TEST_F(NumberReserveTest, DoesNotStartUnlessTheStoreCanBeRead) {
  registry_.FailWith(absl::UnavailableError("away"));
  EXPECT_EQ(NumberReserve::Start(&registry_, &last_, &clock_).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(NumberReserveTest, WithoutARegistryAllNumbersAreReserved) {
  NumberReserve all;
  EXPECT_FALSE(all.used_up());
  EXPECT_TRUE(all.Covers(std::int64_t{1} << 60));
  all.Close();
  EXPECT_TRUE(all.AwaitIdle(clock_.Now()));
}

}  // namespace
}  // namespace sluice

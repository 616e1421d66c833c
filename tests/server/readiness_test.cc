#include "server/readiness.h"

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const absl::Status kFails = absl::UnavailableError("no route");

// --- The rules ---

TEST(ReadinessOfMethod, AStoredMethodNeedsTheStore) {
  const MethodState stored;
  EXPECT_TRUE(ReadinessOfMethod(stored, {}, {}).ok());
  EXPECT_EQ(ReadinessOfMethod(stored, kFails, {}).message(),
            "the store fails: no route");
  const MethodState lookup = {.acknowledges = false, .queued = true};
  EXPECT_TRUE(ReadinessOfMethod(lookup, {}, {}).ok());
  EXPECT_FALSE(ReadinessOfMethod(lookup, kFails, {}).ok());
}

TEST(ReadinessOfMethod, AnOpenCircuitCountsWhileATaskCanCloseIt) {
  EXPECT_FALSE(
      ReadinessOfMethod({.circuit_open = true, .has_task = true}, {}, {}).ok());
  EXPECT_TRUE(ReadinessOfMethod({.circuit_open = true}, {}, {}).ok());
  EXPECT_FALSE(ReadinessOfMethod({.circuit_open = true}, kFails, {}).ok());
}

TEST(ReadinessOfMethod, AQueuedMethodNeedsItsJournalOnly) {
  const MethodState queued = {.queued = true,
                              .journal = "clinical",
                              .circuit_open = true,
                              .has_task = true};
  EXPECT_TRUE(ReadinessOfMethod(queued, kFails, {}).ok());
  EXPECT_EQ(ReadinessOfMethod(queued, {}, kFails), kFails);
  MethodState state = queued;
  state.reserves = absl::UnavailableError("min_free_disk");
  EXPECT_EQ(ReadinessOfMethod(state, {}, {}), state.reserves);
  state = queued;
  state.replaying = true;
  EXPECT_THAT(std::string(ReadinessOfMethod(state, {}, {}).message()),
              HasSubstr("replayed"));
}

TEST(ReadinessOfMethod, AFullQueueIsLoadUnlessTheStoreIsUnavailable) {
  MethodState full = {.queued = true, .journal = "clinical", .full = true};
  EXPECT_TRUE(ReadinessOfMethod(full, {}, {}).ok());
  EXPECT_FALSE(ReadinessOfMethod(full, kFails, {}).ok());
  full.circuit_open = true;
  EXPECT_FALSE(ReadinessOfMethod(full, {}, {}).ok());
}

TEST(ReadinessOfMethod, AQueueInMemoryNeedsNothing) {
  EXPECT_TRUE(ReadinessOfMethod({.queued = true}, kFails, kFails).ok());
}

// --- The threads ---

// The result of a check, which a test may change.
class CheckedPart {
 public:
  absl::Status Get() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }
  void Set(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    status_ = std::move(status);
  }

 private:
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class ReadinessTest : public testing::Test {
 protected:
  ReadinessTest() {
    for (MethodState& state : states_) {
      state.queued = true;
      state.journal = "clinical";
    }
    states_[Index(Method::kSubmit)] = {};
    states_[Index(Method::kGetReceipts)] = {.acknowledges = false};
  }
  ~ReadinessTest() override {
    if (!release_.HasBeenNotified()) release_.Notify();
  }

  void Start() {
    readiness_.emplace(
        Readiness::Options{.check_store =
                               [this] {
                                 ++store_checks_;
                                 if (hold_store_) {
                                   hanging_ = true;
                                   release_.WaitForNotification();
                                   hanging_ = false;
                                 }
                                 return store_.Get();
                               },
                           .journals = {{.pool = "clinical",
                                         .check =
                                             [this] {
                                               ++journal_checks_;
                                               return journal_.Get();
                                             }}},
                           .methods =
                               [this] {
                                 absl::MutexLock lock(&mutex_);
                                 return states_;
                               },
                           .clock = &clock_});
  }

  std::string Text(const std::string& method = "") {
    return readiness_->Answer(method)->text;
  }
  bool Serving(const std::string& name) { return *readiness_->Serving(name); }
  // Moves the time to the next checks, and waits until they have begun, unless
  // the store hangs.
  void Tick() {
    const int store = store_checks_;
    const int journal = journal_checks_;
    clock_.Advance(PeriodicCheck::kPeriod);
    AwaitThat("the checks have begun", [&] {
      return journal_checks_ > journal && (hanging_ || store_checks_ > store);
    });
  }
  void AwaitServing(const std::string& name, bool serving) {
    AwaitThat(name + " changes", [&] {
      Tick();
      return Serving(name) == serving;
    });
  }

  FakeClock clock_;
  CheckedPart store_;
  CheckedPart journal_;
  absl::Mutex mutex_;
  std::array<MethodState, kMethods> states_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> hold_store_{false};
  std::atomic<bool> hanging_{false};
  std::atomic<int> store_checks_{0};
  std::atomic<int> journal_checks_{0};
  absl::Notification release_;
  // Last, so that its threads end first.
  std::optional<Readiness> readiness_;
};

TEST_F(ReadinessTest, IsReadyWhileOneMethodCanAcknowledge) {
  Start();
  readiness_->AwaitFirst(FakeClock::kStart + std::chrono::hours(1));
  EXPECT_TRUE(readiness_->Answer("")->ready);
  EXPECT_EQ(Text(), "ok\nchecked 0.0 s ago\n");
  store_.Set(kFails);
  AwaitServing("sluice.v1.Ingestion/Submit", false);
  EXPECT_FALSE(Serving("sluice.v1.Ingestion/GetReceipts"));
  for (const char* ready :
       {"", "sluice.v1.Ingestion", "sluice.v1.Ingestion/SubmitStream"}) {
    EXPECT_TRUE(Serving(ready)) << ready;
  }
  EXPECT_TRUE(readiness_->Answer("")->ready);
  EXPECT_THAT(Text(),
              AllOf(StartsWith("ok\nchecked "),
                    HasSubstr("degraded: the store: no route\n"),
                    HasSubstr("degraded: sluice.v1.Ingestion/Submit: the store "
                              "fails: no route\n"),
                    Not(HasSubstr("SubmitStream"))));
  EXPECT_TRUE(readiness_->Answer("SubmitStream")->ready);
  for (const char* name : {"Submit", "sluice.v1.Ingestion/Submit"}) {
    EXPECT_FALSE(readiness_->Answer(name)->ready) << name;
    EXPECT_THAT(Text(name), StartsWith("the store fails: no route\nchecked "));
  }

  journal_.Set(absl::UnavailableError("disk full"));
  AwaitServing("", false);
  EXPECT_FALSE(readiness_->Answer("")->ready);
  EXPECT_THAT(
      Text(),
      AllOf(StartsWith("no method can acknowledge\nchecked "),
            HasSubstr("degraded: the journal of pool clinical: disk full\n")));
  store_.Set(absl::OkStatus());
  AwaitServing("", true);
  EXPECT_TRUE(Serving("sluice.v1.Ingestion/Submit"));
}

TEST_F(ReadinessTest, UnknownNamesAreUnknown) {
  Start();
  EXPECT_FALSE(readiness_->Answer("Nothing").has_value());
  for (const char* name :
       {"Submit", "sluice.v1.Other", "sluice.v1.Ingestion/"}) {
    EXPECT_EQ(readiness_->Serving(name), std::nullopt) << name;
  }
}

TEST_F(ReadinessTest, AMethodIsNotReadyBeforeItsFirstCheck) {
  hold_store_ = true;
  Start();
  AwaitServing("sluice.v1.Ingestion/SubmitStream", true);
  EXPECT_THAT(Text("Submit"), HasSubstr("has not answered its first check"));
  hold_store_ = false;
  release_.Notify();
  AwaitServing("sluice.v1.Ingestion/Submit", true);
}

TEST_F(ReadinessTest, ACheckThatHangsCountsAsFailedAndHoldsUpNoOther) {
  Start();
  AwaitServing("sluice.v1.Ingestion/Submit", true);
  hold_store_ = true;
  AwaitServing("sluice.v1.Ingestion/Submit", false);
  EXPECT_THAT(Text(),
              AllOf(StartsWith("ok\n"),
                    HasSubstr("degraded: the store: the store does not "
                              "answer: the last answered check began")));
  EXPECT_TRUE(Serving("sluice.v1.Ingestion/SubmitStream"));
  readiness_->Drain();
  EXPECT_FALSE(readiness_->AwaitStopped(clock_.Now()));
  release_.Notify();
}

TEST_F(ReadinessTest, ADrainEndsTheReadinessOfAll) {
  Start();
  AwaitServing("", true);
  std::atomic<int> changes{0};
  readiness_->AddListener([&] { ++changes; });
  EXPECT_EQ(changes, 1) << "for a change before";
  readiness_->Drain();
  EXPECT_EQ(changes, 2);
  EXPECT_FALSE(Serving(""));
  EXPECT_FALSE(Serving("sluice.v1.Ingestion/Submit"));
  EXPECT_EQ(Text(), "draining\n");
  EXPECT_EQ(Text("Submit"), "draining\n");
  EXPECT_TRUE(
      readiness_->AwaitStopped(FakeClock::kStart + std::chrono::hours(1)));
}

TEST_F(ReadinessTest, ListenersAreCalledAfterEachChange) {
  Start();
  AwaitServing("", true);
  std::atomic<int> changes{0};
  readiness_->AddListener([&] { ++changes; });
  for (int i = 1; i <= 3; ++i) {
    store_.Set(i % 2 == 1 ? kFails : absl::OkStatus());
    AwaitThat("the listener is called", [&] {
      Tick();
      return changes == 1 + i;
    });
  }
  readiness_->RemoveListeners();
  store_.Set(absl::OkStatus());
  AwaitServing("sluice.v1.Ingestion/Submit", true);
  EXPECT_EQ(changes, 4);
}

}  // namespace
}  // namespace sluice

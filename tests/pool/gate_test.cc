#include "pool/gate.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "policies/block.h"
#include "policies/drop.h"
#include "policies/drop_oldest.h"
#include "policies/fail_fast.h"
#include "policies/shadowed.h"
#include "policies/timed_wait.h"
#include "tests/fakes/fake_task.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMethods = 3;

const BlockPolicy kBlock;
const FailFastPolicy kFailFast;
const DropPolicy kDrop;
const DropOldestPolicy kDropOldest;
const TimedWaitPolicy kWait10(milliseconds(10));
const TimedWaitPolicy kWait20(milliseconds(20));

constexpr TimePoint At(int ms) {
  return TimePoint(seconds(1000) + milliseconds(ms));
}

// Returns limits for the numbers of queued and parked tasks, but not for their
// bytes.
constexpr GateLimits Places(std::size_t capacity,
                            std::size_t waiting_max = kUnlimited) {
  return {.capacity = capacity,
          .capacity_bytes = kUnlimited,
          .waiting_max = waiting_max,
          .waiting_max_bytes = kUnlimited};
}

// Returns limits for the bytes of tasks, but not for their numbers.
constexpr GateLimits Bytes(std::size_t capacity_bytes,
                           std::size_t waiting_max_bytes = kUnlimited) {
  return {.capacity = kUnlimited,
          .capacity_bytes = capacity_bytes,
          .waiting_max = kUnlimited,
          .waiting_max_bytes = waiting_max_bytes};
}

std::string ToString(const Admission& admission) {
  switch (admission.kind) {
    case Admission::Kind::kAdmitted:
      return "admitted";
    case Admission::Kind::kParked:
      return "parked";
    case Admission::Kind::kEnded:
      if (!IsRefusal(admission.result)) return "dropped";
      return "refused: " + std::string(RefusalReasonName(admission.result));
  }
  return "?";
}

std::string ToString(TaskResult result) {
  switch (result) {
    case TaskResult::kWaitOver:
      return "wait over";
    case TaskResult::kDeadline:
      return "deadline";
    case TaskResult::kDraining:
      return "draining";
    case TaskResult::kStoreUnavailable:
      return "store unavailable";
    case TaskResult::kHopeless:
      return "hopeless";
    case TaskResult::kDropped:
      return "dropped";
    default:
      return "?";
  }
}

// A Gate, and tasks that are named by letters: "abc" stands for the tasks a, b
// and c, in this order.
class GateTest : public testing::Test {
 protected:
  void Open(const GateLimits& limits) {
    gate_ = std::make_unique<Gate>(limits, kMethods, &sequence_);
  }

  std::string Arrive(char name, const AdmissionPolicy& policy,
                     const FakeTask::Traits& traits = {}) {
    tasks_[name] = std::make_unique<FakeTask>(traits);
    last_ = gate_->Arrive(Named(name), policy, now_, &events_);
    return ToString(last_);
  }

  // Lets the tasks arrive, all under `policy`.
  void ArriveAll(std::string_view names, const AdmissionPolicy& policy,
                 const FakeTask::Traits& traits = {}) {
    for (const char name : names) Arrive(name, policy, traits);
  }

  std::string Take(std::size_t max = kUnlimited,
                   std::size_t max_bytes = kUnlimited) {
    std::vector<Task*> batch;
    gate_->Take({.tasks = max, .bytes = max_bytes}, now_, &batch, &events_);
    std::string names;
    for (const Task* task : batch) names += NameOf(task);
    return names;
  }

  void Done(std::string_view names, TaskResult result = TaskResult::kStored) {
    std::vector<Task*> batch;
    for (const char name : names) {
      batch.push_back(Named(name));
      batch.back()->result = result;
    }
    gate_->Done(batch, StoreState::kUp, now_, &events_);
  }

  // Returns a batch with the store down. Its promised tasks are processed
  // again.
  void Fail(std::string_view names) {
    std::vector<Task*> batch;
    for (const char name : names) {
      batch.push_back(Named(name));
      batch.back()->again = batch.back()->promised;
      batch.back()->result = TaskResult::kStoreUnavailable;
    }
    gate_->Done(batch, StoreState::kDown, now_, &events_);
  }
  // Returns a batch as Fail does, and ends the pause that follows.
  void FailAndPause(std::string_view names) {
    Fail(names);
    now_ = gate_->circuit().retry_at();
    Expire();
  }

  void Commit(std::string_view names) {
    std::vector<Task*> tasks;
    for (const char name : names) tasks.push_back(Named(name));
    gate_->Committed(tasks);
  }

  bool Leave(char name) { return gate_->Leave(Named(name), now_, &events_); }
  void Expire() { gate_->Expire(now_, &events_); }
  void Resize(const GateLimits& limits) {
    gate_->Resize(limits, now_, &events_);
  }
  void Close(TimePoint until, Promises promises = Promises::kInMemory) {
    gate_->Close(until, promises, &events_);
  }
  // Ends the batch of this one task, which is processed again at `at`.
  void DelayUntil(char name, TimePoint at) {
    Named(name)->again_at = at;
    Named(name)->again = true;
    std::vector<Task*> batch = {Named(name)};
    gate_->Done(batch, StoreState::kUp, now_, &events_);
  }

  std::string Queued() const { return NamesOf(gate_->queued()); }
  std::string Waiting() const { return NamesOf(gate_->waiting()); }

  // Returns the parked tasks that were admitted since the last call.
  std::string Unparked() {
    std::string names;
    for (const sluice::Unparked& unparked : events_.admitted) {
      const FakeTask* task = static_cast<FakeTask*>(unparked.listener);
      EXPECT_EQ(unparked.sequence, task->sequence);
      names += NameOf(task);
    }
    events_.admitted.clear();
    return names;
  }

  // Returns the tasks that were ended since the last call, e.g. "a: wait over".
  std::vector<std::string> Ended() {
    std::vector<std::string> lines;
    for (const sluice::Ended& ended : events_.ended) {
      lines.push_back(NameOf(ended.task) + (": " + ToString(ended.result)));
    }
    events_.ended.clear();
    return lines;
  }

  const MethodCounters& Counters(std::size_t method = 0) const {
    return gate_->counters(method);
  }
  std::uint64_t Rejected(TaskResult reason, std::size_t method = 0) const {
    return Counters(method).not_admitted[reason];
  }
  std::uint64_t Completed(TaskResult result, std::size_t method = 0) const {
    return Counters(method).completed[result];
  }

  FakeTask* Named(char name) const { return tasks_.at(name).get(); }

  void TearDown() override {
    for (std::size_t method = 0; method < kMethods; ++method) {
      EXPECT_TRUE(Counters(method).Balanced()) << "method " << method;
    }
    EXPECT_EQ(gate_->CheckInvariants(), "");
    EXPECT_EQ(Unparked(), "") << "not expected by the test";
    EXPECT_EQ(Ended(), std::vector<std::string>{})
        << "not expected by the test";
  }

  TimePoint now_ = At(0);
  std::atomic<std::int64_t> sequence_{0};
  std::unique_ptr<Gate> gate_;
  Admission last_;
  GateEvents events_;

 private:
  char NameOf(const Task* task) const {
    for (const auto& [name, owned] : tasks_) {
      if (owned.get() == task) return name;
    }
    return '?';
  }

  std::string NamesOf(const std::vector<const Task*>& tasks) const {
    std::string names;
    for (const Task* task : tasks) names += NameOf(task);
    return names;
  }

  std::map<char, std::unique_ptr<FakeTask>> tasks_;
};

using Lines = std::vector<std::string>;

// Admission

TEST_F(GateTest, AdmitsUpToItsCapacity) {
  Open(Places(2));
  EXPECT_EQ(Arrive('a', kFailFast), "admitted");
  EXPECT_EQ(Arrive('b', kFailFast), "admitted");
  EXPECT_EQ(Arrive('c', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Queued(), "ab");
}

TEST_F(GateTest, APlaceIsFreeOnceItsTaskIsTaken) {
  Open(Places(1));
  Arrive('a', kFailFast);
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Arrive('b', kFailFast), "admitted");
}

TEST_F(GateTest, AdmitsUpToItsBytes) {
  Open(Bytes(100));
  EXPECT_EQ(Arrive('a', kFailFast, {.bytes = 60}), "admitted");
  EXPECT_EQ(Arrive('b', kFailFast, {.bytes = 41}), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('c', kFailFast, {.bytes = 40}), "admitted");
  EXPECT_EQ(Arrive('d', kFailFast, {.bytes = 1}), "refused: QUEUE_FULL");
  EXPECT_EQ(gate_->view().held_bytes, 100u);
}

TEST_F(GateTest, BytesAreHeldUntilTheWorkIsDone) {
  Open(Bytes(100));
  Arrive('a', kFailFast, {.bytes = 100});
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Arrive('b', kFailFast), "refused: QUEUE_FULL");
  Done("a");
  EXPECT_EQ(gate_->view().held_bytes, 0u);
  EXPECT_EQ(Arrive('c', kFailFast), "admitted");
}

TEST_F(GateTest, ABatchIsLimitedByItsBytes) {
  Open(Bytes(1000));
  for (const char name : {'a', 'b', 'c'}) {
    Arrive(name, kFailFast, {.bytes = 50});
  }
  Arrive('d', kFailFast, {.bytes = 51});
  Arrive('e', kFailFast, {.bytes = 0});
  EXPECT_EQ(Take(kUnlimited, 100), "ab");
  EXPECT_EQ(Take(kUnlimited, 100), "c") << "e does not overtake d";
  EXPECT_EQ(Take(1, 100), "d");
  EXPECT_EQ(Take(kUnlimited, 100), "e");
}

TEST_F(GateTest, ATaskLargerThanABatchIsTakenAlone) {
  Open(Bytes(kUnlimited));
  Arrive('a', kFailFast, {.bytes = 101});
  Arrive('b', kFailFast, {.bytes = 0});
  Arrive('c', kFailFast, {.bytes = kUnlimited / 4});
  Arrive('d', kFailFast, {.bytes = kUnlimited / 4});
  EXPECT_EQ(Take(kUnlimited, 100), "a");
  EXPECT_EQ(Take(kUnlimited, 100), "b");
  EXPECT_EQ(Take(kUnlimited, 100), "c");
  EXPECT_EQ(Take(kUnlimited, kUnlimited), "d");
}

TEST_F(GateTest, AnOversizedTaskEntersAlone) {
  Open(Bytes(100));
  EXPECT_EQ(Arrive('a', kFailFast, {.bytes = 1000}), "admitted");
  EXPECT_EQ(Arrive('b', kFailFast, {.bytes = 0}), "refused: QUEUE_FULL");
}

TEST_F(GateTest, AnOversizedTaskWaitsUntilNothingIsHeld) {
  Open(Bytes(100));
  ArriveAll("ab", kFailFast, {.bytes = 0});
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = 101}), "parked");
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(1), "b");
  Done("a");
  EXPECT_EQ(Unparked(), "");
  Done("b");
  EXPECT_EQ(Unparked(), "c");
}

TEST_F(GateTest, AnAbsurdSizeDoesNotOverflowTheCount) {
  Open(Bytes(100, 100));
  Arrive('a', kBlock, {.bytes = 50});
  EXPECT_EQ(Arrive('b', kBlock, {.bytes = 60}), "parked");
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = kUnlimited}),
            "refused: WAITING_ROOM_FULL");
  EXPECT_EQ(Take(), "a");
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Arrive('d', kFailFast, {.bytes = kUnlimited - 10}),
            "refused: QUEUE_FULL");
}

TEST_F(GateTest, AFullQueueDoesWhatThePolicySays) {
  Open(Places(1));
  Arrive('a', kBlock);
  EXPECT_EQ(Arrive('b', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('c', kDrop), "dropped");
  EXPECT_EQ(Arrive('d', kWait10), "parked");
  EXPECT_EQ(Arrive('e', kBlock), "parked");
  EXPECT_EQ(Queued(), "a");
  EXPECT_EQ(Waiting(), "de");
  EXPECT_EQ(Counters().received, 5u);
  EXPECT_EQ(Counters().admitted, 1u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDropped], 1u);
  EXPECT_EQ(Counters().waiting, 2u);
  EXPECT_EQ(Rejected(TaskResult::kQueueFull), 1u);
}

TEST_F(GateTest, SequencesRiseInTheOrderOfAdmission) {
  Open(Places(2));
  Arrive('a', kBlock);
  EXPECT_EQ(last_.sequence, 1);
  Arrive('b', kBlock);
  EXPECT_EQ(last_.sequence, 2);
  ArriveAll("cd", kBlock);
  EXPECT_EQ(last_.sequence, 0);
  EXPECT_EQ(Named('c')->sequence, 0);
  EXPECT_EQ(Take(), "ab");
  EXPECT_EQ(Unparked(), "cd");
  EXPECT_EQ(Named('c')->sequence, 3);
  EXPECT_EQ(Named('d')->sequence, 4);
}

TEST_F(GateTest, SequencesContinueFromTheSharedCounter) {
  sequence_ = 41;
  Open(Places(2));
  Arrive('a', kBlock);
  EXPECT_EQ(last_.sequence, 42);
  sequence_ = 99;  // as if another Gate had admitted tasks
  Arrive('b', kBlock);
  EXPECT_EQ(last_.sequence, 100);
}

TEST_F(GateTest, ATaskThatComesAgainHasNoSequenceWhileItWaits) {
  Open(Places(1));
  Arrive('a', kBlock);
  EXPECT_EQ(Take(), "a");
  Done("a");
  Arrive('b', kBlock);
  EXPECT_EQ(gate_->Arrive(Named('a'), kBlock, now_, &events_).kind,
            Admission::Kind::kParked);
  EXPECT_EQ(Named('a')->sequence, 0);
}

TEST_F(GateTest, AdmissionIsDatedWhenItHappens) {
  Open(Places(1));
  ArriveAll("ab", kBlock);
  EXPECT_EQ(Named('a')->admitted_at, At(0));
  now_ = At(7);
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "b");
  EXPECT_EQ(Named('b')->admitted_at, At(7));
}

// Eviction

constexpr FakeTask::Traits kDroppable = {.droppable = true};

TEST_F(GateTest, TheOldestIsEvictedForTheArrivalAndIsToldSo) {
  Open(Places(3));
  ArriveAll("abc", kDropOldest, kDroppable);
  EXPECT_EQ(Arrive('d', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"a: dropped"});
  EXPECT_EQ(Arrive('e', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"b: dropped"});
  EXPECT_EQ(Queued(), "cde");
  EXPECT_EQ(Named('e')->sequence, 5);
  EXPECT_EQ(Counters().admitted, 5u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDropped], 0u);
  EXPECT_EQ(Completed(TaskResult::kDropped), 2u);
}

TEST_F(GateTest, WhatWasTakenOrHasLeftIsNotDropped) {
  Open(Places(3));
  ArriveAll("abc", kDropOldest, kDroppable);
  EXPECT_EQ(Take(1), "a");
  EXPECT_TRUE(Leave('b'));
  ArriveAll("def", kDropOldest, kDroppable);
  EXPECT_EQ(Ended(), Lines{"c: dropped"});
  EXPECT_EQ(Queued(), "def");
  Done("a");
  EXPECT_EQ(gate_->view().held_bytes, 3u);
}

TEST_F(GateTest, OneThatComesAgainIsTheNewest) {
  Open(Places(2));
  ArriveAll("ab", kDropOldest, kDroppable);
  EXPECT_TRUE(Leave('a'));
  EXPECT_EQ(gate_->Arrive(Named('a'), kDropOldest, now_, &events_).kind,
            Admission::Kind::kAdmitted);
  Arrive('c', kDropOldest, kDroppable);
  EXPECT_EQ(Ended(), Lines{"b: dropped"});
}

TEST_F(GateTest, OnlyDroppableTasksOfTheMethodAreEvicted) {
  Open(Places(4));
  Arrive('a', kBlock);
  Arrive('b', kDropOldest, {.promised = true, .droppable = true});
  Arrive('c', kDropOldest, {.method = 1, .droppable = true});
  Arrive('d', kDropOldest, kDroppable);
  EXPECT_EQ(Arrive('e', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"d: dropped"});
  EXPECT_EQ(Queued(), "abce");
}

TEST_F(GateTest, WhereNothingCanBeEvictedTheArrivalIsDropped) {
  Open(Places(3));
  Arrive('a', kBlock);
  Arrive('b', kDropOldest, {.promised = true, .droppable = true});
  Arrive('c', kDropOldest, {.method = 1, .droppable = true});
  EXPECT_EQ(Arrive('d', kDropOldest, kDroppable), "dropped");
  EXPECT_EQ(Queued(), "abc");
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDropped], 1u);
}

TEST_F(GateTest, WhatNeedsACommitIsNotDropped) {
  Open(Places(2));
  Arrive('a', kDropOldest,
         {.promised = true, .needs_commit = true, .droppable = true});
  Arrive('b', kDropOldest,
         {.promised = true, .needs_commit = true, .droppable = true});
  EXPECT_EQ(Arrive('c', kDropOldest, kDroppable), "dropped");
  Commit("ab");
  EXPECT_EQ(Arrive('d', kDropOldest, kDroppable), "dropped");
  EXPECT_EQ(Queued(), "ab");
}

TEST_F(GateTest, AsManyOfTheOldestAreEvictedAsTheBytesNeed) {
  Open(Bytes(100));
  for (const char name : {'a', 'b', 'c', 'd'}) {
    Arrive(name, kDropOldest, {.bytes = 25, .droppable = true});
  }
  EXPECT_EQ(Arrive('e', kDropOldest, {.bytes = 50, .droppable = true}),
            "admitted");
  EXPECT_EQ(Ended(), (Lines{"a: dropped", "b: dropped"}));
  EXPECT_EQ(gate_->view().held_bytes, 100u);
  EXPECT_EQ(Arrive('f', kDropOldest, {.bytes = 26, .droppable = true}),
            "admitted");
  EXPECT_EQ(Ended(), (Lines{"c: dropped", "d: dropped"}));
  EXPECT_EQ(Queued(), "ef");
  EXPECT_EQ(gate_->view().held_bytes, 76u);
}

TEST_F(GateTest, WhereEvictionWouldNotMakeRoomNothingIsEvicted) {
  Open(Bytes(100));
  Arrive('a', kDropOldest, {.bytes = 20, .droppable = true});
  Arrive('b', kBlock, {.bytes = 50});
  Arrive('c', kDropOldest, {.bytes = 20, .droppable = true});
  EXPECT_EQ(Arrive('d', kDropOldest, {.bytes = 51, .droppable = true}),
            "dropped");
  EXPECT_EQ(Queued(), "abc");
  EXPECT_EQ(Arrive('e', kDropOldest, {.bytes = 50, .droppable = true}),
            "admitted");
  EXPECT_EQ(Ended(), (Lines{"a: dropped", "c: dropped"}));
  EXPECT_EQ(Arrive('f', kDropOldest, {.bytes = kUnlimited, .droppable = true}),
            "dropped");
  EXPECT_EQ(Queued(), "be");
}

TEST_F(GateTest, BytesInWorkAreNotFreedByDropping) {
  Open(Bytes(100));
  Arrive('a', kDropOldest, {.bytes = 60, .droppable = true});
  EXPECT_EQ(Take(), "a");
  Arrive('b', kDropOldest, {.bytes = 40, .droppable = true});
  EXPECT_EQ(Arrive('c', kDropOldest, {.bytes = 41, .droppable = true}),
            "dropped");
  EXPECT_EQ(Arrive('d', kDropOldest, {.bytes = 40, .droppable = true}),
            "admitted");
  EXPECT_EQ(Ended(), Lines{"b: dropped"});
}

// A free place would go to the first parked task.
TEST_F(GateTest, NothingIsEvictedWhileATaskIsParked) {
  Open(Places(2));
  ArriveAll("ab", kDropOldest, kDroppable);
  EXPECT_EQ(Arrive('c', kBlock, {.method = 1}), "parked");
  EXPECT_EQ(Arrive('d', kDropOldest, kDroppable), "dropped");
  EXPECT_EQ(Queued(), "ab");
  EXPECT_TRUE(Leave('c'));
  EXPECT_EQ(Arrive('e', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"a: dropped"});
}

TEST_F(GateTest, AShrunkQueueIsWorkedOffAndNotDropped) {
  Open({.capacity = 3, .capacity_bytes = 100});
  ArriveAll("abc", kDropOldest, kDroppable);
  Resize({.capacity = 2, .capacity_bytes = 100});
  EXPECT_EQ(Arrive('d', kDropOldest, kDroppable), "dropped");
  EXPECT_EQ(Queued(), "abc");
  EXPECT_EQ(Take(1), "a");
  Resize({.capacity = 2, .capacity_bytes = 2});
  EXPECT_EQ(Arrive('e', kDropOldest, kDroppable), "dropped");
  Done("a");
  EXPECT_EQ(Arrive('f', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"b: dropped"});
}

TEST_F(GateTest, TurnAwayNeitherAnswersNorEvictsWhereArriveEvicts) {
  Open(Places(1));
  Arrive('a', kDropOldest, kDroppable);
  EXPECT_FALSE(gate_->TurnAway({.now = now_}, 0, kDropOldest).has_value());
  EXPECT_EQ(gate_->TurnAway({.now = now_}, 1, kDropOldest)->kind,
            Admission::Kind::kEnded);
  EXPECT_EQ(Queued(), "a");
  EXPECT_EQ(Counters().received, 1u);
  EXPECT_EQ(Counters(1).not_admitted[TaskResult::kDropped], 1u);
}

// The waiting room

TEST_F(GateTest, TheFirstToComeIsTheFirstToEnterWhateverItsPolicy) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait20, {.method = 1});
  Arrive('c', kBlock, {.method = 2});
  Arrive('d', kWait10);
  Arrive('e', kBlock, {.deadline = At(1)});
  std::string order;
  for (int i = 0; i < 5; ++i) order += Take();
  EXPECT_EQ(order, "abcde");
  EXPECT_EQ(Unparked(), "bcde");
}

TEST_F(GateTest, NobodyOvertakesThoseWhoWait) {
  Open(Bytes(100));
  Arrive('a', kBlock, {.bytes = 60});
  EXPECT_EQ(Arrive('b', kBlock, {.bytes = 50}), "parked");
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = 1}), "parked");
  EXPECT_EQ(Arrive('d', kFailFast, {.bytes = 1}), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('e', kDrop, {.bytes = 1}), "dropped");
  EXPECT_FALSE(gate_->open());
}

TEST_F(GateTest, TakeAdmitsAsManyAsThereIsRoomFor) {
  Open(Places(2));
  ArriveAll("abcde", kBlock);
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Unparked(), "c");
  EXPECT_EQ(Take(9), "bc");
  EXPECT_EQ(Unparked(), "de");
  EXPECT_EQ(Queued(), "de");
  EXPECT_EQ(Waiting(), "");
}

TEST_F(GateTest, DoneAdmitsByBytes) {
  Open(Bytes(100));
  Arrive('a', kBlock, {.bytes = 100});
  ArriveAll("bc", kBlock, {.bytes = 50});
  Arrive('d', kBlock, {.bytes = 1});
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "") << "the bytes of a are still held";
  Done("a");
  EXPECT_EQ(Unparked(), "bc");
}

TEST_F(GateTest, LeavingTheQueueAdmitsTheNext) {
  Open(Places(2));
  ArriveAll("abc", kBlock);
  EXPECT_TRUE(Leave('a'));
  EXPECT_EQ(Unparked(), "c");
  EXPECT_EQ(Queued(), "bc");
}

TEST_F(GateTest, LeavingTheWaitingRoomAdmitsTheNextThatFits) {
  Open(Bytes(100));
  Arrive('a', kBlock, {.bytes = 60});
  Arrive('b', kBlock, {.bytes = 50});
  Arrive('c', kBlock, {.bytes = 40});
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Unparked(), "c");
}

TEST_F(GateTest, AnExpiryAdmitsTheNextThatFits) {
  Open(Bytes(100));
  Arrive('a', kBlock, {.bytes = 60});
  Arrive('b', kWait10, {.bytes = 50});
  Arrive('c', kBlock, {.bytes = 40});
  now_ = At(10);
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: wait over"});
  EXPECT_EQ(Unparked(), "c");
}

TEST_F(GateTest, TasksWithoutAListenerEnterUnannounced) {
  Open(Places(1));
  Arrive('a', kBlock);
  FakeTask silent;
  silent.listener = nullptr;
  EXPECT_EQ(gate_->Arrive(&silent, kBlock, now_, &events_).kind,
            Admission::Kind::kParked);
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "");
  EXPECT_EQ(silent.sequence, 2);
  GateEvents events;
  EXPECT_TRUE(gate_->Leave(&silent, now_, &events));
}

TEST_F(GateTest, TheWaitingRoomIsBoundedByCount) {
  Open(Places(1, 2));
  ArriveAll("abc", kBlock);
  EXPECT_EQ(Arrive('d', kBlock), "refused: WAITING_ROOM_FULL");
  EXPECT_EQ(Arrive('e', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Rejected(TaskResult::kWaitingRoomFull), 1u);
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Arrive('f', kBlock), "parked");
  EXPECT_EQ(Waiting(), "cf");
}

TEST_F(GateTest, TheWaitingRoomIsBoundedByBytes) {
  GateLimits limits = Places(1);
  limits.waiting_max_bytes = 100;
  Open(limits);
  Arrive('a', kBlock);
  EXPECT_EQ(Arrive('b', kBlock, {.bytes = 60}), "parked");
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = 41}), "refused: WAITING_ROOM_FULL");
  EXPECT_EQ(Arrive('d', kBlock, {.bytes = 40}), "parked");
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Arrive('e', kBlock, {.bytes = 60}), "parked");
  EXPECT_EQ(Arrive('f', kBlock, {.bytes = 1}), "refused: WAITING_ROOM_FULL");
}

TEST_F(GateTest, AnOversizedTaskWaitsAlone) {
  GateLimits limits = Places(1);
  limits.waiting_max_bytes = 100;
  Open(limits);
  Arrive('a', kBlock);
  EXPECT_EQ(Arrive('b', kBlock, {.bytes = 1000}), "parked");
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = 0}), "refused: WAITING_ROOM_FULL");
}

TEST_F(GateTest, AWaitingRoomOfNoneRefuses) {
  Open(Places(1, 0));
  Arrive('a', kBlock);
  EXPECT_EQ(Arrive('b', kBlock), "refused: WAITING_ROOM_FULL");
}

TEST_F(GateTest, BothBoundsOfTheWaitingRoomAreGivenBackByAdmission) {
  GateLimits limits = Places(1, 1);
  limits.waiting_max_bytes = 10;
  Open(limits);
  ArriveAll("ab", kBlock, {.bytes = 10});
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "b");
  EXPECT_EQ(Arrive('c', kBlock, {.bytes = 10}), "parked");
}

// Expiry

TEST_F(GateTest, AWaitEndsWhenThePolicySays) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10, {.deadline = At(11)});
  EXPECT_EQ(gate_->next_expiry(), At(10));
  now_ = At(10) - Duration(1);
  Expire();
  EXPECT_EQ(Ended(), Lines{});
  now_ = At(10);
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: wait over"});
  EXPECT_EQ(Rejected(TaskResult::kWaitOver), 1u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDeadline], 0u);
  EXPECT_EQ(gate_->next_expiry(), kForever);
}

TEST_F(GateTest, AWaitThatBeganBeforeTheArrivalEndsTheEarlier) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10, {.waits_since = At(-4)});
  EXPECT_EQ(gate_->next_expiry(), At(6));
  Arrive('c', kWait10, {.waits_since = At(-12)});
  Arrive('d', kBlock, {.waits_since = At(-12)});
  Expire();
  EXPECT_EQ(Ended(), Lines{"c: wait over"});
  now_ = At(6);
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: wait over"});
}

TEST_F(GateTest, AWaitEndsWithTheCallersDeadline) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10, {.deadline = At(9)});
  Arrive('c', kBlock, {.deadline = At(8)});
  EXPECT_EQ(gate_->next_expiry(), At(8));
  now_ = At(9);
  Expire();
  EXPECT_EQ(Ended(), (Lines{"c: deadline", "b: deadline"}));
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDeadline], 2u);
  EXPECT_EQ(Rejected(TaskResult::kWaitOver), 0u);
}

TEST_F(GateTest, ADeadlineAtTheSameMomentAsTheWaitsEndIsADeadline) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10, {.deadline = At(10)});
  now_ = At(10);
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: deadline"});
}

TEST_F(GateTest, WaitsEndInTheOrderOfTheirEndsAndThenOfArrival) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait20);
  Arrive('c', kWait10);
  Arrive('d', kBlock);
  Arrive('e', kWait10);
  Arrive('f', kBlock, {.deadline = At(5)});
  Arrive('g', kWait10);
  now_ = At(20);
  Expire();
  EXPECT_EQ(Ended(), (Lines{"f: deadline", "c: wait over", "e: wait over",
                            "g: wait over", "b: wait over"}));
  EXPECT_EQ(Waiting(), "d");
}

TEST_F(GateTest, OneThatEnteredDoesNotExpire) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10);
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "b");
  EXPECT_EQ(gate_->next_expiry(), kForever);
  now_ = At(10);
  Expire();
  EXPECT_EQ(Queued(), "b");
}

TEST_F(GateTest, OneThatLeftDoesNotExpire) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10);
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(gate_->next_expiry(), kForever);
  now_ = At(10);
  Expire();
}

TEST_F(GateTest, OneThatComesAfterItsDeadlineWaitsForNothing) {
  Open(Places(1));
  Arrive('a', kBlock);
  EXPECT_EQ(Arrive('b', kBlock, {.deadline = At(-1)}), "parked");
  EXPECT_EQ(gate_->next_expiry(), At(-1));
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: deadline"});
}

TEST_F(GateTest, WithoutADeadlineBlockWaitsForEver) {
  Open(Places(1));
  ArriveAll("ab", kBlock);
  EXPECT_EQ(gate_->next_expiry(), kForever);
  now_ = TimePoint::max() - Duration(1);
  Expire();
  EXPECT_EQ(Waiting(), "b");
}

// Leave

TEST_F(GateTest, ACallerLeavesTheWaitingRoom) {
  Open(Places(1));
  ArriveAll("abc", kBlock);
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Waiting(), "c");
  EXPECT_EQ(Counters().not_admitted[TaskResult::kCancelled], 1u);
  EXPECT_FALSE(Leave('b')) << "b has left";
}

TEST_F(GateTest, ACallerThatLeavesAtItsDeadlineIsCountedAsThat) {
  Open(Places(1));
  Arrive('a', kBlock);
  ArriveAll("bc", kBlock, {.deadline = At(10)});
  now_ = At(10) - Duration(1);
  EXPECT_TRUE(Leave('b'));
  now_ = At(10);
  EXPECT_TRUE(Leave('c'));
  EXPECT_EQ(Counters().not_admitted[TaskResult::kCancelled], 1u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kDeadline], 1u);
}

TEST_F(GateTest, ACallerLeavesTheMiddleOfTheQueue) {
  Open(Bytes(30));
  ArriveAll("abc", kBlock, {.bytes = 10});
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Queued(), "ac");
  EXPECT_EQ(gate_->view().held_bytes, 20u);
  EXPECT_EQ(Completed(TaskResult::kCancelled), 1u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kCancelled], 0u)
      << "b was admitted";
}

TEST_F(GateTest, APromisedTaskLeavesTheWaitingRoomButNotTheQueue) {
  Open(Places(1));
  ArriveAll("abc", kBlock, {.promised = true});
  EXPECT_FALSE(Leave('a'));
  EXPECT_TRUE(Leave('b'));
  EXPECT_EQ(Queued(), "a");
  EXPECT_EQ(Waiting(), "c");
}

TEST_F(GateTest, WorkIsNotLeft) {
  Open(Places(1));
  Arrive('a', kBlock);
  EXPECT_EQ(Take(), "a");
  EXPECT_FALSE(Leave('a'));
  EXPECT_EQ(gate_->in_work(), 1u);
  Done("a");
  EXPECT_FALSE(Leave('a')) << "a is done";
}

TEST_F(GateTest, ARefusedTaskIsNotThereToLeave) {
  Open(Places(1));
  Arrive('a', kBlock);
  ArriveAll("bc", kFailFast);
  EXPECT_FALSE(Leave('b'));
}

// Work

TEST_F(GateTest, TakesFirstComeFirstUpToMax) {
  Open(Places(5));
  ArriveAll("abcde", kBlock);
  EXPECT_EQ(Take(2), "ab");
  EXPECT_EQ(Take(2), "cd");
  EXPECT_EQ(Take(2), "e");
  EXPECT_EQ(Take(2), "");
  EXPECT_EQ(gate_->in_work(), 5u);
}

TEST_F(GateTest, OutcomesAreCountedPerMethod) {
  Open(Places(4));
  ArriveAll("ab", kBlock, {.method = 1});
  Arrive('c', kBlock, {.method = 2});
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(), "bc");
  EXPECT_EQ(Counters(1).in_work, 2u);
  EXPECT_EQ(Counters(2).in_work, 1u);
  Done("a", TaskResult::kStored);
  Done("bc", TaskResult::kConflict);
  EXPECT_EQ(Completed(TaskResult::kStored, 1), 1u);
  EXPECT_EQ(Completed(TaskResult::kConflict, 1), 1u);
  EXPECT_EQ(Completed(TaskResult::kStored, 2), 0u);
  EXPECT_EQ(Completed(TaskResult::kConflict, 2), 1u);
}

TEST_F(GateTest, IsIdleWhenNothingWaitsIsQueuedOrInWork) {
  Open(Places(1));
  EXPECT_TRUE(gate_->idle());
  Arrive('a', kBlock);
  EXPECT_FALSE(gate_->idle());
  EXPECT_EQ(Take(), "a");
  EXPECT_FALSE(gate_->idle());
  Done("a");
  EXPECT_TRUE(gate_->idle());
}

// TurnAway: answers before a request is read

TEST_F(GateTest, TurnAwayAnswersAndCountsAsArriveWould) {
  Open(Places(1, 1));
  const Arrival arrival = {.now = now_, .bytes = 1};
  EXPECT_EQ(gate_->TurnAway(arrival, 1, kFailFast), std::nullopt);
  Arrive('a', kBlock);
  EXPECT_EQ(gate_->TurnAway(arrival, 1, kBlock), std::nullopt);
  EXPECT_EQ(Counters(1).received, 0u) << "Arrive counts these";

  EXPECT_EQ(ToString(*gate_->TurnAway(arrival, 1, kFailFast)),
            "refused: QUEUE_FULL");
  EXPECT_EQ(ToString(*gate_->TurnAway(arrival, 1, kDrop)), "dropped");
  Arrive('b', kBlock);
  EXPECT_EQ(ToString(*gate_->TurnAway(arrival, 1, kBlock)),
            "refused: WAITING_ROOM_FULL");
  Close(kForever);
  EXPECT_EQ(Ended(), Lines{"b: draining"});
  EXPECT_EQ(ToString(*gate_->TurnAway(arrival, 1, kDrop)), "refused: DRAINING");

  EXPECT_EQ(Counters(1).received, 4u);
  EXPECT_EQ(Counters(1).not_admitted[TaskResult::kDropped], 1u);
  EXPECT_EQ(Rejected(TaskResult::kQueueFull, 1), 1u);
  EXPECT_EQ(Rejected(TaskResult::kWaitingRoomFull, 1), 1u);
  EXPECT_EQ(Rejected(TaskResult::kDraining, 1), 1u);
}

TEST_F(GateTest, TurnAwayLooksAtTheBytes) {
  Open(Bytes(100));
  Arrive('a', kBlock, {.bytes = 60});
  EXPECT_EQ(gate_->TurnAway({.now = now_, .bytes = 40}, 0, kFailFast),
            std::nullopt);
  EXPECT_NE(gate_->TurnAway({.now = now_, .bytes = 41}, 0, kFailFast),
            std::nullopt);
}

TEST_F(GateTest, InvalidArrivalsAreCountedAndNotAdmitted) {
  Open(Places(1));
  gate_->CountArrival(2, TaskResult::kInvalid);
  EXPECT_EQ(Counters(2).received, 1u);
  EXPECT_EQ(Counters(2).not_admitted[TaskResult::kInvalid], 1u);
  EXPECT_TRUE(gate_->idle());
}

TEST_F(GateTest, IsOpenWhileAnArrivalWouldEnter) {
  Open(Places(1));
  EXPECT_TRUE(gate_->open());
  Arrive('a', kBlock);
  EXPECT_FALSE(gate_->open());
  EXPECT_EQ(Take(), "a");
  EXPECT_TRUE(gate_->open());
  Close(kForever);
  EXPECT_FALSE(gate_->open());
}

// Shadow policies

template <typename Obeyed, typename Shadow>
ShadowedPolicy Shadowed() {
  return {std::make_unique<Obeyed>(), std::make_unique<Shadow>()};
}

TEST_F(GateTest, AShadowChangesNothingAndIsCounted) {
  Open(Places(1));
  Arrive('a', kBlock, kDroppable);
  const auto block = Shadowed<BlockPolicy, DropOldestPolicy>();
  const auto fail_fast = Shadowed<FailFastPolicy, BlockPolicy>();
  const auto drop = Shadowed<DropPolicy, FailFastPolicy>();
  EXPECT_EQ(Arrive('b', block), "parked");
  EXPECT_EQ(Arrive('c', fail_fast), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('d', fail_fast), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('e', drop), "dropped");
  EXPECT_EQ(Queued(), "a");
  // The counts of park, refuse, drop and evict, in this order.
  EXPECT_EQ(Counters().shadow, (std::array<std::uint64_t, 4>{2, 1, 0, 1}));
}

TEST_F(GateTest, AShadowIsAskedOnlyWhereTheOtherPolicyIs) {
  Open(Places(1));
  const auto policy = Shadowed<FailFastPolicy, BlockPolicy>();
  EXPECT_EQ(Arrive('a', policy), "admitted");
  Close(kForever);
  EXPECT_EQ(Arrive('b', policy), "refused: DRAINING");
  EXPECT_EQ(Counters().shadow, (std::array<std::uint64_t, 4>{}));
}

TEST_F(GateTest, AShadowIsCountedOnceForEachArrival) {
  Open(Places(1));
  Arrive('a', kBlock);
  const auto fail_fast = Shadowed<FailFastPolicy, DropPolicy>();
  EXPECT_TRUE(gate_->TurnAway({.now = now_}, 0, fail_fast).has_value());
  EXPECT_EQ(Counters().shadow, (std::array<std::uint64_t, 4>{0, 0, 1, 0}));
  // TurnAway asks the policy but does not answer, so only Arrive counts.
  const auto block = Shadowed<BlockPolicy, FailFastPolicy>();
  EXPECT_FALSE(gate_->TurnAway({.now = now_}, 0, block).has_value());
  EXPECT_EQ(Arrive('b', block), "parked");
  EXPECT_EQ(Counters().shadow, (std::array<std::uint64_t, 4>{0, 1, 1, 0}));
}

// Close

TEST_F(GateTest, CloseEndsTheWaitingAndRefusesArrivals) {
  Open(Places(1));
  Arrive('a', kBlock);
  Arrive('b', kWait10);
  Arrive('c', kBlock, {.deadline = At(5)});
  Close(At(100));
  EXPECT_EQ(Ended(), (Lines{"b: draining", "c: draining"}));
  EXPECT_EQ(Rejected(TaskResult::kDraining), 2u);
  EXPECT_EQ(Arrive('d', kBlock), "refused: DRAINING");
  EXPECT_EQ(Arrive('e', kFailFast), "refused: DRAINING");
  EXPECT_EQ(Arrive('f', kDrop), "refused: DRAINING");
  EXPECT_EQ(last_.retry_delay, seconds(1));
}

TEST_F(GateTest, CloseRefusesAlsoWhileThereIsRoom) {
  Open(Places(1));
  Close(At(100));
  EXPECT_EQ(Arrive('a', kBlock), "refused: DRAINING");
}

TEST_F(GateTest, WhatWasQueuedAtCloseIsStillWorked) {
  Open(Places(2));
  ArriveAll("ab", kBlock);
  Close(At(100));
  now_ = At(99);
  Expire();
  EXPECT_EQ(Take(1), "a");
  Done("a");
  EXPECT_EQ(Take(1), "b");
  EXPECT_EQ(gate_->next_expiry(), kForever) << "nothing is queued any more";
  now_ = At(100);
  Expire();
  Done("b");
  EXPECT_EQ(Completed(TaskResult::kStored), 2u);
}

TEST_F(GateTest, WhatIsStillQueuedWhenTheDrainIsOverIsEnded) {
  Open(Places(3));
  ArriveAll("ab", kBlock);
  Arrive('c', kBlock, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  Close(At(100));
  EXPECT_EQ(gate_->next_expiry(), At(100));
  now_ = At(100);
  Expire();
  EXPECT_EQ(Ended(), (Lines{"b: draining", "c: draining"}));
  EXPECT_EQ(Completed(TaskResult::kDraining), 2u);
  EXPECT_EQ(gate_->next_expiry(), kForever);
  EXPECT_FALSE(gate_->idle()) << "a is still in work";
  Done("a");
  EXPECT_TRUE(gate_->idle());
  EXPECT_EQ(gate_->view().held_bytes, 0u);
}

TEST_F(GateTest, AnOpenGateEndsNothingThatIsQueued) {
  Open(Places(1));
  Arrive('a', kBlock, {.deadline = At(1)});
  now_ = At(1000000);
  Expire();
  EXPECT_EQ(Queued(), "a");
}

// Resize

TEST_F(GateTest, MorePlacesAdmitParkedTasks) {
  Open(Places(1));
  ArriveAll("abcd", kBlock);
  Resize(Places(3));
  EXPECT_EQ(Unparked(), "bc");
  EXPECT_EQ(Queued(), "abc");
}

TEST_F(GateTest, MoreBytesAdmitParkedTasks) {
  Open(Bytes(10));
  ArriveAll("abc", kBlock, {.bytes = 10});
  Resize(Bytes(20));
  EXPECT_EQ(Unparked(), "b");
}

TEST_F(GateTest, FewerPlacesRemoveNothingAndAdmitNobodyUntilTheyHold) {
  Open(Places(3));
  ArriveAll("abcd", kBlock);
  Resize(Places(1));
  EXPECT_EQ(Queued(), "abc");
  EXPECT_EQ(gate_->view().capacity, 1u);
  EXPECT_EQ(Take(2), "ab");
  EXPECT_EQ(Unparked(), "");
  EXPECT_EQ(Take(1), "c");
  EXPECT_EQ(Unparked(), "d");
}

TEST_F(GateTest, FewerBytesAdmitNobodyUntilTheyHold) {
  Open(Bytes(100));
  ArriveAll("ab", kBlock, {.bytes = 50});
  Arrive('c', kBlock, {.bytes = 1});
  Resize(Bytes(50));
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(1), "b");
  Done("a");
  EXPECT_EQ(Unparked(), "") << "50 of 50 bytes are held";
  Done("b");
  EXPECT_EQ(Unparked(), "c");
}

TEST_F(GateTest, ASmallerWaitingRoomKeepsWhoIsInIt) {
  Open(Places(1, 3));
  ArriveAll("abcd", kBlock);
  Resize(Places(1, 1));
  EXPECT_EQ(Waiting(), "bcd");
  EXPECT_EQ(Arrive('e', kBlock), "refused: WAITING_ROOM_FULL");
}

// Commits

constexpr FakeTask::Traits kCommits = {.promised = true, .needs_commit = true};

TEST_F(GateTest, KeepsWhatIsNotCommittedFromWorkers) {
  Open(Places(2));
  Arrive('a', kFailFast, kCommits);
  EXPECT_EQ(Arrive('b', kFailFast), "admitted");
  EXPECT_EQ(Arrive('c', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Take(), "b");
  EXPECT_FALSE(gate_->ready());
  EXPECT_FALSE(gate_->idle());
  Commit("a");
  EXPECT_EQ(Take(), "a");
}

TEST_F(GateTest, WhatCannotBeCommittedGivesItsPlaceBack) {
  Open(Places(1));
  Arrive('a', kFailFast, kCommits);
  Arrive('b', kBlock);
  std::vector<Task*> failed = {Named('a')};
  GateEvents events;
  gate_->CommitFailed(failed, now_, &events);
  EXPECT_EQ(events.admitted.size(), 1u);
  EXPECT_EQ(Queued(), "b");
  EXPECT_EQ(Completed(TaskResult::kStoreUnavailable), 1u);
}

TEST_F(GateTest, WhatIsBeingCommittedDoesNotLeave) {
  Open(Places(1));
  Arrive('a', kFailFast, kCommits);
  EXPECT_FALSE(Leave('a'));
}

TEST_F(GateTest, ADrainDoesNotEndWhatIsBeingCommitted) {
  Open(Places(2));
  Arrive('a', kFailFast, kCommits);
  Close(now_);
  EXPECT_EQ(gate_->next_expiry(), kForever);
  Expire();
  EXPECT_FALSE(gate_->idle());
  Commit("a");
  EXPECT_EQ(gate_->next_expiry(), now_);
  Expire();
  EXPECT_EQ(Ended(), Lines{"a: draining"});
  EXPECT_TRUE(gate_->idle());
}

TEST_F(GateTest, RestoresWithoutLookingAtItsLimits) {
  Open(Places(1));
  Arrive('a', kFailFast);
  Arrive('b', kDrop,
         {.promised = true});  // only creates the task: it is dropped
  Named('b')->sequence = 17;
  gate_->Restore(Named('b'), now_, &events_);
  EXPECT_EQ(Take(), "ab");
  EXPECT_EQ(Named('b')->sequence, 17);
}

TEST_F(GateTest, RestoresNothingAfterClose) {
  Open(Places(1));
  Arrive('b', kFailFast, {.promised = true});
  EXPECT_EQ(Take(), "b");
  Done("b");
  Named('b')->sequence = 17;
  Close(now_);
  EXPECT_FALSE(gate_->Restore(Named('b'), now_, &events_));
  EXPECT_TRUE(gate_->idle());
}

// Entries of the journal that are not read yet come before all arrivals.
TEST_F(GateTest, HasNoRoomWhileEntriesAreUnread) {
  Open(Places(2, /*waiting_max=*/1));
  gate_->SetUnread(3, now_, &events_);
  EXPECT_FALSE(gate_->open());
  EXPECT_EQ(gate_->view().depth, 3u);
  EXPECT_EQ(Arrive('a', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('b', kDropOldest), "dropped");
  EXPECT_EQ(Arrive('c', kBlock), "parked");
  EXPECT_EQ(Take(), "");
  gate_->SetUnread(1, now_, &events_);
  EXPECT_EQ(Take(), "");
  gate_->SetUnread(0, now_, &events_);
  EXPECT_EQ(Unparked(), "c");
  EXPECT_EQ(Take(), "c");
}

TEST_F(GateTest, RoomToRestoreEndsAtTheLimits) {
  Open({.capacity = 2, .capacity_bytes = 10});
  EXPECT_EQ(gate_->room_to_restore().entries, 2u);
  EXPECT_EQ(gate_->room_to_restore().bytes, 10u);
  Arrive('a', kFailFast, {.bytes = 4});
  EXPECT_EQ(gate_->room_to_restore().entries, 1u);
  EXPECT_EQ(gate_->room_to_restore().bytes, 6u);
  Arrive('b', kFailFast, {.bytes = 1});
  EXPECT_TRUE(gate_->room_to_restore().empty());
  EXPECT_EQ(Take(), "ab");
  EXPECT_EQ(gate_->room_to_restore().bytes, 5u) << "in work";
}

// Order by key

FakeTask::Traits OfKey(std::uint64_t key) {
  return {.promised = true, .order_key = key};
}

TEST_F(GateTest, AKeyIsInOneBatchAtATime) {
  Open(Places(9));
  Arrive('a', kFailFast, OfKey(1));
  Arrive('b', kFailFast, OfKey(2));
  Arrive('c', kFailFast, OfKey(1));
  Arrive('d', kFailFast);
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(), "bd");
  EXPECT_EQ(Take(), "");
  Done("bd");
  EXPECT_EQ(Take(), "");
  Done("a");
  EXPECT_EQ(Take(), "c");
}

TEST_F(GateTest, AKeyMayBeInABatchMoreThanOnce) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, OfKey(1));
  EXPECT_EQ(Take(2), "ab");
  EXPECT_EQ(Take(), "");
  Done("ab");
  EXPECT_EQ(Take(), "c");
}

TEST_F(GateTest, TasksWorkedAgainComeBeforeTasksDeferredForThem) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, OfKey(1));
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(), "");
  FailAndPause("a");
  EXPECT_EQ(Take(), "abc");
}

TEST_F(GateTest, ATaskThatIsWorkedAgainLaterKeepsItsKeyAndHoldsUpNobodyElse) {
  Open(Places(9));
  ArriveAll("ab", kFailFast, {.promised = true, .order_key = 1});
  ArriveAll("cd", kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  Named('a')->again_at = now_ + seconds(2);
  Named('a')->again = true;
  std::vector<Task*> batch = {Named('a')};
  gate_->Done(batch, StoreState::kUp, now_, &events_);
  EXPECT_EQ(Take(), "cd");
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(Queued(), "ab");
  EXPECT_FALSE(Leave('a'));
  EXPECT_EQ(gate_->next_expiry(), now_ + seconds(2));
  now_ += seconds(2);
  Expire();
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(), "");
  Done("a");
  EXPECT_EQ(Take(), "b");
}

TEST_F(GateTest, TasksOfAKeyThatAreWorkedAgainReturnTogether) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, {.promised = true, .order_key = 1});
  EXPECT_EQ(Take(2), "ab");
  EXPECT_EQ(Take(), "");
  Named('a')->again = true;
  Named('b')->again_at = now_ + seconds(2);
  Named('b')->again = true;
  std::vector<Task*> batch = {Named('a'), Named('b')};
  gate_->Done(batch, StoreState::kUp, now_, &events_);
  EXPECT_EQ(Take(), "") << "the first task waits for the second";
  EXPECT_EQ(gate_->CheckInvariants(), "");
  now_ += seconds(2);
  Expire();
  EXPECT_EQ(Take(), "abc");
}

TEST_F(GateTest, ADrainEndsTasksThatAreDelayedForLonger) {
  Open(Places(9));
  ArriveAll("ab", kFailFast, {.promised = true, .order_key = 1});
  Arrive('c', kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  DelayUntil('a', now_ + seconds(60));
  Close(now_ + seconds(10));
  EXPECT_EQ(gate_->next_expiry(), now_ + seconds(10)) << "c can be taken";
  EXPECT_EQ(Take(), "c") << "b must not overtake a";
  EXPECT_EQ(gate_->next_expiry(), now_ + seconds(10)) << "c is in work";
  Done("c");
  EXPECT_LT(gate_->next_expiry(), now_);
  Expire();
  EXPECT_EQ(Ended(), (Lines{"a: draining", "b: draining"}));
  EXPECT_TRUE(gate_->idle());
  EXPECT_EQ(gate_->next_expiry(), kForever);
}

TEST_F(GateTest, ADrainAwaitsTasksThatAreDelayedForLess) {
  Open(Places(9));
  ArriveAll("ab", kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  DelayUntil('a', now_ + seconds(5));
  EXPECT_EQ(Take(1), "b");
  DelayUntil('b', now_ + seconds(60));
  Close(now_ + seconds(10));
  EXPECT_EQ(gate_->next_expiry(), now_ + seconds(5));
  Expire();
  now_ += seconds(5);
  Expire();
  EXPECT_EQ(Ended(), Lines());
  EXPECT_EQ(Take(), "a");
  Done("a");
  Expire();
  EXPECT_EQ(Ended(), Lines{"b: draining"});
  EXPECT_TRUE(gate_->idle());
}

TEST_F(GateTest, ADrainAwaitsCommitsBeforeItEndsDelayedTasks) {
  Open(Places(9));
  Arrive('a', kFailFast, {.promised = true});
  EXPECT_EQ(Take(), "a");
  DelayUntil('a', now_ + seconds(60));
  Arrive('b', kFailFast, kCommits);
  Close(now_ + seconds(10));
  Expire();
  EXPECT_EQ(Ended(), Lines());
  Commit("b");
  EXPECT_EQ(Take(), "b");
  Done("b");
  Expire();
  EXPECT_EQ(Ended(), Lines{"a: draining"});
}

TEST_F(GateTest, ADrainDoesNotAwaitAStoreThatIsTriedAfterItsEnd) {
  Open(Places(9));
  ArriveAll("a", kFailFast, {.promised = true});
  EXPECT_EQ(Take(), "a");
  Fail("a");
  Close(gate_->circuit().retry_at());
  EXPECT_LT(gate_->next_expiry(), now_);
  Expire();
  EXPECT_EQ(Ended(), Lines{"a: draining"});
  EXPECT_TRUE(gate_->idle());
}

TEST_F(GateTest, ADrainLeavesDurablePromisesWhileTheCircuitIsOpen) {
  Open(Places(9));
  ArriveAll("a", kFailFast, {.promised = true});
  for (int failures = 0; failures < Circuit::kOpensAfter; ++failures) {
    EXPECT_EQ(gate_->circuit().open(), false);
    now_ = std::max(now_, gate_->circuit().retry_at());
    Expire();
    EXPECT_EQ(Take(), "a");
    Fail("a");
  }
  Close(now_ + seconds(3600), Promises::kDurable);
  EXPECT_LT(gate_->next_expiry(), now_);
  Expire();
  EXPECT_EQ(Ended(), Lines{"a: draining"});
  EXPECT_TRUE(gate_->idle());
}

TEST_F(GateTest, ADrainTriesAStoreAgainThatFailedOnce) {
  Open(Places(9));
  ArriveAll("a", kFailFast, {.promised = true});
  EXPECT_EQ(Take(), "a");
  Fail("a");
  Close(now_ + seconds(3600), Promises::kDurable);
  EXPECT_EQ(gate_->next_expiry(), gate_->circuit().retry_at());
  now_ = gate_->circuit().retry_at();
  Expire();
  EXPECT_EQ(Take(), "a");
  Done("a");
  EXPECT_EQ(Ended(), Lines());
}

TEST_F(GateTest, ADrainLeavesDurablePromisesThatAreDelayed) {
  Open(Places(9));
  ArriveAll("ab", kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  DelayUntil('a', now_ + seconds(5));
  Close(now_ + seconds(10), Promises::kDurable);
  EXPECT_EQ(Take(), "b");
  Done("b");
  EXPECT_LT(gate_->next_expiry(), now_);
  Expire();
  EXPECT_EQ(Ended(), Lines{"a: draining"});
}

TEST_F(GateTest, TellsWhichTasksAreTheFirstThatAreCommitting) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, {.promised = true, .needs_commit = true});
  std::vector<Task*> tasks = {Named('b'), Named('c')};
  EXPECT_EQ(gate_->FirstCommitting(tasks), 0u);
  tasks = {Named('a'), Named('c')};
  EXPECT_EQ(gate_->FirstCommitting(tasks), 1u);
  tasks = {Named('a'), Named('b'), Named('c')};
  EXPECT_EQ(gate_->FirstCommitting(tasks), 3u);
  Commit("a");
  tasks = {Named('b')};
  EXPECT_EQ(gate_->FirstCommitting(tasks), 1u);
}

// The circuit

TEST_F(GateTest, AFailureOfTheStorePausesThePool) {
  Open(Places(9));
  ArriveAll("ab", kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  Fail("a");
  EXPECT_FALSE(gate_->ready());
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(gate_->next_expiry(), gate_->circuit().retry_at());
  now_ = gate_->circuit().retry_at();
  Expire();
  EXPECT_EQ(Take(), "ab");
  EXPECT_EQ(gate_->retries(), 1u);
}

TEST_F(GateTest, WhileTheStoreFailsOneBatchAtATimeIsTried) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, {.promised = true});
  Take(1);
  FailAndPause("a");
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Take(1), "");
  Done("a");
  EXPECT_EQ(Take(1), "b");
  EXPECT_EQ(Take(1), "c");
}

TEST_F(GateTest, RepeatedFailureOpensTheCircuitForThoseWhoWait) {
  Open(Places(3));
  Arrive('a', kFailFast, {.promised = true});
  Arrive('b', kFailFast);
  Arrive('c', kFailFast, {.promised = true});
  Arrive('w', kBlock);
  Arrive('x', kBlock, {.promised = true});
  Arrive('y', kBlock);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Take(1), "a");
    FailAndPause("a");
    EXPECT_EQ(Ended(), Lines{});
    Unparked();
  }
  EXPECT_EQ(Take(1), "a");
  Fail("a");
  EXPECT_TRUE(gate_->circuit().open());
  EXPECT_EQ(Ended(), (Lines{"y: store unavailable", "b: store unavailable",
                            "w: store unavailable"}));
  EXPECT_EQ(Unparked(), "x");
  EXPECT_EQ(Queued(), "acx");
  // Arrivals that wait for a result are refused.
  EXPECT_EQ(Arrive('d', kFailFast), "refused: STORE_UNAVAILABLE");
  EXPECT_EQ(last_.retry_delay, gate_->circuit().delay());
  // The probe is a single task. Its success closes the circuit.
  now_ = gate_->circuit().retry_at();
  Expire();
  EXPECT_EQ(Take(), "a");
  Done("a");
  EXPECT_EQ(Arrive('e', kFailFast), "admitted");
  EXPECT_EQ(Take(), "cxe");
}

// Until the next try of the store, callers who wait for a result are refused.
TEST_F(GateTest, AStoreThatWasUnavailableForLongIsTriedWithinSixSeconds) {
  Open(Places(1));
  Arrive('a', kFailFast, {.promised = true});
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(Take(), "a");
    Fail("a");
    EXPECT_LE(gate_->circuit().retry_at() - now_, seconds(6));
    now_ = gate_->circuit().retry_at();
    Expire();
  }
  EXPECT_TRUE(gate_->circuit().open());
}

TEST_F(GateTest, BatchesThatFailBesideEachOtherAreOneFailure) {
  Open(Places(9));
  ArriveAll("abc", kFailFast, {.promised = true});
  for (const char* one : {"a", "b", "c"}) EXPECT_EQ(Take(1), one);
  for (const char* one : {"a", "b", "c"}) Fail(one);
  EXPECT_FALSE(gate_->circuit().open());
  EXPECT_EQ(gate_->circuit().retry_at() - now_, gate_->circuit().delay());
}

// CountArrival

TEST_F(GateTest, CountsWhatIsShared) {
  Open(Places(1));
  gate_->CountArrival(0, TaskResult::kDuplicate);
  gate_->CountArrival(0, TaskResult::kWaitOver);
  gate_->CountArrival(0, TaskResult::kCancelled);
  EXPECT_EQ(Counters().received, 3u);
  EXPECT_EQ(Completed(TaskResult::kDuplicate), 1u);
  EXPECT_EQ(Rejected(TaskResult::kWaitOver), 1u);
  EXPECT_EQ(Counters().not_admitted[TaskResult::kCancelled], 1u);
}

// Predictions

// A Gate with a measured rate. WorkWithABacklog processes 20 tasks, each in
// kEach, with a backlog all the time. Afterwards the tasks in `left` are still
// queued.
class GateUnderLoadTest : public GateTest {
 protected:
  static constexpr Duration kEach = milliseconds(100);

  void WorkWithABacklog(const std::string& left, const GateLimits& limits,
                        const FakeTask::Traits& traits = {}) {
    Open(limits);
    const std::string worked = "ABCDEFGHIJKLMNOPQRST";
    ArriveAll(worked + left, kFailFast, traits);
    for (std::size_t i = 0; i < worked.size(); ++i) {
      EXPECT_EQ(Take(1), worked.substr(i, 1));
      now_ += kEach;
      Done(worked.substr(i, 1));
    }
  }

  void Restore() {
    restored_.push_back(
        std::make_unique<FakeTask>(FakeTask::Traits{.promised = true}));
    gate_->Restore(restored_.back().get(), now_, &events_);
  }

  FakeTask::Traits Within(Duration time) const {
    return {.deadline = now_ + time};
  }

 private:
  std::vector<std::unique_ptr<FakeTask>> restored_;
};

TEST_F(GateUnderLoadTest, WhoCouldNotBeDoneInTimeIsRefusedAtOnce) {
  WorkWithABacklog("0abc", Places(100));
  EXPECT_EQ(Take(1), "0") << "no worker is idle";
  // An arrival behind 3 queued tasks takes 400 ms. This may be at most 80 % of
  // the time until its deadline.
  EXPECT_EQ(Arrive('x', kBlock, Within(milliseconds(490))),
            "refused: HOPELESS");
  EXPECT_EQ(Arrive('y', kBlock, Within(milliseconds(510))), "parked");
  EXPECT_EQ(Rejected(TaskResult::kHopeless), 1u);
}

TEST_F(GateUnderLoadTest, WaitsLongerThanTheLongestDelayArePredictedToo) {
  WorkWithABacklog("", Places(2000));
  for (int i = 0; i < 1000; ++i) Restore();
  EXPECT_EQ(Arrive('x', kBlock, Within(seconds(124))), "refused: HOPELESS");
  EXPECT_NE(Arrive('y', kBlock, Within(seconds(127))), "refused: HOPELESS");
}

TEST_F(GateUnderLoadTest, OnlyRefusalsForWantOfRoomMakeTheLineLonger) {
  WorkWithABacklog("", Places(100));
  Resize(Places(1));
  Arrive('p', kFailFast, {.promised = true});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Take(1), "p");
    FailAndPause("p");
    if (gate_->circuit().open()) break;
  }
  Take(1);
  Fail("p");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Arrive('x', kFailFast), "refused: STORE_UNAVAILABLE");
  }
  now_ = gate_->circuit().retry_at();
  Expire();
  EXPECT_EQ(Take(1), "p");
  Done("p");
  Arrive('q', kFailFast, {.promised = true});
  EXPECT_EQ(Arrive('x', kFailFast), "refused: QUEUE_FULL");
  EXPECT_LT(last_.retry_delay, seconds(1));
}

TEST_F(GateUnderLoadTest, WhoIsAnsweredBeforeItIsWorkedNeedsNoTime) {
  WorkWithABacklog("abc", Places(100));
  FakeTask::Traits traits = Within(milliseconds(1));
  traits.promised = true;
  EXPECT_EQ(Arrive('x', kFailFast, traits), "admitted");
}

TEST_F(GateUnderLoadTest, WhatHasNoTimeLeftIsNotBegun) {
  WorkWithABacklog("a", Places(100));
  EXPECT_EQ(Take(1), "a");
  EXPECT_EQ(Arrive('x', kFailFast, Within(milliseconds(260))), "admitted");
  EXPECT_EQ(Arrive('y', kFailFast), "admitted");
  now_ += milliseconds(150);
  EXPECT_EQ(Take(1), "y");
  EXPECT_EQ(Ended(), Lines{"x: hopeless"});
  EXPECT_EQ(Completed(TaskResult::kHopeless), 1u);
}

TEST_F(GateTest, AnIdleWorkerAndAnEmptyQueueRefuseNobodyAsHopeless) {
  Open(Places(100));
  Arrive('a', kFailFast);
  Take();
  now_ += seconds(2);
  Done("a");
  // Only one batch was measured, and it took 2 s. By this measurement no
  // arrival can finish in time.
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(Arrive('x', kFailFast, {.deadline = now_ + milliseconds(500)}),
              "admitted");
    ASSERT_EQ(Take(), "x");
    now_ += seconds(1);
    Done("x");
  }
}

TEST_F(GateTest, WhoFindsNoIdleWorkerIsJudgedByWhatABatchTakes) {
  Open(Places(100));
  Arrive('a', kFailFast);
  Take();
  now_ += seconds(2);
  Done("a");
  Arrive('b', kFailFast);
  Take();
  EXPECT_EQ(Arrive('x', kFailFast, {.deadline = now_ + seconds(1)}),
            "refused: HOPELESS");
}

TEST_F(GateTest, BatchesThatFailWithTheStoreDoNotCountAsWork) {
  Open(Places(100));
  ArriveAll("ab", kFailFast, {.promised = true});
  EXPECT_EQ(Take(1), "a");
  now_ += seconds(5);
  FailAndPause("a");
  EXPECT_EQ(Take(1), "a");
  now_ += milliseconds(10);
  Done("a");
  EXPECT_EQ(Take(1), "b");
  EXPECT_EQ(Arrive('x', kFailFast, {.deadline = now_ + milliseconds(20)}),
            "admitted");
  now_ += milliseconds(10);
  Done("b");
  // The outage does not count as processing time.
  EXPECT_GE(gate_->view().drained_per_second, 99);
}

TEST_F(GateTest, BatchesBegunBeforeTheFailureThatFailLaterAreTheSameFailure) {
  Open(Places(9));
  ArriveAll("abcde", kFailFast, {.promised = true});
  for (const char* one : {"a", "b", "c", "d"}) EXPECT_EQ(Take(1), one);
  FailAndPause("a");
  FailAndPause("b");
  FailAndPause("c");
  EXPECT_FALSE(gate_->circuit().open());
  // Only a batch that was begun after the failure counts as a further failure.
  EXPECT_EQ(Take(1), "c");
  Fail("d");
  EXPECT_TRUE(gate_->ready() == false) << "the probe is in work";
  FailAndPause("c");
  EXPECT_FALSE(gate_->circuit().open());
  EXPECT_EQ(Take(1), "c");
  Fail("c");
  EXPECT_TRUE(gate_->circuit().open());
}

TEST_F(GateUnderLoadTest, NobodyIsParkedForLongerThanItMayWait) {
  WorkWithABacklog("abc", Places(100));
  const TimedWaitPolicy timed_wait(milliseconds(260));
  EXPECT_EQ(Arrive('1', timed_wait), "parked");
  EXPECT_EQ(Arrive('2', timed_wait), "parked");
  EXPECT_EQ(Arrive('3', timed_wait), "refused: HOPELESS");
}

TEST_F(GateUnderLoadTest, AStandingQueueCountsAsFull) {
  WorkWithABacklog("abcdefgh", Places(100));
  EXPECT_EQ(Arrive('x', kFailFast), "refused: QUEUE_FULL");
  EXPECT_EQ(Arrive('y', kBlock), "parked");
  EXPECT_FALSE(gate_->open());
  // Parked tasks are admitted once less than 200 ms of work is queued.
  EXPECT_EQ(Take(6), "abcdef");
  EXPECT_EQ(Unparked(), "");
  EXPECT_EQ(Take(1), "g");
  EXPECT_EQ(Unparked(), "y");
}

TEST_F(GateUnderLoadTest, AQueueIsStandingForAsLongAsATaskIsParked) {
  WorkWithABacklog("abc", Places(100));
  ArriveAll("0123456789", kBlock);
  EXPECT_EQ(Waiting(), "0123456789");
  // Parked tasks are admitted one by one, although no new task arrives and
  // admitted tasks are taken soon.
  for (const char* next : {"a", "b", "c", "0", "1", "2", "3", "4"}) {
    EXPECT_EQ(Take(1), next);
    EXPECT_LE(gate_->view().depth, 2u);
    now_ += kEach;
    Done(next);
  }
  Unparked();
}

TEST_F(GateUnderLoadTest, AQueueOfCommittingTasksIsNotStanding) {
  WorkWithABacklog("a", Places(100));
  ArriveAll("pq", kFailFast, {.promised = true, .needs_commit = true});
  EXPECT_EQ(Arrive('x', kBlock), "parked");
  EXPECT_EQ(Take(), "a");
  EXPECT_EQ(Unparked(), "x");
}

TEST_F(GateUnderLoadTest, AStandingQueueTakesWhatIsAnsweredBeforeItIsWorked) {
  WorkWithABacklog("abcdefgh", Places(100));
  EXPECT_EQ(Arrive('x', kFailFast, {.promised = true}), "admitted");
}

TEST_F(GateUnderLoadTest, InAStandingQueueEachArrivalEvictsOneTask) {
  WorkWithABacklog("abcd", Places(100), kDroppable);
  EXPECT_EQ(Arrive('w', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"a: dropped"});
  EXPECT_EQ(Take(1), "b");
  EXPECT_EQ(Arrive('x', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Ended(), Lines{"c: dropped"});
  EXPECT_EQ(Queued(), "dwx");
  // Nothing is evicted once less than 200 ms of work is queued.
  EXPECT_EQ(Take(2), "dw");
  EXPECT_EQ(Arrive('y', kDropOldest, kDroppable), "admitted");
  EXPECT_EQ(Queued(), "xy");
}

class GateRetryDelayTest : public GateTest {
 protected:
  // Admits and processes one task after the other, `times` times, each in `ms`:
  // the rate is then 1000 / `ms` tasks per second.
  void WorkOneByOne(int ms, int times) {
    for (int i = 0; i < times; ++i) {
      Arrive('w', kBlock);
      Take();
      now_ += milliseconds(ms);
      Done("w");
    }
  }

  // Refuses an arrival, and returns its retry delay.
  milliseconds DelayOfRefusal() {
    EXPECT_EQ(Arrive('z', kFailFast), "refused: QUEUE_FULL");
    return std::chrono::round<milliseconds>(last_.retry_delay);
  }
};

TEST_F(GateRetryDelayTest, IsOneSecondWhileNoWorkWasDone) {
  Open(Places(1));
  Arrive('a', kBlock);
  EXPECT_EQ(DelayOfRefusal(), seconds(1));
}

TEST_F(GateRetryDelayTest, IsWhatIsAheadByTheRate) {
  Open(Places(3));
  WorkOneByOne(100, 20);
  EXPECT_NEAR(gate_->view().drained_per_second, 10, 0.01);
  ArriveAll("abc", kBlock);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(400)) << "3 are queued";
  ArriveAll("de", kBlock);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(700))
      << "and 2 are parked, and 1 refused caller returns";
}

TEST_F(GateRetryDelayTest, RisesWhileRefusalsContinueAndFallsAfterwards) {
  Open(Places(1));
  WorkOneByOne(100, 20);
  Arrive('a', kBlock);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(200));
  EXPECT_EQ(DelayOfRefusal(), milliseconds(300));
  EXPECT_EQ(DelayOfRefusal(), milliseconds(400));
  now_ += seconds(1);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(200));
}

TEST_F(GateRetryDelayTest, DoesNotCountTimeInWhichThereWasNothingToDo) {
  Open(Places(1));
  WorkOneByOne(100, 20);
  now_ += std::chrono::hours(1);
  Arrive('a', kBlock);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(200));
}

TEST_F(GateRetryDelayTest, IsAtLeastFiftyMilliseconds) {
  Open(Places(1));
  WorkOneByOne(1, 100);
  Arrive('a', kBlock);
  EXPECT_EQ(DelayOfRefusal(), milliseconds(50));
}

TEST_F(GateRetryDelayTest, IsAtMostThirtyTwoSeconds) {
  Open(Places(100));
  WorkOneByOne(1000, 10);
  for (int i = 0; i < 100; ++i) {
    Arrive(static_cast<char>('A' + i - 64), kBlock);
  }
  EXPECT_EQ(DelayOfRefusal(), seconds(32));
}

TEST_F(GateRetryDelayTest, IsToldToThoseWhoseWaitIsOver) {
  Open(Places(1));
  WorkOneByOne(100, 20);
  Arrive('a', kBlock);
  Arrive('b', kWait10);
  now_ += milliseconds(10);
  GateEvents events;
  gate_->Expire(now_, &events);
  ASSERT_EQ(events.ended.size(), 1u);
  EXPECT_EQ(std::chrono::round<milliseconds>(events.ended[0].retry_delay),
            milliseconds(200));
}

}  // namespace
}  // namespace sluice

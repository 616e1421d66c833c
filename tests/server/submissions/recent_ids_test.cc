#include "server/submissions/recent_ids.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/submissions/submission_task.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RecentIdsTest : public testing::Test {
 protected:
  using Arrival = RecentIds::Arrival;
  using Leaving = RecentIds::Leaving;
  using Task = std::shared_ptr<SubmissionTask>;

  // Returns a task without a pool. Tests only let it arrive and end.
  static Task MakeTask(const std::string& id, std::uint8_t content = 1,
                       Ack ack = Ack::kStored) {
    static const MethodContext method = {};
    auto task = MakeSubmissionTask(
        method, MakeMethodSettings({.pool = "pool", .ack = ack}, FairBy::kNone),
        nullptr, 0, SubmissionTask::Parking::kSilent);
    ReceivedSubmission& submission = *task->NewSubmission();
    submission.study_id = "study";
    submission.submission_id = id;
    submission.content = "content";
    submission.content_sha256.fill(content);
    task->recent_id().key = SubmissionKey::Of(submission);
    task->sequence = 7;  // as after admission
    return task;
  }

  ~RecentIdsTest() override { Check(); }

  Arrival Arrive(const Task& task, bool durably = true) {
    const Arrival arrival = recent_.Arrive(task, durably, &receipt_);
    Check();
    return arrival;
  }
  Leaving Leave(const Task& task) {
    const Leaving leaving = recent_.Leave(task.get());
    Check();
    return leaving;
  }
  // Ends the task as stored, so that its receipt is remembered.
  std::vector<Task> End(const Task& task) {
    const std::vector<Task> followers =
        recent_.End(task.get(), {.stored = task->OwnReceipt()});
    Check();
    return followers;
  }
  void Check() const { EXPECT_EQ(recent_.CheckInvariants(), ""); }

  std::uint32_t generation_ = 0;
  int looks_ = 0;  // number of times that the generation was asked for
  RecentIds recent_{1000, [this] {
                      ++looks_;
                      return generation_;
                    }};
  StoredReceipt receipt_;
};

TEST_F(RecentIdsTest, TheSameFollowsUntilTheFirstEnds) {
  const Task first = MakeTask("a");
  const Task second = MakeTask("a");
  const Task third = MakeTask("a");
  EXPECT_EQ(Arrive(first), Arrival::kFirst);
  EXPECT_EQ(Arrive(second), Arrival::kJoined);
  EXPECT_EQ(Arrive(third), Arrival::kJoined);
  EXPECT_EQ(second->submission().content, "");
  EXPECT_EQ(Arrive(MakeTask("b")), Arrival::kFirst);
  EXPECT_THAT(End(first), ElementsAre(second, third));
  EXPECT_THAT(End(first), IsEmpty());
}

TEST_F(RecentIdsTest, AnotherContentIsNotRecorded) {
  const Task first = MakeTask("a");
  const Task other = MakeTask("a", 2);
  Arrive(first);
  EXPECT_EQ(Arrive(other), Arrival::kOther);
  EXPECT_EQ(Leave(other), Leaving::kAlone);
  EXPECT_THAT(recent_.End(other.get(), {}), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kJoined);
}

TEST_F(RecentIdsTest, RemembersStoredSubmissions) {
  const Task first = MakeTask("a");
  Arrive(first);
  EXPECT_THAT(End(first), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kKnown);
  EXPECT_EQ(receipt_.sequence, 7);
  // Only the store can decide about different content.
  EXPECT_EQ(Arrive(MakeTask("a", 2)), Arrival::kFirst);
}

TEST_F(RecentIdsTest, RefusesAContentThatTheStoreHasRefused) {
  const Task conflict = MakeTask("a", 2);
  EXPECT_EQ(Arrive(conflict), Arrival::kFirst);
  EXPECT_THAT(recent_.End(conflict.get(), {.conflict = true}), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a", 2)), Arrival::kConflict);
  EXPECT_EQ(Arrive(MakeTask("b", 2)), Arrival::kFirst);
  // Another content may be the stored one.
  const Task first = MakeTask("a", 1);
  EXPECT_EQ(Arrive(first), Arrival::kFirst);
  EXPECT_EQ(Arrive(MakeTask("a", 2)), Arrival::kConflict);
  EXPECT_THAT(End(first), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a", 1)), Arrival::kKnown);
  EXPECT_EQ(Arrive(MakeTask("a", 2)), Arrival::kConflict);
}

TEST_F(RecentIdsTest, RemembersALimitedNumberOfConflicts) {
  for (int i = 0; i < 3000; ++i) {
    const Task conflict = MakeTask(std::to_string(i), 2);
    Arrive(conflict);
    EXPECT_THAT(recent_.End(conflict.get(), {.conflict = true}), IsEmpty());
  }
  EXPECT_EQ(Arrive(MakeTask("2999", 2)), Arrival::kConflict);
  EXPECT_EQ(Arrive(MakeTask("0", 2)), Arrival::kFirst);
}

TEST_F(RecentIdsTest, ForgetsWhatAnotherGenerationOfTheStoreHas) {
  const Task stored = MakeTask("a");
  Arrive(stored);
  EXPECT_THAT(End(stored), IsEmpty());
  const Task conflict = MakeTask("b", 2);
  Arrive(conflict);
  EXPECT_THAT(recent_.End(conflict.get(), {.conflict = true}), IsEmpty());
  const Task leader = MakeTask("c");
  Arrive(leader);

  generation_ = 1;
  const Task stored_again = MakeTask("a");
  EXPECT_EQ(Arrive(stored_again), Arrival::kFirst);
  EXPECT_EQ(Arrive(MakeTask("b", 2)), Arrival::kFirst);
  // A leader is still going to be saved.
  EXPECT_EQ(Arrive(MakeTask("c")), Arrival::kJoined);
  EXPECT_EQ(End(leader).size(), 1u);

  stored_again->recent_id().generation = 1;
  EXPECT_THAT(End(stored_again), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kKnown);
}

// The store may have saved the submission before it was replaced.
TEST_F(RecentIdsTest, DoesNotUseAnOutcomeThatBeganInAnotherGeneration) {
  const Task before = MakeTask("a");
  Arrive(before);
  before->recent_id().generation = 0;
  generation_ = 1;
  EXPECT_THAT(End(before), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kFirst);
}

TEST_F(RecentIdsTest, AsksForTheGenerationOnlyToUseAnOutcome) {
  const Task first = MakeTask("a");
  Arrive(first);
  Arrive(MakeTask("a"));
  EXPECT_EQ(End(first).size(), 1u);
  const Task other = MakeTask("a", 2);
  Arrive(other);
  EXPECT_EQ(looks_, 0);
  EXPECT_THAT(recent_.End(other.get(), {}), IsEmpty());
  Arrive(MakeTask("a"));
  EXPECT_EQ(looks_, 1);
}

TEST_F(RecentIdsTest, ForgetsSubmissionsThatAreNotStored) {
  const Task first = MakeTask("a");
  Arrive(first);
  EXPECT_THAT(recent_.End(first.get(), {}), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kFirst);
}

TEST_F(RecentIdsTest, ADurableAcknowledgementAnswersThoseThatFollow) {
  const Task first = MakeTask("a");
  const Task second = MakeTask("a");
  Arrive(first);
  Arrive(second);
  EXPECT_EQ(recent_.FindAcknowledged(first->recent_id().key), std::nullopt);
  EXPECT_THAT(recent_.Acknowledge(first.get(), true), ElementsAre(second));
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kQueued);
  EXPECT_EQ(receipt_.sequence, 7);
  const auto found = recent_.FindAcknowledged(first->recent_id().key);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->sequence, 7);
  EXPECT_THAT(End(first), IsEmpty());
  EXPECT_EQ(recent_.FindAcknowledged(first->recent_id().key), std::nullopt);
}

TEST_F(RecentIdsTest,
       AnAcknowledgementFromMemoryAnswersOnlyArrivalsThatNeedNoMore) {
  const Task first = MakeTask("a");
  const Task second = MakeTask("a");
  const Task third = MakeTask("a");
  Arrive(first);
  Arrive(second);
  EXPECT_THAT(recent_.Acknowledge(first.get(), false), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a"), /*durably=*/false), Arrival::kQueued);
  EXPECT_EQ(Arrive(third, /*durably=*/true), Arrival::kJoined);
  EXPECT_THAT(End(first), ElementsAre(second, third));
}

TEST_F(RecentIdsTest, OneThatIsRestoredIsAcknowledged) {
  const Task first = MakeTask("a");
  recent_.Restore(first);
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kQueued);
  EXPECT_THAT(End(first), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kKnown);
}

// A repetition may arrive before the entry of the first is read.
TEST_F(RecentIdsTest, OneThatIsRestoredBehindARepetitionIsFound) {
  const Task repetition = MakeTask("a");
  EXPECT_EQ(Arrive(repetition), Arrival::kFirst);
  const Task restored = MakeTask("a");
  restored->sequence = 3;
  recent_.Restore(restored);
  const SubmissionKey& key = restored->recent_id().key;
  ASSERT_TRUE(recent_.FindAcknowledged(key).has_value());
  EXPECT_EQ(recent_.FindAcknowledged(key)->sequence, 3);
  EXPECT_THAT(End(restored), IsEmpty());
  EXPECT_FALSE(recent_.FindAcknowledged(key).has_value());
  EXPECT_THAT(End(repetition), IsEmpty());
}

TEST_F(RecentIdsTest, APromisedRepetitionOfAQuarantinedSubmissionIsKnown) {
  const Task quarantined = MakeTask("a", 1, Ack::kQueued);
  const SubmissionKey key = quarantined->recent_id().key;
  recent_.quarantined().Add(key, quarantined->OwnReceipt());
  EXPECT_EQ(Arrive(MakeTask("a", 1, Ack::kQueued)), Arrival::kKnown);
  EXPECT_EQ(receipt_.sequence, 7);
  EXPECT_TRUE(recent_.empty());
  // A caller who waits for the store may try the store.
  const Task waiting = MakeTask("a", 1);
  EXPECT_EQ(Arrive(waiting), Arrival::kFirst);
  EXPECT_EQ(Arrive(MakeTask("a", 1, Ack::kQueued)), Arrival::kKnown);
  EXPECT_THAT(End(waiting), IsEmpty());
  // Only the store can tell whether other content is a conflict: it may be
  // stored.
  EXPECT_EQ(Arrive(MakeTask("a", 2, Ack::kQueued)), Arrival::kFirst);
}

TEST_F(RecentIdsTest, ARetriedSubmissionIsNoLongerQuarantined) {
  const Task quarantined = MakeTask("a", 1, Ack::kQueued);
  recent_.quarantined().Add(quarantined->recent_id().key,
                            quarantined->OwnReceipt());
  recent_.Restore(quarantined);
  EXPECT_EQ(recent_.quarantined().size(), 0u);
  EXPECT_EQ(Arrive(MakeTask("a", 1, Ack::kQueued)), Arrival::kQueued);
  EXPECT_THAT(End(quarantined), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a", 1, Ack::kQueued)), Arrival::kKnown);
}

TEST_F(RecentIdsTest, OneThatFollowsMayLeaveAndALeaderOfOthersNot) {
  const Task first = MakeTask("a");
  const Task second = MakeTask("a");
  const Task third = MakeTask("a");
  Arrive(first);
  EXPECT_EQ(Leave(first), Leaving::kAlone);
  Arrive(second);
  Arrive(third);
  EXPECT_EQ(Leave(first), Leaving::kLeads);
  EXPECT_EQ(Leave(second), Leaving::kFollowed);
  EXPECT_EQ(Leave(second), Leaving::kAlone);
  EXPECT_THAT(End(first), ElementsAre(third));
}

TEST_F(RecentIdsTest, FollowersAreLimited) {
  const Task first = MakeTask("a");
  Arrive(first);
  for (std::size_t i = 0; i < RecentIds::kFollowersMax; ++i) {
    ASSERT_EQ(Arrive(MakeTask("a")), Arrival::kJoined);
  }
  const Task late = MakeTask("a");
  EXPECT_EQ(Arrive(late), Arrival::kTooMany);
  EXPECT_EQ(late->submission().content, "content");
  EXPECT_EQ(End(first).size(), RecentIds::kFollowersMax);
  const Task again = MakeTask("b");
  Arrive(again);
  EXPECT_EQ(Arrive(MakeTask("b")), Arrival::kJoined);
  End(again);
}

// Two ids may have the same half of their hashes by chance, but an attacker
// cannot prepare such ids.
TEST_F(RecentIdsTest, IdsThatAreNearlyTheSameAreNotTakenForOneAnother) {
  const Task first = MakeTask("a");
  const Task near = MakeTask("b");
  near->recent_id().key = first->recent_id().key;
  near->recent_id().key.hash[1] += 1 << 20;  // does not change the shard
  Arrive(first);
  EXPECT_THAT(recent_.Acknowledge(first.get(), true), IsEmpty());
  EXPECT_EQ(Arrive(near), Arrival::kOther);
  EXPECT_EQ(recent_.FindAcknowledged(near->recent_id().key), std::nullopt);
  EXPECT_EQ(Leave(near), Leaving::kAlone);
  EXPECT_THAT(End(near), IsEmpty());
  EXPECT_EQ(Arrive(MakeTask("a")), Arrival::kQueued);
  End(first);
}

}  // namespace
}  // namespace sluice

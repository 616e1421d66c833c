#include "server/submissions/submission_task.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

// Of no pool.
std::shared_ptr<SubmissionTask> MakeTask() {
  static const MethodContext method = {};
  return MakeSubmissionTask(method,
                            MakeMethodSettings({.pool = "pool"}, FairBy::kNone),
                            nullptr, 0, SubmissionTask::Parking::kSilent);
}

void Fill(ReceivedSubmission* submission) {
  submission->kind = SubmissionKind::kAppEvent;
  submission->sequence = 7;
  submission->study_id = std::string(100, 's');
  submission->submission_id = std::string(100, 'i');
  submission->site_id = std::string(100, 't');
  submission->content = std::string(1000, 'c');
  submission->content_sha256.fill(1);
  submission->received_at = absl::FromUnixSeconds(1);
  submission->sent_at = absl::FromUnixSeconds(2);
}

TEST(SubmissionTask, HasNothingOfTheOneBefore) {
  for (int i = 0; i < 3; ++i) {
    const auto task = MakeTask();
    const ReceivedSubmission& submission = task->submission();
    EXPECT_EQ(submission.kind, SubmissionKind::kQuestionnaireResponse);
    EXPECT_EQ(submission.sequence, 0);
    EXPECT_EQ(submission.study_id, "");
    EXPECT_EQ(submission.submission_id, "");
    EXPECT_EQ(submission.site_id, "");
    EXPECT_EQ(submission.content, "");
    EXPECT_EQ(submission.content_sha256, Sha256Digest());
    EXPECT_EQ(submission.received_at, absl::Time());
    EXPECT_EQ(submission.sent_at, std::nullopt);
    Fill(&task->submission());
  }
}

TEST(SubmissionTask, LeavesNoMoreRoomThanMostNeed) {
  for (int i = 0; i < 3; ++i) {
    const auto task = MakeTask();
    EXPECT_LE(task->submission().content.capacity(), 4096u);
    task->submission().content = std::string(1'000'000, 'c');
  }
}

TEST(SubmissionTask, TakesBackWhatIsLargeOnlyToBeStoredAgain) {
  const std::string large(1'000'000, 'c');
  const auto stored = MakeTask();
  stored->TakeBack(large);
  EXPECT_LE(stored->submission().content.capacity(), 4096u);
  const auto again = MakeTask();
  again->SetAgain();
  again->TakeBack(large);
  EXPECT_EQ(again->submission().content, large);
}

TEST(SubmissionTask, DropsTheRoomOfItsContentToo) {
  const auto task = MakeTask();
  task->submission().content = std::string(1000, 'c');
  task->DropContent();
  EXPECT_LT(task->submission().content.capacity(), 100u);
}

TEST(SubmissionTask, LendsItsContentAndHasItBack) {
  const auto task = MakeTask();
  Fill(&task->submission());
  task->sequence = 8;
  Submission lent;
  lent.site_id = "of another";
  lent.content = "of another";
  task->LendSubmission(&lent);
  EXPECT_EQ(lent.kind, SubmissionKind::kAppEvent);
  EXPECT_EQ(lent.sequence, 8);
  EXPECT_EQ(lent.study_id, std::string(100, 's'));
  EXPECT_EQ(lent.submission_id, std::string(100, 'i'));
  EXPECT_EQ(lent.site_id, std::string(100, 't'));
  EXPECT_EQ(lent.content, std::string(1000, 'c'));
  EXPECT_EQ(task->submission().content, "");
  EXPECT_EQ(task->submission().submission_id, lent.submission_id);
  task->TakeBack(std::move(lent.content));
  EXPECT_EQ(task->submission().content, std::string(1000, 'c'));
}

}  // namespace
}  // namespace sluice

#include "server/submissions/submission_task.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "pool/worker_pool.h"
#include "server/submissions/order_key.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fakes/fake_processor.h"
#include "tests/fakes/log_capture.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

// Returns a task in stage kNew.
std::shared_ptr<SubmissionTask> MakeTask() {
  static const MethodContext method = {};
  return MakeSubmissionTask(method,
                            MakeMethodSettings({.pool = "pool"}, FairBy::kNone),
                            nullptr, 0, SubmissionTask::Parking::kSilent);
}

// Returns a task with sequence number 8, as if restored from a journal and
// taken by a worker.
std::shared_ptr<SubmissionTask> MakeTaskInWork(ReceivedSubmission submission) {
  static LiveMethodSettings settings;
  settings.Set(MakeMethodSettings({.pool = "pool"}, FairBy::kNone));
  static const MethodContext method = {.method = Method::kRecordEvents,
                                       .limits = {},
                                       .settings = &settings,
                                       .pool = nullptr,
                                       .journal = nullptr,
                                       .recent = nullptr,
                                       .rpc_metrics = nullptr,
                                       .leftovers = nullptr};
  submission.sequence = 8;
  auto task = MakeSubmissionTask(
      method, nullptr,
      JournalEntry{
          .position = 1, .method = {}, .submission = std::move(submission)});
  task->BeginWork(/*generation=*/0);
  return task;
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

TEST(SubmissionTask, HasNothingOfTheSubmissionBefore) {
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
    Fill(task->NewSubmission());
  }
}

TEST(SubmissionTask, KeepsNoLargeContentForTheNext) {
  for (int i = 0; i < 3; ++i) {
    const auto task = MakeTask();
    EXPECT_LE(task->submission().content.capacity(), 4096u);
    task->NewSubmission()->content = std::string(1'000'000, 'c');
  }
}

TEST(SubmissionTask, KeepsALargeContentOnlyToBeWorkedAgain) {
  const std::string large(1'000'000, 'c');
  const auto failed = MakeTaskInWork({});
  failed->SetFailed("error");
  failed->ReturnContent(large);
  EXPECT_LE(failed->submission().content.capacity(), 4096u);
  const auto again = MakeTaskInWork({});
  again->SetAgain();
  again->ReturnContent(large);
  EXPECT_EQ(again->submission().content, large);
}

TEST(SubmissionTask, FreesTheContentOfAFollower) {
  const auto task = MakeTask();
  task->NewSubmission()->content = std::string(1000, 'c');
  task->Follow();
  EXPECT_LT(task->submission().content.capacity(), 100u);
}

TEST(SubmissionTask, MovesItsContentOutAndGetsItBack) {
  ReceivedSubmission submission;
  Fill(&submission);
  const auto task = MakeTaskInWork(std::move(submission));
  Submission moved;
  moved.site_id = "of another";
  moved.content = "of another";
  task->MoveOut(&moved);
  EXPECT_EQ(moved.kind, SubmissionKind::kAppEvent);
  EXPECT_EQ(moved.sequence, 8);
  EXPECT_EQ(moved.study_id, std::string(100, 's'));
  EXPECT_EQ(moved.submission_id, std::string(100, 'i'));
  EXPECT_EQ(moved.site_id, std::string(100, 't'));
  EXPECT_EQ(moved.content, std::string(1000, 'c'));
  EXPECT_EQ(task->submission().content, "");
  EXPECT_EQ(task->submission().submission_id, moved.submission_id);
  task->SetAgain();
  task->ReturnContent(std::move(moved.content));
  EXPECT_EQ(task->submission().content, std::string(1000, 'c'));
}

TEST(SubmissionTask, HasWhatThePoolNeedsWhenItIsRestored) {
  v1::SubmitRequest request;
  request.mutable_response()->mutable_subject()->set_reference("subject");
  ReceivedSubmission submission;
  submission.content = request.SerializeAsString();
  const auto task = MakeTaskInWork(submission);
  EXPECT_TRUE(task->promised);
  EXPECT_FALSE(task->needs_commit);
  EXPECT_EQ(task->sequence, 8);
  EXPECT_EQ(task->bytes, submission.content.size());
  EXPECT_EQ(task->order_key, OrderKey(submission));
  EXPECT_NE(task->order_key, 0u);
}

TEST(SubmissionTask, GoesThroughTheStagesInTheirOrder) {
  using enum SubmissionTask::Stage;
  const auto task = MakeTaskInWork({});
  EXPECT_EQ(task->stage(), kInWork);
  task->SetAgain();
  EXPECT_EQ(task->stage(), kAgain);
  task->ReturnContent("");
  EXPECT_EQ(task->stage(), kInPool);
  task->BeginWork(/*generation=*/0);
  EXPECT_EQ(task->stage(), kInWork);
  task->SetFailed("error");
  EXPECT_EQ(task->stage(), kWorked);
}

TEST(SubmissionTask, MayOnlyMoveAsThePictureSays) {
  using enum SubmissionTask::Stage;
  using Move = std::pair<SubmissionTask::Stage, SubmissionTask::Stage>;
  const std::set<Move> allowed = {
      {kNew, kFollowing},   {kNew, kInPool},        {kNew, kEnded},
      {kFollowing, kEnded}, {kInPool, kCommitting}, {kInPool, kInWork},
      {kInPool, kEnded},    {kCommitting, kInPool}, {kCommitting, kEnded},
      {kInWork, kAgain},    {kInWork, kWorked},     {kInWork, kEnded},
      {kAgain, kInPool},    {kAgain, kEnded},       {kWorked, kEnded}};
  for (std::size_t from = 0; from < SubmissionTask::kStages; ++from) {
    for (std::size_t to = 0; to < SubmissionTask::kStages; ++to) {
      const Move move{static_cast<SubmissionTask::Stage>(from),
                      static_cast<SubmissionTask::Stage>(to)};
      EXPECT_EQ(SubmissionTask::MayMove(move.first, move.second),
                allowed.contains(move))
          << from << " to " << to;
    }
  }
}

// A pool whose processor throws an exception before any task has its result.
class ThrowingProcessorTest : public testing::Test {
 protected:
  ThrowingProcessorTest() {
    settings_.Set(MakeMethodSettings({.pool = "pool", .ack = Ack::kStored},
                                     FairBy::kNone));
    processor_.then = [](std::span<Task* const>) { throw std::bad_alloc(); };
  }

  void JoinPool() {
    EXPECT_TRUE(pool_.AwaitIdle(SystemClock()->Now() +
                                absl::ToChronoNanoseconds(kPatience)));
    pool_.Join();
    EXPECT_EQ(pool_.Snapshot()
                  .counters[Index(Method::kRecordEvents)]
                  .completed[TaskResult::kFailed],
              1u);
  }

  LiveMethodSettings settings_;
  RecentIds recent_{100};
  FakeProcessor processor_;
  std::atomic<std::int64_t> sequence_{0};
  WorkerPool pool_{{.name = "pool", .methods = kMethods},
                   &processor_,
                   SystemClock(),
                   &sequence_};
  const MethodContext method_ = {.method = Method::kRecordEvents,
                                 .limits = {},
                                 .settings = &settings_,
                                 .pool = &pool_,
                                 .journal = nullptr,
                                 .recent = &recent_,
                                 .rpc_metrics = nullptr,
                                 .leftovers = nullptr};
};

TEST_F(ThrowingProcessorTest, EndsARestoredTask) {
  JournalEntry entry;
  entry.submission.sequence = 1;
  const auto task = MakeSubmissionTask(method_, nullptr, std::move(entry));
  task->Restore(&pool_);
  JoinPool();
  EXPECT_EQ(task->stage(), SubmissionTask::Stage::kEnded);
}

// An owner that keeps the answer of its only submission.
class AnswerKeeper final : public SubmissionOwner {
 public:
  explicit AnswerKeeper(CompletionLoop* loop) : loop_(loop) {}

  bool CallerCancelled() const override { return false; }
  CompletionLoop* loop() const override { return loop_; }
  void OnAnswer(std::size_t, std::string_view, const Answer& answer) override {
    answer_ = answer;
    answered_.Notify();
  }

  // Waits for the answer.
  Answer Await() const {
    EXPECT_TRUE(answered_.WaitForNotificationWithTimeout(kPatience));
    return answered_.HasBeenNotified() ? answer_ : Answer();
  }

 private:
  CompletionLoop* const loop_;
  Answer answer_;
  absl::Notification answered_;
};

TEST_F(ThrowingProcessorTest, AnswersTheCallerWithAnErrorIdThatIsInTheLog) {
  const LogCapture log;
  CompletionLoop loop(grpc::ServerBuilder().AddCompletionQueue());
  loop.Start();
  AnswerKeeper owner(&loop);
  // Calls Arrive on the thread of the loop.
  struct Arrival final : LoopTask {
    void OnLoop() override { task->Arrive(); }
    std::shared_ptr<SubmissionTask> task;
  };
  Arrival arrival;
  arrival.task = MakeSubmissionTask(method_, settings_.Get(), &owner, 0,
                                    SubmissionTask::Parking::kSilent);
  loop.Post(&arrival);
  const Answer answer = owner.Await();
  JoinPool();
  loop.Join();
  EXPECT_EQ(arrival.task->stage(), SubmissionTask::Stage::kEnded);
  ASSERT_EQ(answer.kind, Answer::Kind::kFailed);
  absl::string_view error_id = answer.why->description;
  ASSERT_TRUE(absl::ConsumePrefix(&error_id, "internal error ")) << error_id;
  ASSERT_NE(error_id, "");
  EXPECT_THAT(log.text(),
              testing::HasSubstr(absl::StrCat("error_id=", error_id, " ")));
  EXPECT_THAT(log.text(), testing::HasSubstr("the processor threw"));
}

// The checks are compiled out of release builds.
class SubmissionTaskDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kChecks) GTEST_SKIP() << "assertions are off";
  }
};

TEST_F(SubmissionTaskDeathTest, IsWorkedOnceAtATime) {
  const auto task = MakeTaskInWork({});
  EXPECT_DEATH(task->BeginWork(/*generation=*/0), "MayMove");
}

TEST_F(SubmissionTaskDeathTest, HasOneResult) {
  const auto task = MakeTaskInWork({});
  task->SetFailed("error");
  EXPECT_DEATH(task->SetSaved({}), "MayMove");
  EXPECT_DEATH(task->SetAgain(), "MayMove");
}

TEST_F(SubmissionTaskDeathTest, IsNotWorkedAgainWithoutItsContent) {
  const auto task = MakeTaskInWork({});
  task->SetAgain();
  EXPECT_DEATH(task->BeginWork(/*generation=*/0), "MayMove");
}

TEST_F(SubmissionTaskDeathTest, IsNotFilledAfterItHasArrived) {
  const auto task = MakeTask();
  task->Follow();
  EXPECT_DEATH(task->NewSubmission(), "kNew");
}

TEST_F(SubmissionTaskDeathTest, IsNotRestoredWithoutAPromise) {
  EXPECT_DEATH(MakeTask()->Restore(nullptr), "promised");
}

}  // namespace
}  // namespace sluice

#include "server/submissions/journal_writer.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "server/submissions/submission_task.h"
#include "stores/journal.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_processor.h"
#include "tests/fakes/fake_server_registry.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/run_on_loop.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;

class CountingOwner final : public SubmissionOwner {
 public:
  explicit CountingOwner(CompletionLoop* loop) : loop_(loop) {}

  bool CallerCancelled() const override { return false; }
  CompletionLoop* loop() const override { return loop_; }
  void OnAnswer(std::size_t, std::string_view, const Answer&) override {
    ++answers_;
    if (on_answer) on_answer();
  }
  int answers() const { return answers_; }

  std::function<void()> on_answer;

 private:
  CompletionLoop* const loop_;
  std::atomic<int> answers_{0};
};

class JournalWriterTest : public testing::Test {
 protected:
  JournalWriterTest() {
    processor_.then = [](std::span<Task* const> batch) {
      for (Task* task : batch) {
        auto* const submission = static_cast<SubmissionTask*>(task);
        submission->BeginWork(/*generation=*/0);
        submission->SetSaved({});
      }
    };
    loop_.Start();
  }
  ~JournalWriterTest() override {
    processor_.Release();
    EXPECT_TRUE(pool_.AwaitIdle(SystemClock()->Now() +
                                absl::ToChronoNanoseconds(kPatience)));
    writer_.Join();
    pool_.Join();
    loop_.Join();
  }

  // Creates a task and offers it to the pool.
  std::shared_ptr<SubmissionTask> Arrive(const std::string& id) {
    auto task = MakeSubmissionTask(method_, settings_, &owner_, 0,
                                   SubmissionTask::Parking::kSilent);
    task->NewSubmission()->submission_id = id;
    RunOnLoop(loop_, [&] { task->Arrive(); });
    return task;
  }

  FaultyDisk disk_;
  const TempFolder folder_;
  const std::unique_ptr<Journal> journal_ =
      *Journal::Open(folder_ / "journal.db");
  std::atomic<std::int64_t> sequence_{0};
  FakeProcessor processor_;
  WorkerPool pool_{{.limits = {.capacity = 1},
                    .workers = {.min = 1, .max = 1},
                    .methods = kAllMethods.size()},
                   &processor_,
                   SystemClock(),
                   &sequence_};
  prometheus::Registry registry_;
  JournalMetrics metrics_{"pool", &registry_};
  std::atomic<std::size_t> free_bytes_{100};
  DiskReserve reserve_{[this] { return free_bytes_.load(); }, /*minimum=*/50};
  FakeServerRegistry servers_;
  FakeClock servers_clock_;
  const std::unique_ptr<NumberReserve> numbers_ =
      *NumberReserve::Start(&servers_, &sequence_, &servers_clock_);
  NewNumbers new_numbers_{&sequence_};
  GatedStore store_;
  AssignedRecorder assigned_{&store_, SystemClock()};
  JournalWriter writer_{{.journal = journal_.get(),
                         .disk = &reserve_,
                         .numbers = numbers_.get(),
                         .new_numbers = &new_numbers_,
                         .assigned = &assigned_,
                         .pool = &pool_,
                         .clock = SystemClock(),
                         .metrics = &metrics_}};
  RecentIds recent_{1000};
  const MethodContext method_ = {.method = Method::kSubmit,
                                 .limits = {},
                                 .settings = nullptr,
                                 .pool = &pool_,
                                 .journal = &writer_,
                                 .recent = &recent_,
                                 .rpc_metrics = nullptr,
                                 .leftovers = nullptr};
  const std::shared_ptr<const MethodSettings> settings_ = MakeMethodSettings(
      {.pool = "pool", .on_full = "block", .ack = Ack::kQueued}, FairBy::kNone);
  CompletionLoop loop_{grpc::ServerBuilder().AddCompletionQueue()};
  CountingOwner owner_{&loop_};
};

// Holds the notice of a task's admission back, to deliver it later.
struct KeptNotice final : AdmissionListener {
  explicit KeptNotice(SubmissionTask* task)
      : listener(std::exchange(task->listener, this)) {}
  void OnAdmitted(std::int64_t admitted_as) override { sequence = admitted_as; }
  void Deliver() const { listener->OnAdmitted(sequence); }

  AdmissionListener* const listener;
  std::int64_t sequence = 0;
};

TEST_F(JournalWriterTest, RefusesPromisesWhileTheDiskIsNearlyFull) {
  EXPECT_TRUE(writer_.CheckReserves().ok());
  EXPECT_FALSE(writer_.RefusalOfPromise("study").has_value());
  free_bytes_ = 49;
  AwaitThat("the disk is low", [&] { return !writer_.CheckReserves().ok(); });
  EXPECT_EQ(writer_.RefusalOfPromise("study"), TaskResult::kDiskFull);
  EXPECT_EQ(Arrive("1")->stage(), SubmissionTask::Stage::kEnded);
  free_bytes_ = 50;
  AwaitThat("there is room", [&] { return writer_.CheckReserves().ok(); });
  EXPECT_FALSE(writer_.RefusalOfPromise("study").has_value());
  Arrive("2");
  AwaitThat("both submissions are answered",
            [&] { return owner_.answers() == 2; });
  EXPECT_THAT(*journal_->LastSequence(), 1);
}

TEST_F(JournalWriterTest, AppendsNothingOnceTheDiskIsNearlyFull) {
  processor_.Hold();
  Arrive("1");
  AwaitThat("the submission is in work",
            [&] { return pool_.Snapshot().in_work == 1; });
  Arrive("2");
  Arrive("parked");
  free_bytes_ = 49;
  AwaitThat("the disk is low", [&] { return !writer_.CheckReserves().ok(); });
  processor_.Release();
  AwaitThat("all submissions are answered",
            [&] { return owner_.answers() == 3; });
  EXPECT_EQ(pool_.Snapshot()
                .counters[Index(Method::kSubmit)]
                .completed[TaskResult::kStoreUnavailable],
            1u);
  EXPECT_EQ(*journal_->LastSequence(), 2);
}

TEST_F(JournalWriterTest, RefusesPromisesWhenTheReservedNumbersAreUsedUp) {
  servers_.FailWith(absl::UnavailableError("unavailable"));
  sequence_ = NumberReserve::kBlock - 1;
  EXPECT_FALSE(writer_.RefusalOfPromise("study").has_value());
  EXPECT_TRUE(servers_clock_.AwaitWaiters(1));
  Arrive("last");
  AwaitThat("the last number is used", [&] { return owner_.answers() == 1; });
  EXPECT_EQ(*journal_->LastSequence(), NumberReserve::kBlock);
  EXPECT_EQ(writer_.RefusalOfPromise("study"), TaskResult::kNumbersUsedUp);
  EXPECT_FALSE(writer_.CheckReserves().ok());
  EXPECT_EQ(Arrive("refused")->stage(), SubmissionTask::Stage::kEnded);
  servers_.FailWith(absl::OkStatus());
  servers_clock_.Advance(NumberReserve::kTryAgainAfter);
  AwaitThat("numbers are reserved",
            [&] { return writer_.CheckReserves().ok(); });
  Arrive("next");
  AwaitThat("all submissions are answered",
            [&] { return owner_.answers() == 3; });
  EXPECT_EQ(*journal_->LastSequence(), NumberReserve::kBlock + 1);
}

TEST_F(JournalWriterTest, AppendsNoNumberThatIsNotReserved) {
  servers_.FailWith(absl::UnavailableError("unavailable"));
  processor_.Hold();
  Arrive("1");
  AwaitThat("the submission is in work",
            [&] { return pool_.Snapshot().in_work == 1; });
  Arrive("2");
  Arrive("parked");
  // Another pool takes all numbers that are reserved.
  sequence_ = NumberReserve::kBlock;
  processor_.Release();
  AwaitThat("all submissions are answered",
            [&] { return owner_.answers() == 3; });
  EXPECT_EQ(pool_.Snapshot()
                .counters[Index(Method::kSubmit)]
                .completed[TaskResult::kStoreUnavailable],
            1u);
  EXPECT_EQ(*journal_->LastSequence(), 2);
}

// The journal may be replaced by an older copy later.
TEST_F(JournalWriterTest, RecordsTheNumbersThatCallersWereTold) {
  for (int i = 1; i <= 3; ++i) Arrive(absl::StrCat(i));
  AwaitThat("the numbers are recorded", [&] { return store_.assigned() == 3; });
}

// The journal may be on another disk than the store.
TEST_F(JournalWriterTest, AnswersWhileTheDiskOfTheStoreHangs) {
  store_.HoldRecording();
  for (int i = 1; i <= 3; ++i) {
    Arrive(absl::StrCat(i));
    AwaitThat("the submission is answered",
              [&] { return owner_.answers() == i; });
  }
  EXPECT_EQ(store_.assigned(), 0);
  store_.ReleaseRecording();
  EXPECT_TRUE(assigned_.AwaitIdle(SystemClock()->Now() +
                                  absl::ToChronoNanoseconds(kPatience)));
  EXPECT_EQ(store_.assigned(), 3);
}

// Two threads may add their tasks in another order than the order of admission.
TEST_F(JournalWriterTest, WritesAGroupInTheOrderOfAdmission) {
  processor_.Hold();
  disk_.HoldSyncs();
  Arrive("1");
  ASSERT_TRUE(disk_.WaitForHeldSync());
  // The queue is full, so these tasks are parked.
  const auto second = Arrive("2");
  const auto third = Arrive("3");
  KeptNotice second_notice(second.get());
  KeptNotice third_notice(third.get());
  pool_.Resize({.capacity = 10}, {.tasks = 1});
  ASSERT_EQ(second_notice.sequence, 2);
  ASSERT_EQ(third_notice.sequence, 3);
  third_notice.Deliver();
  second_notice.Deliver();
  disk_.ReleaseSyncs();
  AwaitThat("all submissions are acknowledged",
            [&] { return owner_.answers() == 3; });
  std::vector<std::int64_t> sequences;
  ASSERT_TRUE(journal_
                  ->Replay([&](const JournalEntry& entry) {
                    sequences.push_back(entry.submission.sequence);
                  })
                  .ok());
  EXPECT_THAT(sequences, ElementsAre(1, 2, 3));
}

TEST_F(JournalWriterTest, ForgetsWhatIsStoredAlthoughNothingElseArrives) {
  Arrive("1");
  AwaitThat("the journal is empty", [&] {
    std::size_t entries = 0;
    EXPECT_TRUE(journal_->Replay([&](const JournalEntry&) { ++entries; }).ok());
    return owner_.answers() == 1 && entries == 0;
  });
}

TEST_F(JournalWriterTest, ForgetsTheEntryOfARestoredTask) {
  for (const std::int64_t sequence : {1, 2, 3}) {
    ReceivedSubmission submission;
    submission.sequence = sequence;
    submission.submission_id = absl::StrCat(sequence);
    submission.content_sha256 = Sha256(submission.content);
    const NewJournalEntry entry{"Submit", &submission};
    ASSERT_TRUE(journal_->Append({&entry, 1}).ok());
  }
  LiveMethodSettings settings;
  settings.Set(settings_);
  MethodContext method = method_;
  method.settings = &settings;
  std::vector<JournalEntry> entries;
  const auto read = [&] {
    entries.clear();
    return journal_->Replay(
        [&](JournalEntry entry) { entries.push_back(std::move(entry)); });
  };
  ASSERT_TRUE(read().ok());
  ASSERT_EQ(entries.size(), 3u);
  const auto task = MakeSubmissionTask(method, &writer_, std::move(entries[1]));
  processor_.Hold();
  task->Restore(&pool_);
  EXPECT_TRUE(recent_.FindAcknowledged(task->recent_id().key).has_value());
  processor_.Release();
  AwaitThat("an entry is forgotten", [&] {
    EXPECT_TRUE(read().ok());
    return entries.size() < 3;
  });
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].submission.sequence, 1);
  EXPECT_EQ(entries[1].submission.sequence, 3);
  EXPECT_TRUE(recent_.empty());
}

// A task must not be written after a task that was admitted later, even in a
// later group. Workers take tasks in the order of the commits, and a replay
// offers entries in the order of the journal.
TEST_F(JournalWriterTest, WritesNothingBeforeATaskThatWasAdmittedEarlier) {
  processor_.Hold();
  disk_.HoldSyncs();
  Arrive("1");
  ASSERT_TRUE(disk_.WaitForHeldSync());
  const auto second = Arrive("2");
  const auto third = Arrive("3");
  KeptNotice second_notice(second.get());
  KeptNotice third_notice(third.get());
  pool_.Resize({.capacity = 10}, {.tasks = 1});
  third_notice.Deliver();
  disk_.ReleaseSyncs();
  AwaitThat("the first is acknowledged", [&] { return owner_.answers() == 1; });
  // Give the writer time to acknowledge the third task by mistake.
  for (int i = 0; i < 10'000 && owner_.answers() == 1; ++i) {
    std::this_thread::yield();
  }
  EXPECT_EQ(owner_.answers(), 1);
  second_notice.Deliver();
  AwaitThat("all submissions are acknowledged",
            [&] { return owner_.answers() == 3; });
  std::vector<std::int64_t> sequences;
  ASSERT_TRUE(journal_
                  ->Replay([&](const JournalEntry& entry) {
                    sequences.push_back(entry.submission.sequence);
                  })
                  .ok());
  EXPECT_THAT(sequences, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace sluice

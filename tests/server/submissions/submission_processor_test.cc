#include "server/submissions/submission_processor.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "server/submissions/disk_reserve.h"
#include "server/submissions/journal_writer.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/discard_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/journal_fixture.h"

namespace sluice {
namespace {

class SubmissionProcessorTest : public testing::Test {
 protected:
  using TaskPtr = std::shared_ptr<SubmissionTask>;

  SubmissionProcessorTest() {
    settings_.Set(MakeMethodSettings({.pool = "pool"}, FairBy::kNone));
    method_.settings = &settings_;
  }

  // Returns a promised task without a pool, as if restored from a journal.
  TaskPtr MakeTask(SubmissionKind kind, const std::string& id,
                   std::string content, JournalEntry entry = {},
                   JournalWriter* writer = nullptr) {
    entry.submission.kind = kind;
    entry.submission.study_id = "study";
    entry.submission.submission_id = id;
    entry.submission.content = std::move(content);
    entry.submission.sequence = std::max<std::int64_t>(entry.position, 1);
    return MakeSubmissionTask(method_, writer, std::move(entry));
  }

  TaskPtr MakeResponse(const std::string& id) {
    v1::SubmitRequest request = MakeSubmit(id);
    request.set_supersedes_submission_id("superseded");
    request.set_reason_for_change("reason");
    return MakeTask(SubmissionKind::kQuestionnaireResponse, id,
                    request.SerializeAsString());
  }

  StoreState Process(std::initializer_list<TaskPtr> tasks) {
    std::vector<Task*> batch;
    for (const TaskPtr& task : tasks) batch.push_back(task.get());
    return processor_.Process(batch);
  }

  LiveMethodSettings settings_;
  MethodContext method_{};
  GatedStore store_;
  prometheus::Registry registry_;
  StageMetrics metrics_{"pool", &registry_};
  std::atomic<std::int64_t> sequence_{1000};
  NewNumbers numbers_{&sequence_};
  SubmissionProcessor processor_{
      &store_, {}, SystemClock(), &metrics_, &numbers_};
};

TEST_F(SubmissionProcessorTest, StoresNothingOfTheBatchBefore) {
  Process({MakeResponse("1"), MakeResponse("2")});
  v1::PatientRecord record;
  record.set_patient_id("patient");
  Process({MakeTask(SubmissionKind::kAppEvent, "3", ""),
           MakeTask(SubmissionKind::kPatientRecord, "4",
                    record.SerializeAsString())});
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 4u);
  EXPECT_NE(stored[1].questionnaire, "");
  EXPECT_EQ(stored[2].subject, "");
  EXPECT_EQ(stored[3].subject, "patient");
  for (const Submission& submission : {stored[2], stored[3]}) {
    EXPECT_EQ(submission.questionnaire, "");
    EXPECT_EQ(submission.authored_at, std::nullopt);
    EXPECT_EQ(submission.answers_json, "[]");
  }
}

TEST_F(SubmissionProcessorTest, OneThatDoesNotDecodeTakesNothingWithIt) {
  const TaskPtr bad =
      MakeTask(SubmissionKind::kQuestionnaireResponse, "1", "\xFF");
  EXPECT_EQ(Process({bad, MakeResponse("2")}), StoreState::kUp);
  EXPECT_EQ(bad->result, TaskResult::kFailed);
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].submission_id, "2");
}

TEST_F(SubmissionProcessorTest, OneThatAStepFailsForLeavesNothingToTheNext) {
  const ProcessingStep step = [](const Submission& submission) {
    if (submission.submission_id == "1") throw std::runtime_error("no");
  };
  SubmissionProcessor processor(&store_, step, SystemClock(), &metrics_,
                                &numbers_);
  const TaskPtr failing = MakeResponse("1");
  const TaskPtr event = MakeTask(SubmissionKind::kAppEvent, "2", "");
  std::vector<Task*> batch = {failing.get(), event.get()};
  EXPECT_EQ(processor.Process(batch), StoreState::kUp);
  EXPECT_EQ(failing->result, TaskResult::kFailed);
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].questionnaire, "");
  EXPECT_EQ(stored[0].content, "");
}

TEST_F(SubmissionProcessorTest, KeepsNoRoomOfWhatWasLarge) {
  if (mallinfo2().uordblks == 0) GTEST_SKIP() << "the allocator does not say";
  constexpr std::size_t kBytes = 1'000'000;
  DiscardStore store({});
  // This store does not keep columns, so submissions are decoded only if there
  // is a step.
  SubmissionProcessor processor(
      &store, [](const Submission&) {}, SystemClock(), &metrics_, &numbers_);
  const auto used = [] {
    return static_cast<std::int64_t>(mallinfo2().uordblks);
  };
  const std::int64_t before = used();
  for (int i = 0; i < 2; ++i) {
    std::vector<TaskPtr> tasks;
    std::vector<Task*> batch;
    for (int j = 0; j < 20; ++j) {
      v1::SubmitRequest request = MakeSubmit(absl::StrCat(j));
      request.set_reason_for_change(std::string(kBytes, 'r'));
      tasks.push_back(MakeTask(SubmissionKind::kQuestionnaireResponse,
                               absl::StrCat(j), request.SerializeAsString()));
      batch.push_back(tasks.back().get());
    }
    EXPECT_EQ(processor.Process(batch), StoreState::kUp);
  }
  EXPECT_LT(used() - before, std::int64_t{5 * kBytes});
}

TEST_F(SubmissionProcessorTest, ATaskToBeWorkedAgainHasItsContent) {
  const TaskPtr first = MakeResponse("1");
  const TaskPtr second = MakeResponse("2");
  const std::string content = first->submission().content;
  store_.FailWith(absl::UnavailableError("unavailable"));
  EXPECT_EQ(Process({first, second}), StoreState::kDown);
  EXPECT_TRUE(first->again);
  EXPECT_TRUE(second->again);
  EXPECT_EQ(first->submission().content, content);
  first->again = second->again = false;  // as the Gate does
  store_.FailWith(absl::OkStatus());
  EXPECT_EQ(Process({first, second}), StoreState::kUp);
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].content, content);
  EXPECT_NE(stored[0].questionnaire, "");
}

// --- Quarantined in batches ---

class QuarantineTest : public SubmissionProcessorTest {
 protected:
  // Returns the task of an adopted entry, whose sequence number another entry
  // in quarantine has.
  TaskPtr TaskWhoseNumberIsInQuarantine() {
    std::vector<JournalEntry> other = {MakeEntry(2)};
    EXPECT_TRUE(AppendGroup(*journal_, other).ok());
    EXPECT_TRUE(QuarantineOne(*journal_, 1, "reason", 1).ok());
    std::vector<JournalEntry> adopted = {MakeEntry(2, "adopted")};
    adopted[0].submission.submission_id = "adopted";
    EXPECT_TRUE(AppendGroup(*journal_, adopted).ok());
    return MakeTask(SubmissionKind::kAppEvent, "adopted", "",
                    std::move(adopted[0]), &writer_);
  }

  ~QuarantineTest() override {
    pool_.Join();
    writer_.Join();
  }

  // Returns tasks whose entries are in the journal.
  std::vector<TaskPtr> Append(int count) {
    std::vector<JournalEntry> entries;
    for (int i = 1; i <= count; ++i) entries.push_back(MakeEntry(i));
    EXPECT_TRUE(AppendGroup(*journal_, entries).ok());
    std::vector<TaskPtr> tasks;
    for (JournalEntry& entry : entries) {
      const std::string id = entry.submission.submission_id;
      v1::AppEvent event;
      event.set_event_id(id);
      tasks.push_back(MakeTask(SubmissionKind::kAppEvent, id,
                               event.SerializeAsString(), std::move(entry),
                               &writer_));
    }
    return tasks;
  }
  // Returns the number of commits of the journal meanwhile.
  int Work(const std::vector<TaskPtr>& tasks, const ProcessingStep& step) {
    std::vector<Task*> batch;
    for (const TaskPtr& task : tasks) batch.push_back(task.get());
    SubmissionProcessor processor(&store_, step, SystemClock(), &metrics_,
                                  &numbers_);
    const int before = disk_.log_syncs();
    processor.Process(batch);
    return disk_.log_syncs() - before;
  }
  // Stores other contents under the ids of the tasks of Append.
  void StoreOthers(int count) {
    for (int i = 1; i <= count; ++i) {
      const std::string id = absl::StrCat("id-", i);
      v1::AppEvent other;
      other.set_event_id("other");
      Process(
          {MakeTask(SubmissionKind::kAppEvent, id, other.SerializeAsString())});
    }
  }

  FaultyDisk disk_;
  const TempFolder folder_;
  const std::unique_ptr<Journal> journal_ =
      *Journal::Open(folder_ / "journal.db");
  WorkerPool pool_{
      {.methods = kAllMethods.size()}, &processor_, SystemClock(), &sequence_};
  JournalMetrics journal_metrics_{"pool", &registry_};
  DiskReserve reserve_{[] { return std::size_t{0}; }, /*minimum=*/0};
  NumberReserve number_reserve_;
  AssignedRecorder assigned_{&store_, SystemClock()};
  JournalWriter writer_{{.journal = journal_.get(),
                         .disk = &reserve_,
                         .numbers = &number_reserve_,
                         .new_numbers = &numbers_,
                         .assigned = &assigned_,
                         .pool = &pool_,
                         .clock = SystemClock(),
                         .metrics = &journal_metrics_}};
};

// The first submissions fail in the processing step, the next are rejected by
// the store, and the last is stored.
TEST_F(QuarantineTest, FailedSubmissionsOfABatchShareACommit) {
  const std::vector<TaskPtr> tasks = Append(9);
  for (int i = 5; i <= 8; ++i) {
    store_.FailFor(absl::StrCat("id-", i), absl::InvalidArgumentError(""));
  }
  const int commits = Work(tasks, [](const Submission& submission) {
    if (submission.sequence <= 4) throw std::runtime_error("no");
  });
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(journal_->quarantined(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(tasks[i]->result, TaskResult::kQuarantined);
  }
  EXPECT_EQ(tasks[8]->result, TaskResult::kStored);
  EXPECT_THAT(SequencesOf(*journal_), testing::ElementsAre(9));
}

TEST_F(QuarantineTest, ConflictsOfABatchThatTheStoreDoesNotKeepShareACommit) {
  const std::vector<TaskPtr> tasks = Append(50);
  StoreOthers(50);
  EXPECT_EQ(Work(tasks, {}), 1);
  for (const TaskPtr& task : tasks) {
    EXPECT_EQ(task->result, TaskResult::kQuarantined);
  }
  EXPECT_EQ(journal_->quarantined(), 50u);
}

TEST_F(QuarantineTest, ConflictsThatTheStoreKeepsNeedNoCommit) {
  store_.KeepConflicts();
  const std::vector<TaskPtr> tasks = Append(50);
  StoreOthers(50);
  EXPECT_EQ(Work(tasks, {}), 0);
  for (const TaskPtr& task : tasks) {
    EXPECT_EQ(task->result, TaskResult::kConflict);
  }
  EXPECT_EQ(journal_->quarantined(), 0u);
}

TEST_F(QuarantineTest, WhatTheJournalCannotQuarantineStaysInTheJournal) {
  const std::vector<TaskPtr> tasks = Append(2);
  const TimePoint begun = SystemClock()->Now();
  disk_.SetFull(true);
  Work(tasks, [](const Submission&) { throw std::runtime_error("no"); });
  disk_.SetFull(false);
  for (const TaskPtr& task : tasks) {
    EXPECT_TRUE(task->again);
    EXPECT_GE(task->again_at - begun, SubmissionProcessor::kQuarantineDelay);
  }
  EXPECT_EQ(journal_->quarantined(), 0u);
  EXPECT_THAT(SequencesOf(*journal_), testing::ElementsAre(1, 2));
  // The tasks have their contents again, so they can be quarantined later.
  for (const TaskPtr& task : tasks) task->again = false;
  Work(tasks, [](const Submission& submission) {
    if (!submission.content.empty()) throw std::runtime_error("no");
  });
  EXPECT_EQ(journal_->quarantined(), 2u);
}

// Another journal, which was adopted, may have had the same numbers.
TEST_F(QuarantineTest, ATaskWhoseNumberIsInQuarantineGetsAnother) {
  const auto fail = [](const Submission&) { throw std::runtime_error("no"); };
  const TaskPtr task = TaskWhoseNumberIsInQuarantine();
  Work({task}, fail);
  EXPECT_FALSE(task->again);
  EXPECT_EQ(task->result, TaskResult::kQuarantined);
  EXPECT_EQ(journal_->quarantined(), 2u);
  const auto found = journal_->FindQuarantined("study", {{"adopted"}});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->front()->submission.sequence, 1001);
  EXPECT_THAT(numbers_.Pending(), testing::IsEmpty());
}

TEST_F(QuarantineTest, ATaskThatCannotBeQuarantinedYetKeepsItsNewNumber) {
  const auto fail = [](const Submission&) { throw std::runtime_error("no"); };
  const TaskPtr task = TaskWhoseNumberIsInQuarantine();
  disk_.SetSyncsFail(true);
  for (int i = 0; i < 3; ++i) {
    Work({task}, fail);
    EXPECT_TRUE(task->again);
    task->again = false;
  }
  EXPECT_THAT(numbers_.Pending(), testing::ElementsAre(1001));
  disk_.SetSyncsFail(false);
  Work({task}, fail);
  EXPECT_EQ(task->result, TaskResult::kQuarantined);
  const auto found = journal_->FindQuarantined("study", {{"adopted"}});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->front()->submission.sequence, 1001);
  EXPECT_THAT(numbers_.Pending(), testing::IsEmpty());
  EXPECT_TRUE(assigned_.AwaitIdle(SystemClock()->Now() +
                                  absl::ToChronoNanoseconds(kPatience)));
  EXPECT_EQ(store_.assigned(), 1001);
}

// --- Sequence numbers that other submissions have ---

// Fails to save batches with new numbers while `fails` is set.
class FailingRenumbered final : public Store {
 public:
  explicit FailingRenumbered(GatedStore* store) : store_(store) {}

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    if (fails && std::ranges::any_of(batch, [](const Submission& submission) {
          return submission.reported_sequence != 0;
        })) {
      return absl::UnavailableError("unavailable");
    }
    return store_->SaveBatch(batch, saved);
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    return store_->FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<std::int64_t> LastSequence() override {
    return store_->LastSequence();
  }
  absl::Status Check() override { return store_->Check(); }

  bool fails = true;

 private:
  GatedStore* const store_;
};

TEST_F(QuarantineTest, TakenNumbersOfABatchAreReplacedInOneTransaction) {
  const std::vector<TaskPtr> tasks = Append(9);
  for (int i = 3; i <= 7; ++i) store_.TakeSequence(i);
  EXPECT_EQ(Work(tasks, {}), 0);
  EXPECT_THAT(store_.batches(), testing::ElementsAre(9, 5));
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 9u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(stored[i].reported_sequence, 0);
  }
  for (std::size_t i = 4; i < 9; ++i) {
    const auto number = static_cast<std::int64_t>(i - 4);
    EXPECT_EQ(stored[i].sequence, 1001 + number);
    EXPECT_EQ(stored[i].reported_sequence, 3 + number);
    EXPECT_EQ(stored[i].submission_id, absl::StrCat("id-", 3 + number));
    EXPECT_NE(stored[i].content, "");
  }
  for (const TaskPtr& task : tasks) {
    EXPECT_EQ(task->result, TaskResult::kStored);
  }
  EXPECT_THAT(numbers_.Pending(), testing::IsEmpty());
}

TEST_F(QuarantineTest, ANewNumberIsKeptUntilTheSubmissionIsStored) {
  const std::vector<TaskPtr> tasks = Append(3);
  store_.TakeSequence(2);
  FailingRenumbered failing(&store_);
  SubmissionProcessor processor(&failing, {}, SystemClock(), &metrics_,
                                &numbers_);
  std::vector<Task*> batch;
  for (const TaskPtr& task : tasks) batch.push_back(task.get());
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(processor.Process(batch), StoreState::kDown);
    for (const TaskPtr& task : tasks) {
      EXPECT_TRUE(task->again);
      task->again = false;
    }
    // An export must not report the new number as missing.
    EXPECT_THAT(numbers_.Pending(), testing::ElementsAre(1001));
  }
  failing.fails = false;
  EXPECT_EQ(processor.Process(batch), StoreState::kUp);
  EXPECT_EQ(sequence_, 1001);
  EXPECT_THAT(numbers_.Pending(), testing::IsEmpty());
  const std::vector<Submission> stored = store_.stored();
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[2].sequence, 1001);
  EXPECT_EQ(stored[2].reported_sequence, 2);
  EXPECT_EQ(stored[2].submission_id, "id-2");
  EXPECT_NE(stored[2].content, "");
}

TEST_F(QuarantineTest, AStoreThatTakesNoNumberQuarantines) {
  const std::vector<TaskPtr> tasks = Append(2);
  store_.TakeSequence(2);
  for (int i = 1001; i < 1100; ++i) store_.TakeSequence(i);
  EXPECT_EQ(Work(tasks, {}), 1);
  EXPECT_EQ(tasks[1]->result, TaskResult::kQuarantined);
  EXPECT_EQ(journal_->quarantined(), 1u);
  EXPECT_THAT(numbers_.Pending(), testing::IsEmpty());
}

// --- Errors that are not clear ---

class UnclearErrorTest : public SubmissionProcessorTest {
 protected:
  TaskPtr MakeOf(const std::string& subject, const std::string& id) {
    v1::SubmitRequest request = MakeSubmit(id);
    request.mutable_response()->mutable_subject()->set_reference(subject);
    return MakeTask(SubmissionKind::kQuestionnaireResponse, id,
                    request.SerializeAsString());
  }

  // Processes the tasks. Tasks that must be processed again may be passed
  // again.
  StoreState Work(const std::vector<TaskPtr>& tasks) {
    std::vector<Task*> batch;
    for (const TaskPtr& task : tasks) {
      task->again = false;  // the Gate does this
      batch.push_back(task.get());
    }
    return unclear_.Process(batch);
  }

  FakeClock clock_;
  SubmissionProcessor unclear_{&store_, {}, &clock_, &metrics_, &numbers_};
};

TEST_F(UnclearErrorTest, AShortRunOfThemFailsNothing) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kInternal, absl::StatusCode::kUnknown,
        absl::StatusCode::kOutOfRange, absl::StatusCode::kAlreadyExists}) {
    std::vector<TaskPtr> tasks;
    for (int i = 0; i < 20; ++i) {
      tasks.push_back(MakeOf(absl::StrCat("Patient/", i),
                             absl::StrCat(absl::StatusCodeToString(code), i)));
    }
    store_.FailWith(Unclear(absl::Status(code, "")));
    for (int round = 0; round < 10; ++round) {
      EXPECT_EQ(Work(tasks), StoreState::kDown);
      for (const TaskPtr& task : tasks) ASSERT_TRUE(task->again);
      clock_.Advance(std::chrono::seconds(5));
    }
    store_.FailWith(absl::OkStatus());
    EXPECT_EQ(Work(tasks), StoreState::kUp);
    for (const TaskPtr& task : tasks) {
      EXPECT_EQ(task->result, TaskResult::kStored);
    }
  }
}

TEST_F(UnclearErrorTest, ABatchForWhichAllFailIsNotTriedOneByOne) {
  std::vector<TaskPtr> tasks;
  for (int i = 0; i < 20; ++i) {
    tasks.push_back(MakeOf(absl::StrCat("Patient/", i), absl::StrCat(i)));
  }
  store_.FailWith(Unclear(absl::UnknownError("")));
  Work(tasks);
  EXPECT_EQ(store_.batches().size(), 1 + SubmissionProcessor::kUnclearInARow);
}

TEST_F(UnclearErrorTest, TheOnlyOneToFailIsGivenUpAfterATime) {
  store_.FailFor("bad", Unclear(absl::UnknownError("")));
  const TaskPtr bad = MakeOf("Patient/1", "bad");
  const TimePoint begun = clock_.Now();
  int tries = 0;
  do {
    const TaskPtr good = MakeOf("Patient/2", absl::StrCat("good ", tries));
    EXPECT_EQ(Work({bad, good}), StoreState::kUp);
    EXPECT_EQ(good->result, TaskResult::kStored);
    ++tries;
    ASSERT_LT(tries, 100);
    if (!bad->again) break;
    EXPECT_GT(bad->again_at, clock_.Now());
    EXPECT_LE(bad->again_at - clock_.Now(),
              SubmissionProcessor::kUnclearDelayMax);
    clock_.Advance(bad->again_at - clock_.Now());
  } while (true);
  EXPECT_EQ(bad->result, TaskResult::kFailed);
  EXPECT_GE(tries, SubmissionProcessor::kUnclearTriesMax);
  EXPECT_GE(clock_.Now() - begun, SubmissionProcessor::kUnclearTime);
}

TEST_F(UnclearErrorTest, LaterSubmissionsOfTheSubjectWait) {
  store_.FailFor("1", Unclear(absl::UnknownError("")));
  const TaskPtr first = MakeOf("Patient/1", "1");
  const TaskPtr other = MakeOf("Patient/2", "2");
  const TaskPtr second = MakeOf("Patient/1", "3");
  EXPECT_EQ(Work({first, other, second}), StoreState::kUp);
  EXPECT_FALSE(other->again);
  ASSERT_TRUE(first->again);
  ASSERT_TRUE(second->again);
  EXPECT_EQ(first->again_at, second->again_at);
  EXPECT_EQ(store_.stored().size(), 1u);
}

TEST_F(UnclearErrorTest, ACodeThatBlamesTheSubmissionFailsItAtOnce) {
  store_.FailFor("1", absl::InvalidArgumentError(""));
  const TaskPtr bad = MakeOf("Patient/1", "1");
  const TaskPtr good = MakeOf("Patient/2", "2");
  EXPECT_EQ(Work({bad, good}), StoreState::kUp);
  EXPECT_EQ(bad->result, TaskResult::kFailed);
  EXPECT_EQ(good->result, TaskResult::kStored);
}

// --- Batches with large rows ---

class LargeRowsTest : public UnclearErrorTest {
 protected:
  // Returns a task whose rows have a little more than half of kRowsBytesMax, so
  // that each part of a batch has two such tasks.
  TaskPtr MakeLarge(const std::string& subject, const std::string& id) {
    // Each row repeats the link id, in which JSON escapes each byte as six.
    constexpr std::size_t kLinkIdBytes = 1024;
    constexpr std::size_t kAnswers =
        SubmissionProcessor::kRowsBytesMax / 2 / (6 * kLinkIdBytes);
    v1::SubmitRequest request = MakeSubmit(id);
    request.mutable_response()->mutable_subject()->set_reference(subject);
    auto* item = request.mutable_response()->add_item();
    item->set_link_id(std::string(kLinkIdBytes, '\x01'));
    for (std::size_t i = 0; i < kAnswers; ++i) {
      item->add_answer()->set_boolean(true);
    }
    return MakeTask(SubmissionKind::kQuestionnaireResponse, id,
                    request.SerializeAsString());
  }

  std::vector<TaskPtr> MakeTasks(int count, const std::string& subject) {
    std::vector<TaskPtr> tasks;
    for (int i = 1; i <= count; ++i) {
      tasks.push_back(MakeLarge(subject, absl::StrCat(i)));
    }
    return tasks;
  }
};

TEST_F(LargeRowsTest, AreSavedInParts) {
  const std::vector<TaskPtr> tasks = MakeTasks(5, "Patient/1");
  EXPECT_EQ(Work(tasks), StoreState::kUp);
  EXPECT_THAT(store_.batches(), testing::ElementsAre(2, 2, 1));
  for (const TaskPtr& task : tasks) {
    EXPECT_EQ(task->result, TaskResult::kStored);
  }
}

TEST_F(LargeRowsTest, AreNotTriedAfterThePartThatFoundTheStoreUnavailable) {
  store_.FailFor("3", absl::UnavailableError(""));
  const std::vector<TaskPtr> tasks = MakeTasks(6, "Patient/1");
  EXPECT_EQ(Work(tasks), StoreState::kDown);
  EXPECT_THAT(store_.batches(), testing::ElementsAre(2, 2));
  EXPECT_EQ(store_.stored().size(), 2u);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    EXPECT_EQ(tasks[i]->again, i >= 2) << i;
  }
  // The tasks have their contents again.
  store_.FailFor("3", absl::OkStatus());
  EXPECT_EQ(Work({tasks[2], tasks[3], tasks[4], tasks[5]}), StoreState::kUp);
  EXPECT_EQ(store_.stored().size(), 6u);
}

TEST_F(LargeRowsTest, KeepTheOrderOfASubject) {
  store_.FailFor("1", Unclear(absl::UnknownError("")));
  const TaskPtr first = MakeLarge("Patient/1", "1");
  const TaskPtr second = MakeLarge("Patient/2", "2");
  // The second part.
  const TaskPtr third = MakeLarge("Patient/1", "3");
  const TaskPtr fourth = MakeLarge("Patient/3", "4");
  EXPECT_EQ(Work({first, second, third, fourth}), StoreState::kUp);
  ASSERT_TRUE(first->again);
  ASSERT_TRUE(third->again);
  EXPECT_EQ(first->again_at, third->again_at);
  EXPECT_EQ(second->result, TaskResult::kStored);
  EXPECT_EQ(fourth->result, TaskResult::kStored);
  EXPECT_EQ(store_.stored().size(), 2u);
}

}  // namespace
}  // namespace sluice

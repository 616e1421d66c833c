#include "stores/journal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

JournalEntry MakeEntry(std::int64_t sequence, std::string content = "content") {
  return {.method = "ImportPatients",
          .submission = MakeSubmission(sequence, absl::StrCat("id-", sequence),
                                       std::move(content))};
}

void ExpectTheSame(const ReceivedSubmission& a, const ReceivedSubmission& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.study_id, b.study_id);
  EXPECT_EQ(a.submission_id, b.submission_id);
  EXPECT_EQ(a.site_id, b.site_id);
  EXPECT_EQ(a.content, b.content);
  EXPECT_EQ(a.content_sha256, b.content_sha256);
  EXPECT_EQ(a.received_at, b.received_at);
  EXPECT_EQ(a.sent_at, b.sent_at);
}

std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return (std::ostringstream() << file.rdbuf()).str();
}

class JournalTest : public testing::Test {
 protected:
  void Open() {
    auto journal = Journal::Open(path_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
  }
  void Reopen() {
    journal_.reset();
    Open();
  }

  absl::Status Append(std::vector<JournalEntry>& entries) {
    std::vector<NewJournalEntry> added;
    added.reserve(entries.size());
    for (const JournalEntry& entry : entries) {
      added.push_back({entry.method, &entry.submission});
    }
    const absl::StatusOr<std::int64_t> first = journal_->Append(added);
    std::int64_t position = first.value_or(0);
    for (JournalEntry& entry : entries) entry.position = position++;
    return first.status();
  }
  // Appends entries with these sequences, and returns their positions.
  std::vector<std::int64_t> MustAppend(std::int64_t first, std::int64_t last,
                                       const std::string& content = "x") {
    std::vector<JournalEntry> entries;
    for (std::int64_t sequence = first; sequence <= last; ++sequence) {
      entries.push_back(MakeEntry(sequence, content));
    }
    const absl::Status status = Append(entries);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::int64_t> positions;
    positions.reserve(entries.size());
    for (const JournalEntry& e : entries) positions.push_back(e.position);
    return positions;
  }
  absl::Status TryAppend(std::int64_t sequence) {
    std::vector<JournalEntry> entries = {MakeEntry(sequence)};
    return Append(entries);
  }

  static std::vector<JournalEntry> Replayed(Journal& journal) {
    std::vector<JournalEntry> entries;
    const absl::Status status = journal.Replay(
        [&](JournalEntry entry) { entries.push_back(std::move(entry)); });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &JournalEntry::position));
    return entries;
  }
  std::vector<std::int64_t> Sequences() const {
    std::vector<std::int64_t> sequences;
    for (const JournalEntry& entry : Replayed(*journal_)) {
      sequences.push_back(entry.submission.sequence);
    }
    return sequences;
  }
  std::vector<std::int64_t> QuarantinedSequences() const {
    std::vector<std::int64_t> sequences;
    const auto all = journal_->ListQuarantine(0, 1000, false);
    EXPECT_TRUE(all.ok()) << all.status();
    for (const Quarantined& one : *all) {
      sequences.push_back(one.submission.sequence);
    }
    return sequences;
  }
  Shell::Rows Sql(const std::string& sql) { return Shell(path_).Run(sql); }

  // Copies the files as a kill would leave them, and opens the copy.
  std::unique_ptr<Journal> OpenCopy(std::string_view folder) {
    std::filesystem::create_directories(folder_ / folder);
    const std::string copy = absl::StrCat(folder_ / folder, "/journal.db");
    for (const char* suffix : {"", "-wal"}) {
      std::ofstream(copy + suffix, std::ios::binary)
          << FileBytes(path_ + suffix);
    }
    auto journal = Journal::Open(copy);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "data/journal.db";
  std::unique_ptr<Journal> journal_;
};

// What is appended.

TEST_F(JournalTest, AnEntryComesBackByteForByte) {
  Open();
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  std::vector<JournalEntry> entries = {
      MakeEntry(41, bytes), MakeEntry(7, ""),
      MakeEntry(42, std::string(std::size_t{1} << 21, 'x'))};
  entries[0].method = "SubmitStream";
  ReceivedSubmission& first = entries[0].submission;
  first.kind = SubmissionKind::kAppEvent;
  first.study_id = std::string("stu\0dy\xff", 7);
  first.site_id = "site";
  first.received_at = absl::FromUnixMicros(1709320532000001);
  first.sent_at = absl::FromUnixMicros(-1);
  entries[1].method = "";
  ReceivedSubmission& second = entries[1].submission;
  second.kind = SubmissionKind::kPatientRecord;
  second.study_id = second.submission_id = "";
  ASSERT_TRUE(Append(entries).ok());

  for (int round = 0; round < 2; ++round) {
    const std::vector<JournalEntry> replayed = Replayed(*journal_);
    ASSERT_EQ(replayed.size(), entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      EXPECT_EQ(replayed[i].position, entries[i].position);
      EXPECT_EQ(replayed[i].method, entries[i].method);
      ExpectTheSame(replayed[i].submission, entries[i].submission);
    }
    Reopen();
  }
}

TEST_F(JournalTest, PositionsGoUpFromOneWithoutGaps) {
  Open();
  EXPECT_THAT(MustAppend(10, 12), ElementsAre(1, 2, 3));
  EXPECT_THAT(MustAppend(5, 6), ElementsAre(4, 5));
  EXPECT_THAT(Sequences(), ElementsAre(10, 11, 12, 5, 6));
}

TEST_F(JournalTest, NothingToAppendIsNoCommit) {
  Open();
  EXPECT_TRUE(journal_->Append({}).ok());
  EXPECT_THAT(Replayed(*journal_), IsEmpty());
}

TEST_F(JournalTest, PositionsGoOnAfterReopening) {
  Open();
  MustAppend(1, 3);
  Reopen();
  EXPECT_THAT(MustAppend(4, 4), ElementsAre(4));
}

TEST_F(JournalTest, PositionsOfAForgottenJournalAreNotUsedAgain) {
  Open();
  for (const std::int64_t position : MustAppend(1, 5)) {
    journal_->MarkDone(position);
  }
  ASSERT_TRUE(journal_->Forget().ok());
  Reopen();
  EXPECT_THAT(Replayed(*journal_), IsEmpty());
  EXPECT_THAT(MustAppend(6, 6), ElementsAre(6));
  ASSERT_TRUE(journal_->Quarantine(6, "reason", 1).ok());
  Reopen();
  EXPECT_THAT(MustAppend(7, 7), ElementsAre(7));
}

TEST_F(JournalTest, LastSequenceIsTheHighestOfAll) {
  Open();
  EXPECT_EQ(*journal_->LastSequence(), 0);
  MustAppend(7, 9);
  MustAppend(3, 3);
  EXPECT_EQ(*journal_->LastSequence(), 9);
  ASSERT_TRUE(journal_->Quarantine(3, "reason", 1).ok());
  Reopen();
  EXPECT_EQ(*journal_->LastSequence(), 9);
}

TEST_F(JournalTest, ReplayHoldsNoLockAndEndsWhereTheJournalDid) {
  Open();
  MustAppend(1, 600);
  std::int64_t seen = 0;
  ASSERT_TRUE(journal_
                  ->Replay([&](const JournalEntry& entry) {
                    EXPECT_EQ(entry.position, ++seen);
                    journal_->MarkDone(entry.position);
                    if (seen % 100 == 0) MustAppend(1000 + seen, 1000 + seen);
                  })
                  .ok());
  EXPECT_EQ(seen, 600);
}

// What is forgotten.

TEST_F(JournalTest, WhatIsDoneIsForgottenByTheNextAppend) {
  Open();
  MustAppend(1, 5);
  journal_->MarkDone(2);
  journal_->MarkDone(4);
  EXPECT_EQ(Sql("SELECT count(*) FROM entries"), (Shell::Rows{{"5"}}));
  MustAppend(6, 6);
  EXPECT_THAT(Sequences(), ElementsAre(1, 3, 5, 6));
}

TEST_F(JournalTest, ForgetForgetsAllThatIsDone) {
  Open();
  for (const std::int64_t position : MustAppend(1, 5000)) {
    if (position % 2 == 0) journal_->MarkDone(position);
  }
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_EQ(Sql("SELECT count(*), sum(position % 2) FROM entries"),
            (Shell::Rows{{"2500", "2500"}}));
}

TEST_F(JournalTest, AnAppendForgetsALimitedNumber) {
  Open();
  for (const std::int64_t position : MustAppend(1, 5000)) {
    journal_->MarkDone(position);
  }
  MustAppend(5001, 5001);
  const Shell::Rows left = Sql("SELECT count(*) FROM entries");
  EXPECT_EQ(left, (Shell::Rows{{absl::StrCat(5001 - 1024)}}));
  for (std::int64_t sequence = 5002; sequence < 5010; ++sequence) {
    MustAppend(sequence, sequence);
  }
  EXPECT_EQ(Sql("SELECT count(*) FROM entries"), (Shell::Rows{{"9"}}));
}

TEST_F(JournalTest, APositionThatIsNotThereYetIsNotForgottenWhenItComes) {
  Open();
  for (const std::int64_t position : {-1, 0, 1, 2}) {
    journal_->MarkDone(position);
  }
  MustAppend(1, 2);
  MustAppend(3, 3);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3));
}

TEST_F(JournalTest, WhatWasMarkedButNotForgottenIsReplayedAfterAKill) {
  Open();
  MustAppend(1, 3);
  journal_->MarkDone(1);
  journal_->MarkDone(3);
  EXPECT_EQ(Replayed(*OpenCopy("copy")).size(), 3u);
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_EQ(Replayed(*OpenCopy("copy 2")).size(), 1u);
}

// Quarantine.

TEST_F(JournalTest, QuarantineKeepsTheEntryAndTellsWhy) {
  Open();
  std::vector<JournalEntry> entries = {MakeEntry(5, "five"), MakeEntry(6, "")};
  entries[0].submission.sent_at = absl::FromUnixMicros(17);
  entries[0].submission.site_id = "site";
  ASSERT_TRUE(Append(entries).ok());
  const absl::Time before = absl::Now();
  ASSERT_TRUE(journal_->Quarantine(1, "threw", 3).ok());
  EXPECT_EQ(journal_->quarantined(), 1u);
  EXPECT_THAT(Sequences(), ElementsAre(6));
  Reopen();
  EXPECT_EQ(journal_->quarantined(), 1u);
  EXPECT_THAT(Sequences(), ElementsAre(6));
  const auto all = journal_->ListQuarantine(0, 10, true);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 1u);
  const Quarantined& one = all->at(0);
  EXPECT_EQ(one.method, "ImportPatients");
  EXPECT_EQ(one.reason, "threw");
  EXPECT_EQ(one.tries, 3);
  EXPECT_GE(one.quarantined_at, before - absl::Microseconds(1));
  EXPECT_LE(one.quarantined_at, absl::Now());
  ExpectTheSame(one.submission, entries[0].submission);
}

TEST_F(JournalTest, QuarantineIsListedInPagesBySequence) {
  Open();
  for (const std::int64_t sequence : {30, 10, 20}) {
    const std::int64_t position = MustAppend(sequence, sequence, "c")[0];
    ASSERT_TRUE(journal_->Quarantine(position, "reason", 1).ok());
  }
  EXPECT_THAT(QuarantinedSequences(), ElementsAre(10, 20, 30));
  const auto page = journal_->ListQuarantine(10, 1, false);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->size(), 1u);
  EXPECT_EQ(page->at(0).submission.sequence, 20);
  EXPECT_EQ(page->at(0).submission.content, "");
  EXPECT_EQ(page->at(0).submission.content_sha256, FakeDigest("c"));
  EXPECT_THAT(*journal_->ListQuarantine(30, 5, false), IsEmpty());
}

TEST_F(JournalTest, QuarantineIsFoundById) {
  Open();
  EXPECT_EQ(journal_->FindQuarantined("study", {"id-1"})->at(0), std::nullopt);
  MustAppend(1, 3, "c");
  ASSERT_TRUE(journal_->Quarantine(2, "reason", 1).ok());
  const auto found =
      journal_->FindQuarantined("study", {"id-1", "id-2", "id-2"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->at(0), std::nullopt);
  EXPECT_EQ(found->at(1)->submission.sequence, 2);
  EXPECT_EQ(found->at(1)->submission.content, "");
  EXPECT_EQ(found->at(2)->submission.sequence, 2);
  EXPECT_EQ(journal_->FindQuarantined("other", {"id-2"})->at(0), std::nullopt);
}

TEST_F(JournalTest, WhatIsReleasedIsAtTheEndOfTheJournal) {
  Open();
  MustAppend(1, 3, "c");
  ASSERT_TRUE(journal_->Quarantine(1, "reason", 1).ok());
  const auto released = journal_->Release(1);
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->position, 4);
  EXPECT_EQ(released->method, "ImportPatients");
  ExpectTheSame(released->submission, MakeEntry(1, "c").submission);
  EXPECT_EQ(journal_->quarantined(), 0u);
  EXPECT_THAT(MustAppend(9, 9), ElementsAre(5));
  Reopen();
  EXPECT_THAT(Sequences(), ElementsAre(2, 3, 1, 9));
  EXPECT_EQ(journal_->quarantined(), 0u);
  EXPECT_EQ(journal_->Release(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MustAppend(10, 10), ElementsAre(6));
}

TEST_F(JournalTest, ReleasedAndDoneItIsForgotten) {
  Open();
  MustAppend(1, 1);
  ASSERT_TRUE(journal_->Quarantine(1, "reason", 1).ok());
  journal_->MarkDone(journal_->Release(1)->position);
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_THAT(Replayed(*journal_), IsEmpty());
}

TEST_F(JournalTest, TheSameContentIsInQuarantineOnce) {
  Open();
  std::vector<JournalEntry> entries = {
      MakeEntry(1, "same"), MakeEntry(2, "same"), MakeEntry(3, "other")};
  for (JournalEntry& e : entries) e.submission.submission_id = "id";
  ASSERT_TRUE(Append(entries).ok());
  ASSERT_TRUE(journal_->Quarantine(1, "reason", 1).ok());
  EXPECT_TRUE(journal_->Quarantine(2, "reason", 1).ok());
  EXPECT_TRUE(journal_->Quarantine(3, "reason", 1).ok());
  EXPECT_EQ(journal_->quarantined(), 2u);
  EXPECT_THAT(QuarantinedSequences(), ElementsAre(1, 3));
  EXPECT_THAT(Sequences(), IsEmpty());
}

TEST_F(JournalTest, WhatIsNotThereCannotBeQuarantined) {
  Open();
  MustAppend(1, 1);
  EXPECT_EQ(journal_->Quarantine(2, "reason", 1).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(journal_->quarantined(), 0u);
  EXPECT_TRUE(journal_->Check().ok());
}

TEST_F(JournalTest, AFullQuarantineLeavesTheEntryWhereItIs) {
  Open();
  MustAppend(1, 1);
  journal_.reset();
  Sql(absl::StrCat(
      "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n"
      " WHERE i < ",
      Journal::kQuarantineMax + 9,
      ") INSERT INTO quarantine SELECT i, '', 'app_event', '', i, '', 0, NULL,"
      " zeroblob(32), '', 1, 0, x'' FROM n"));
  Open();
  EXPECT_EQ(journal_->quarantined(), Journal::kQuarantineMax);
  EXPECT_EQ(journal_->Quarantine(1, "reason", 1).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Sequences(), ElementsAre(1));
  ASSERT_TRUE(journal_->Release(10).ok());
  EXPECT_TRUE(journal_->Quarantine(1, "reason", 1).ok());
}

// Opening.

TEST_F(JournalTest, OneProcessHasTheFile) {
  Open();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    _exit(Journal::Open(path_).status().code() ==
                  absl::StatusCode::kFailedPrecondition
              ? 0
              : 1);
  }
  int exit_status = -1;
  ASSERT_EQ(waitpid(child, &exit_status, 0), child);
  EXPECT_EQ(exit_status, 0);
  MustAppend(1, 1);
  Reopen();
  EXPECT_THAT(Sequences(), ElementsAre(1));
}

TEST_F(JournalTest, ANewerVersionIsRefusedAndLeftAsItWas) {
  Open();
  journal_.reset();
  Sql("PRAGMA user_version = 2");
  const std::string before = FileBytes(path_);
  const absl::Status status = Journal::Open(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer version"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(FileBytes(path_), before);
}

TEST_F(JournalTest, AStoresFileIsRefusedAndLeftAsItWas) {
  std::filesystem::create_directories(folder_ / "data");
  Sql("PRAGMA application_id = 1399616873; PRAGMA user_version = 1;"
      "CREATE TABLE submissions (x)");
  const std::string before = FileBytes(path_);
  const absl::Status status = Journal::Open(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another application"));
  EXPECT_EQ(FileBytes(path_), before);
}

TEST_F(JournalTest, AFileThatIsNoDatabaseIsDataLoss) {
  std::filesystem::create_directories(folder_ / "data");
  const std::string text(5000, 'x');
  std::ofstream(path_) << text;
  EXPECT_EQ(Journal::Open(path_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(FileBytes(path_), text);
}

TEST_F(JournalTest, ADirectoryThatCannotBeMadeIsUnavailable) {
  std::ofstream(folder_ / "data") << "a file in its place";
  EXPECT_EQ(Journal::Open(path_).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(JournalTest, AMalformedEntryIsDataLossAndTellsNothingOfIt) {
  Open();
  MustAppend(1, 1, "canary");
  Sql("UPDATE entries SET kind = 'canary'");
  const absl::Status status =
      journal_->Replay([](const JournalEntry&) { ADD_FAILURE(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
}

// A kill, and a log whose end never reached the disk.

[[noreturn]] void AppendUntilKilled(const std::string& path, int acks) {
  const auto journal = Journal::Open(path);
  if (!journal.ok()) _exit(1);
  for (std::int64_t sequence = 1;; ++sequence) {
    const JournalEntry entry = MakeEntry(sequence);
    const NewJournalEntry entries[] = {{entry.method, &entry.submission}};
    if (!(*journal)->Append(entries).ok()) _exit(1);
    if (write(acks, &sequence, sizeof(sequence)) != sizeof(sequence)) _exit(1);
  }
}

TEST_F(JournalTest, WhatWasAppendedSurvivesAKill) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) AppendUntilKilled(path_, pipe_ends[1]);
  close(pipe_ends[1]);
  std::int64_t acknowledged = 0;
  while (read(pipe_ends[0], &acknowledged, sizeof(acknowledged)) ==
         sizeof(acknowledged)) {
    if (acknowledged == 50) kill(child, SIGKILL);
  }
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  ASSERT_GE(acknowledged, 50);
  Open();
  const std::vector<std::int64_t> sequences = Sequences();
  ASSERT_GE(sequences.size(), static_cast<std::size_t>(acknowledged));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    EXPECT_EQ(sequences[i], static_cast<std::int64_t>(i) + 1);
  }
}

// Faults.

class JournalFaultTest : public JournalTest {
 protected:
  ~JournalFaultTest() override { journal_.reset(); }

  FaultyDisk disk_;
};

TEST_F(JournalFaultTest, AnAppendIsSyncedOnce) {
  Open();
  MustAppend(1, 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    const int before = disk_.log_syncs();
    MustAppend(2 + i * 100, 100 + i * 100);
    EXPECT_EQ(disk_.log_syncs(), before + 1);
  }
}

TEST_F(JournalFaultTest, ForgettingNothingIsNoCommit) {
  Open();
  MustAppend(1, 1);
  const int before = disk_.log_syncs();
  EXPECT_TRUE(journal_->Forget().ok());
  EXPECT_EQ(disk_.log_syncs(), before);
}

TEST_F(JournalFaultTest, AFullDiskTakesNothingUntilThereIsRoom) {
  Open();
  MustAppend(1, 2);
  disk_.SetFull(true);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(TryAppend(3).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(journal_->Check().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  EXPECT_EQ(Replayed(*OpenCopy("copy")).size(), 2u);
  disk_.SetFull(false);
  EXPECT_TRUE(journal_->Check().ok());
  EXPECT_THAT(MustAppend(4, 4), ElementsAre(3));
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 4));
}

TEST_F(JournalFaultTest, ADiskFullInTheMiddleOfAnAppendTakesNothing) {
  Open();
  disk_.SetFull(true);
  // More than SQLite keeps in memory: it writes before the commit.
  std::vector<JournalEntry> entries;
  for (std::int64_t sequence = 1; sequence <= 100; ++sequence) {
    entries.push_back(MakeEntry(sequence, std::string(100'000, 'x')));
  }
  EXPECT_EQ(Append(entries).code(), absl::StatusCode::kUnavailable);
  disk_.SetFull(false);
  EXPECT_THAT(Replayed(*journal_), IsEmpty());
  EXPECT_TRUE(Append(entries).ok());
  EXPECT_EQ(entries.back().position, 100);
}

TEST_F(JournalFaultTest, WhatASyncFailedForIsNotThereEvenAfterAKill) {
  Open();
  MustAppend(1, 2);
  disk_.SetSyncsFail(true);
  EXPECT_EQ(TryAppend(3).code(), absl::StatusCode::kUnavailable);
  disk_.SetSyncsFail(false);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  EXPECT_EQ(Replayed(*OpenCopy("copy")).size(), 2u);
  EXPECT_THAT(MustAppend(4, 4), ElementsAre(3));
  Reopen();
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 4));
}

TEST_F(JournalFaultTest, CheckFailsUntilItCouldWrite) {
  Open();
  disk_.SetSyncsFail(true);
  EXPECT_FALSE(TryAppend(1).ok());
  EXPECT_EQ(journal_->Check().code(), absl::StatusCode::kUnavailable);
  disk_.SetSyncsFail(false);
  EXPECT_TRUE(journal_->Check().ok());
  EXPECT_THAT(Replayed(*journal_), IsEmpty());
}

TEST_F(JournalFaultTest, ClosedAfterAFailedSyncItHasWhatItHad) {
  Open();
  MustAppend(1, 2);
  disk_.SetSyncsFail(true);
  EXPECT_FALSE(TryAppend(3).ok());
  journal_.reset();
  disk_.SetSyncsFail(false);
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
}

TEST_F(JournalFaultTest, AFailedCommitForgetsQuarantinesAndReleasesNothing) {
  Open();
  MustAppend(1, 4);
  ASSERT_TRUE(journal_->Quarantine(1, "reason", 1).ok());
  journal_->MarkDone(2);
  disk_.SetSyncsFail(true);
  EXPECT_EQ(journal_->Forget().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(journal_->Quarantine(3, "reason", 1).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(journal_->Release(1).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(journal_->quarantined(), 1u);
  EXPECT_THAT(Sequences(), ElementsAre(2, 3, 4));
  EXPECT_EQ(journal_->Check().code(), absl::StatusCode::kUnavailable);
  disk_.SetSyncsFail(false);
  EXPECT_THAT(MustAppend(5, 5), ElementsAre(5));
  EXPECT_THAT(Sequences(), ElementsAre(3, 4, 5));
  EXPECT_THAT(QuarantinedSequences(), ElementsAre(1));
}

TEST_F(JournalFaultTest, CheckAndMarkingDoNotWaitForACommit) {
  Open();
  MustAppend(1, 1);
  disk_.HoldSyncs();
  std::thread writer([this] { EXPECT_TRUE(TryAppend(2).ok()); });
  ASSERT_TRUE(disk_.WaitForHeldSync());
  EXPECT_TRUE(journal_->Check().ok());
  journal_->MarkDone(1);
  EXPECT_EQ(journal_->quarantined(), 0u);
  EXPECT_EQ(journal_->FindQuarantined("study", {"id-1"})->size(), 1u);
  disk_.ReleaseSyncs();
  writer.join();
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_THAT(Sequences(), ElementsAre(2));
}

// Where syncs take no time.

TEST_F(JournalFaultTest, AnAppendForgetsALimitedNumberOfBytes) {
  Open();
  const std::string large(std::size_t{6} << 20, 'x');
  for (const std::int64_t position : MustAppend(1, 6, large)) {
    journal_->MarkDone(position);
  }
  MustAppend(7, 7);
  EXPECT_THAT(Sequences(), ElementsAre(4, 5, 6, 7));
}

TEST_F(JournalFaultTest, ANearlyEmptyFileGivesItsRoomBack) {
  Open();
  const std::string large(std::size_t{1} << 20, 'x');
  for (const std::int64_t p : MustAppend(1, 80, large)) journal_->MarkDone(p);
  MustAppend(81, 81, "left");
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_THAT(Sequences(), ElementsAre(81));
  Reopen();
  EXPECT_LT(std::filesystem::file_size(path_), std::size_t{1} << 20);
  EXPECT_THAT(Sequences(), ElementsAre(81));
  EXPECT_THAT(MustAppend(82, 82), ElementsAre(82));
  EXPECT_EQ(Sql("PRAGMA application_id; PRAGMA user_version"),
            (Shell::Rows{{absl::StrCat(kJournalApplicationId)}, {"1"}}));
}

TEST_F(JournalFaultTest, ForgottenRoomIsUsedAgain) {
  Open();
  const std::string content(1000, 'x');
  const auto fill = [&] {
    for (int i = 0; i < 20; ++i) {
      for (const std::int64_t p : MustAppend(1, 250, content)) {
        journal_->MarkDone(p);
      }
    }
  };
  const auto pages = [&] { return Sql("PRAGMA page_count"); };
  fill();
  ASSERT_TRUE(journal_->Forget().ok());
  const Shell::Rows first = pages();
  for (int round = 0; round < 3; ++round) {
    fill();
    ASSERT_TRUE(journal_->Forget().ok());
  }
  EXPECT_EQ(pages(), first);
}

TEST_F(JournalFaultTest, ATornLogReplaysWhatIsBeforeTheTear) {
  Open();
  std::vector<std::size_t> log_bytes;
  for (std::int64_t i = 0; i < 12; ++i) {
    MustAppend(10 * i + 1, 10 * i + 10, std::string(700, 'x'));
    log_bytes.push_back(std::filesystem::file_size(path_ + "-wal"));
  }
  const std::string log = FileBytes(path_ + "-wal");
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::size_t start = log_bytes[3];
    const std::size_t at = start + random() % (log.size() - start);
    std::string torn = log;
    if (round % 2 == 0) {
      torn.resize(at);
    } else {
      torn[at] = static_cast<char>(torn[at] ^ (1 << random() % 8));
    }
    std::ofstream(path_ + "-wal", std::ios::binary) << torn;
    const auto copy = OpenCopy(absl::StrCat("copy ", round));
    std::ofstream(path_ + "-wal", std::ios::binary) << log;
    // The commits that lie before the tear, and no other.
    const auto whole = std::ranges::count_if(
        log_bytes, [&](std::size_t bytes) { return bytes <= at; });
    const std::vector<JournalEntry> replayed = Replayed(*copy);
    ASSERT_EQ(replayed.size(), static_cast<std::size_t>(10 * whole));
    for (std::size_t i = 0; i < replayed.size(); ++i) {
      ASSERT_EQ(replayed[i].submission.sequence, i + 1);
      ASSERT_EQ(replayed[i].submission.content, std::string(700, 'x'));
    }
  }
}

TEST_F(JournalFaultTest, ThreadsAppendForgetAndQuarantineAtTheSameTime) {
  Open();
  constexpr std::int64_t kThreads = 4;
  constexpr std::int64_t kRounds = 40;
  std::atomic<int> kept{0};
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t round = 0; round < kRounds; ++round) {
        std::vector<JournalEntry> entries;
        for (std::int64_t i = 1; i <= 4; ++i) {
          entries.push_back(MakeEntry((t * kRounds + round) * 4 + i));
        }
        ASSERT_TRUE(Append(entries).ok());
        journal_->MarkDone(entries[0].position);
        ASSERT_TRUE(journal_->Quarantine(entries[1].position, "r", 1).ok());
        kept += 2;
        if (round % 8 == 0) {
          ASSERT_TRUE(journal_->Forget().ok());
        }
        if (round % 8 == 4) {
          ASSERT_TRUE(journal_->Release(entries[1].submission.sequence).ok());
          ++kept;
        }
        ASSERT_TRUE(journal_->Check().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_EQ(Replayed(*journal_).size(), static_cast<std::size_t>(kept));
  EXPECT_EQ(journal_->quarantined(),
            static_cast<std::size_t>(kThreads * kRounds * 7 / 8));
}

// A power cut: whatever has not been synced may be there or not.

TEST_F(JournalFaultTest, APowerCutLosesNothingThatWasAppended) {
  disk_.TrackSyncs();
  Open();
  std::mt19937 random(3);
  std::set<std::int64_t> there;      // appended, and not done
  std::set<std::int64_t> undecided;  // done, or failed since the last success
  std::map<std::int64_t, std::int64_t> positions;
  std::int64_t sequence = 0;
  for (int step = 0; step < 300; ++step) {
    const bool fails = random() % 5 == 0;
    disk_.SetSyncsFail(fails);
    std::vector<JournalEntry> entries;
    for (std::size_t i = random() % 12 + 1; i > 0; --i) {
      ++sequence;
      entries.push_back(MakeEntry(sequence, absl::StrCat("c", sequence)));
    }
    const bool appended = Append(entries).ok();
    EXPECT_EQ(appended, !fails);
    disk_.SetSyncsFail(false);
    // What was done before is forgotten, what failed before is gone.
    if (appended) undecided.clear();
    for (const JournalEntry& entry : entries) {
      (appended ? there : undecided).insert(entry.submission.sequence);
      if (appended) positions[entry.submission.sequence] = entry.position;
    }
    while (there.size() > 60) {
      const std::int64_t done = *there.begin();
      there.erase(there.begin());
      undecided.insert(done);
      journal_->MarkDone(positions[done]);
    }
    if (random() % 10 == 0) Sql("PRAGMA wal_checkpoint");
    if (random() % 4 != 0) continue;

    const std::string copy = absl::StrCat(folder_ / "cut ", step);
    const bool keeps_some = random() % 2 == 0;
    disk_.WritePowerCut(path_, copy,
                        [&] { return keeps_some && random() % 2 == 0; });
    const auto cut = Journal::Open(copy);
    ASSERT_TRUE(cut.ok()) << cut.status();
    std::set<std::int64_t> replayed;
    for (const JournalEntry& entry : Replayed(**cut)) {
      const std::int64_t s = entry.submission.sequence;
      EXPECT_EQ(entry.submission.content, absl::StrCat("c", s));
      EXPECT_TRUE(replayed.insert(s).second) << s;
      EXPECT_TRUE(there.contains(s) || undecided.contains(s)) << s;
    }
    EXPECT_TRUE(std::ranges::includes(replayed, there)) << step;
  }
}

// With SLUICE_JOURNAL_ENTRIES=1000000 it is the run that shows whether a long
// outage can be replayed.
TEST_F(JournalTest, ManyEntriesAreReplayedAndForgotten) {
  const char* from_environment = std::getenv("SLUICE_JOURNAL_ENTRIES");
  std::int64_t count = 5'000;
  if (from_environment != nullptr) {
    ASSERT_TRUE(absl::SimpleAtoi(from_environment, &count));
  }
  Open();
  const std::string content(1024, 'x');
  const auto timed = [&](const char* what, auto work) {
    const absl::Time start = absl::Now();
    work();
    if (from_environment != nullptr) {
      std::cout << what << ": " << absl::Now() - start << "\n";
    }
  };
  timed("append", [&] {
    for (std::int64_t first = 1; first <= count; first += 256) {
      MustAppend(first, std::min(first + 255, count), content);
    }
  });
  timed("reopen", [&] { Reopen(); });
  timed("last sequence", [&] { EXPECT_EQ(*journal_->LastSequence(), count); });
  std::int64_t seen = 0;
  timed("replay", [&] {
    const absl::Status replayed =
        journal_->Replay([&](const JournalEntry& entry) {
          ++seen;
          ASSERT_EQ(entry.submission.sequence, seen);
          journal_->MarkDone(entry.position);
        });
    EXPECT_TRUE(replayed.ok()) << replayed;
  });
  EXPECT_EQ(seen, count);
  timed("append one", [&] { MustAppend(count + 1, count + 1); });
  timed("forget", [&] { EXPECT_TRUE(journal_->Forget().ok()); });
  EXPECT_THAT(Sequences(), ElementsAre(count + 1));
}

}  // namespace
}  // namespace sluice

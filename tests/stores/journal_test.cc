#include "stores/journal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
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
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

  std::vector<std::int64_t> Append(std::int64_t first, std::int64_t last,
                                   const std::string& content = "x") {
    return AppendRange(*journal_, first, last, content);
  }
  std::vector<std::int64_t> Sequences() { return SequencesOf(*journal_); }
  Shell::Rows Sql(const std::string& sql) { return Shell(path_).Run(sql); }

  const TempFolder folder_;
  const std::string path_ = folder_ / "data/journal.db";
  std::unique_ptr<Journal> journal_;
};

// --- Opening ---

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
  Append(1, 1);
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

// --- Faults ---

class JournalFaultTest : public JournalTest {
 protected:
  ~JournalFaultTest() override { journal_.reset(); }

  FaultyDisk disk_;
};

TEST_F(JournalFaultTest, ClosedAfterAFailedSyncItHasWhatItHad) {
  Open();
  Append(1, 2);
  disk_.SetSyncsFail(true);
  std::vector<JournalEntry> entries = {MakeEntry(3)};
  EXPECT_FALSE(AppendGroup(*journal_, entries).ok());
  journal_.reset();
  disk_.SetSyncsFail(false);
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
}

// --- Large journals, on a disk whose syncs take no time ---

TEST_F(JournalFaultTest, AnAppendForgetsALimitedNumberOfBytes) {
  Open();
  const std::string large(std::size_t{6} << 20, 'x');
  for (const std::int64_t position : Append(1, 6, large)) {
    journal_->MarkDone(position);
  }
  Append(7, 7);
  EXPECT_THAT(Sequences(), ElementsAre(4, 5, 6, 7));
}

// An append looks at the first 1,024 ranges of entries that are done. Ranges
// that were forgotten must not be among them.
TEST_F(JournalFaultTest, AppendsForgetAnyNumberOfRanges) {
  Open();
  for (const std::int64_t position : Append(1, 4200)) {
    if (position % 2 == 0) journal_->MarkDone(position);
  }
  for (std::int64_t i = 1; i <= 4; ++i) Append(4200 + i, 4200 + i);
  EXPECT_EQ(Sequences().size(), 2100u + 4u);
}

TEST_F(JournalFaultTest, AnAppendEndsAFailureThatCheckReports) {
  Open();
  disk_.SetFull(true);
  std::vector<JournalEntry> entries = {MakeEntry(1)};
  EXPECT_FALSE(AppendGroup(*journal_, entries).ok());
  disk_.SetFull(false);
  Append(1, 1);
  disk_.HoldSyncs();
  std::thread writer([this] { Append(2, 2); });
  ASSERT_TRUE(disk_.WaitForHeldSync());
  // While a commit is in progress, Check returns how the last one ended.
  EXPECT_TRUE(journal_->Check().ok());
  disk_.ReleaseSyncs();
  writer.join();
}

TEST_F(JournalFaultTest, ANearlyEmptyFileGivesItsRoomBack) {
  Open();
  const std::string large(std::size_t{1} << 20, 'x');
  for (const std::int64_t p : Append(1, 80, large)) journal_->MarkDone(p);
  Append(81, 81, "left");
  ASSERT_TRUE(journal_->Forget().ok());
  EXPECT_THAT(Sequences(), ElementsAre(81));
  Reopen();
  EXPECT_LT(std::filesystem::file_size(path_), std::size_t{1} << 20);
  EXPECT_THAT(Sequences(), ElementsAre(81));
  EXPECT_THAT(Append(82, 82), ElementsAre(82));
  EXPECT_EQ(Sql("PRAGMA application_id; PRAGMA user_version"),
            (Shell::Rows{{absl::StrCat(kJournalApplicationId)}, {"1"}}));
}

TEST_F(JournalFaultTest, ForgottenRoomIsUsedAgain) {
  Open();
  const std::string content(1000, 'x');
  const auto fill = [&] {
    for (int i = 0; i < 20; ++i) {
      for (const std::int64_t p : Append(1, 250, content)) {
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
    Append(10 * i + 1, 10 * i + 10, std::string(700, 'x'));
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
    const auto copy =
        OpenAfterKill(path_, folder_ / absl::StrCat("copy ", round));
    std::ofstream(path_ + "-wal", std::ios::binary) << log;
    // Exactly the commits before the damage are replayed.
    const auto whole = std::ranges::count_if(
        log_bytes, [&](std::size_t bytes) { return bytes <= at; });
    const std::vector<JournalEntry> replayed = Replay(*copy);
    ASSERT_EQ(replayed.size(), static_cast<std::size_t>(10 * whole));
    for (std::size_t i = 0; i < replayed.size(); ++i) {
      ASSERT_EQ(replayed[i].submission.sequence, i + 1);
      ASSERT_EQ(replayed[i].submission.content, std::string(700, 'x'));
    }
  }
}

// --- A power cut: each write that was not synced may survive or not ---

TEST_F(JournalFaultTest, APowerCutLosesNothingThatWasAppended) {
  disk_.TrackSyncs();
  Open();
  std::mt19937 random(3);
  std::set<std::int64_t> there;      // entries that must be in the journal
  std::set<std::int64_t> undecided;  // entries that may be in the journal
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
    const bool appended = AppendGroup(*journal_, entries).ok();
    EXPECT_EQ(appended, !fails);
    disk_.SetSyncsFail(false);
    // The commit has forgotten the done entries. Entries of failed groups can
    // no longer come back.
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
    for (const JournalEntry& entry : Replay(**cut)) {
      const std::int64_t s = entry.submission.sequence;
      EXPECT_EQ(entry.submission.content, absl::StrCat("c", s));
      EXPECT_TRUE(replayed.insert(s).second) << s;
      EXPECT_TRUE(there.contains(s) || undecided.contains(s)) << s;
    }
    EXPECT_TRUE(std::ranges::includes(replayed, there)) << step;
  }
}

// Run this test with SLUICE_JOURNAL_ENTRIES=1000000 to see whether the journal
// of a long outage can be replayed.
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
      Append(first, std::min(first + 255, count), content);
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
  timed("append one", [&] { Append(count + 1, count + 1); });
  timed("forget", [&] { EXPECT_TRUE(journal_->Forget().ok()); });
  EXPECT_THAT(Sequences(), ElementsAre(count + 1));
}

}  // namespace
}  // namespace sluice

#include "stores/journal.h"

#include <sqlite3.h>
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
#include "tests/stores/ordinary_user.h"
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
  Sql(absl::StrCat("PRAGMA user_version = ", kJournalVersion + 1));
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

// An append removes entries in the first 1,024 ranges of done entries. Ranges
// that were already forgotten must not be among these ranges.
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
  // While a commit is in progress, Check returns the result of the commit
  // before.
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
            (Shell::Rows{{absl::StrCat(kJournalApplicationId)},
                         {absl::StrCat(kJournalVersion)}}));
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

// A log that is torn before an acknowledged entry is damage. A log that is torn
// after the last acknowledged entry is not.
TEST_F(JournalFaultTest, ATornLogIsDamageUpToTheLastAcknowledgedEntry) {
  Open();
  std::vector<std::size_t> log_bytes;
  std::vector<std::string> states;
  for (std::int64_t i = 0; i < 12; ++i) {
    Append(10 * i + 1, 10 * i + 10, std::string(700, 'x'));
    log_bytes.push_back(std::filesystem::file_size(path_ + "-wal"));
    states.push_back(FileBytes(path_ + ".state"));
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
    const auto whole = static_cast<std::size_t>(std::ranges::count_if(
        log_bytes, [&](std::size_t bytes) { return bytes <= at; }));
    const std::size_t acknowledged = 1 + random() % 12;
    const std::string copy =
        CopyAfterKill(path_, folder_ / absl::StrCat("copy ", round));
    std::ofstream(copy + "-wal", std::ios::binary) << torn;
    std::ofstream(copy + ".state", std::ios::binary)
        << states[acknowledged - 1];
    auto opened = Journal::Open(copy);
    if (acknowledged > whole) {
      ASSERT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
      ASSERT_THAT(std::string(opened.status().message()),
                  HasSubstr(absl::StrCat("entries ", 10 * whole + 1, " to ",
                                         10 * acknowledged, " were")));
      ASSERT_EQ(FileBytes(copy + "-wal"), torn) << "the evidence is kept";
      opened = Journal::Open(copy, {.accept_damage = true});
    }
    ASSERT_TRUE(opened.ok()) << opened.status();
    // Exactly the commits before the tear are replayed.
    const std::vector<JournalEntry> replayed = Replay(**opened);
    ASSERT_EQ(replayed.size(), 10 * whole);
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
  std::string state_on_disk = FileBytes(path_ + ".state");
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
    // The state file is not synced: an older state may be on the disk.
    if (random() % 2 == 0) state_on_disk = FileBytes(path_ + ".state");
    std::ofstream(copy + ".state", std::ios::binary) << state_on_disk;
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

// --- Damage ---

class JournalDamageTest : public JournalFaultTest {
 protected:
  // Makes a journal, and a copy of its files as a killed server would leave
  // them. Of 250 entries, 20 are done and forgotten, and two are in quarantine.
  void SetUp() override {
    Open();
    Append(1, 100, "first");
    for (std::int64_t position = 11; position <= 30; ++position) {
      journal_->MarkDone(position);
    }
    ASSERT_TRUE(journal_->Forget().ok());
    ASSERT_TRUE(QuarantineOne(*journal_, 50, "rejected", 3).ok());
    for (std::int64_t first = 101; first < 250; first += 50) {
      Append(first, first + 49, std::string(500, 'y'));
    }
    ASSERT_TRUE(QuarantineOne(*journal_, 60, "rejected", 3).ok());
    copy_ = CopyAfterKill(path_, folder_ / "copy");
  }

  absl::Status OpenCopy() { return Journal::Open(copy_).status(); }

  // Expects that opening the copy fails twice with an error that contains
  // `text`. Then accepts the damage, and expects `left` entries in the journal.
  void ExpectDamage(const std::string& text, std::size_t left) {
    for (int round = 0; round < 2; ++round) {
      const absl::Status status = OpenCopy();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(copy_));
      EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    }
    {
      const auto accepted = Journal::Open(copy_, {.accept_damage = true});
      ASSERT_TRUE(accepted.ok()) << accepted.status();
      EXPECT_THAT((*accepted)->accepted_damage(), HasSubstr(text));
      EXPECT_THAT(SequencesOf(**accepted), testing::SizeIs(left));
      std::vector<JournalEntry> entries = {MakeEntry(251)};
      EXPECT_TRUE(AppendGroup(**accepted, entries).ok());
      EXPECT_GT(entries[0].position, 250) << "positions are not given twice";
    }
    const auto again = Journal::Open(copy_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ((*again)->accepted_damage(), "");
    EXPECT_THAT(SequencesOf(**again), testing::SizeIs(left + 1));
  }

  std::vector<std::string> FilesNamed(const std::string& part) const {
    std::vector<std::string> names;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_ / "copy")) {
      const std::string name = entry.path().filename().string();
      if (name.find(part) != std::string::npos) names.push_back(name);
    }
    return names;
  }

  static constexpr std::size_t kEntries = 250 - 20 - 2;
  std::string copy_;
};

TEST_F(JournalDamageTest, NothingIsWrongWithACopy) {
  const auto journal = Journal::Open(copy_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(SequencesOf(**journal), testing::SizeIs(kEntries));
  EXPECT_EQ((*journal)->quarantined(), 2u);
  EXPECT_EQ((*journal)->damaged(), 0u);
}

TEST_F(JournalDamageTest, AMissingFileIsNamed) {
  std::filesystem::remove(copy_);
  std::filesystem::remove(copy_ + "-wal");
  ExpectDamage(
      "the file is missing: entries 1 to 250 were acknowledged and are not in "
      "the file (250 entries). Before the damage: not stored yet 228, in "
      "quarantine 2",
      0);
}

TEST_F(JournalDamageTest, AnEmptyFileIsNamed) {
  std::filesystem::resize_file(copy_, 0);
  ExpectDamage("the file is empty: entries 1 to 250 were", 0);
}

TEST_F(JournalDamageTest, ARemovedLogIsNamed) {
  std::filesystem::remove(copy_ + "-wal");
  ExpectDamage("the file has no tables: entries 1 to 250 were", 0);
}

TEST_F(JournalDamageTest, ALogRemovedAfterACheckpointIsNamed) {
  Sql("PRAGMA wal_checkpoint");
  Append(251, 260);
  copy_ = CopyAfterKill(path_, folder_ / "copy");
  std::filesystem::remove(copy_ + "-wal");
  ExpectDamage("entries 251 to 260 were acknowledged and are not in the file",
               kEntries);
}

TEST_F(JournalDamageTest, AnotherJournalInItsPlaceIsNamed) {
  const std::string other = folder_ / "other.db";
  {
    const auto journal = Journal::Open(other);
    ASSERT_TRUE(journal.ok()) << journal.status();
    AppendRange(**journal, 1, 300, "of the other");
  }
  std::filesystem::remove(copy_ + "-wal");
  std::filesystem::copy_file(other, copy_,
                             std::filesystem::copy_options::overwrite_existing);
  ExpectDamage("the file is another journal", 300);
}

// Two journals have the same id if a copy of a journal was continued elsewhere.
TEST_F(JournalDamageTest, ACopyThatWentOnElsewhereIsNamed) {
  Append(251, 260, "here");
  std::filesystem::copy_file(path_ + ".state", copy_ + ".elsewhere");
  const std::string state = FileBytes(copy_ + ".elsewhere");
  {
    const auto journal = Journal::Open(copy_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    AppendRange(**journal, 301, 320, "there");
  }
  std::ofstream(copy_ + ".state", std::ios::binary) << state;
  ExpectDamage("does not continue the journal that its state file knows",
               kEntries + 20);
}

TEST_F(JournalDamageTest, AMissingStateFileIsNamed) {
  std::filesystem::remove(copy_ + ".state");
  ExpectDamage(
      "its state file is missing, so it is unknown what was acknowledged; the "
      "file has entries up to 250",
      kEntries);
}

TEST_F(JournalDamageTest, ADamagedStateFileIsNamed) {
  std::ofstream(copy_ + ".state", std::ios::binary) << std::string(8192, 'x');
  ExpectDamage("its state file is damaged", kEntries);
}

TEST_F(JournalDamageTest, OneSlotOfTheStateFileIsEnough) {
  const std::string state = FileBytes(copy_ + ".state");
  for (const std::size_t slot : {std::size_t{0}, std::size_t{4096}}) {
    std::string torn = state;
    torn[slot + 60] = static_cast<char>(torn[slot + 60] ^ 1);
    const std::string copy =
        CopyAfterKill(path_, folder_ / absl::StrCat("slot ", slot));
    std::ofstream(copy + ".state", std::ios::binary) << torn;
    const auto journal = Journal::Open(copy);
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_THAT(SequencesOf(**journal), testing::SizeIs(kEntries));
  }
}

TEST_F(JournalDamageTest, AnOlderStateFileIsNoDamage) {
  const std::string state = FileBytes(path_ + ".state");
  for (const std::int64_t position : Append(251, 260)) {
    journal_->MarkDone(position);
  }
  ASSERT_TRUE(journal_->Forget().ok());
  const std::string copy = CopyAfterKill(path_, folder_ / "ahead");
  std::ofstream(copy + ".state", std::ios::binary) << state;
  const auto journal = Journal::Open(copy);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(SequencesOf(**journal), testing::SizeIs(kEntries));
}

TEST_F(JournalDamageTest, ARemovedRowIsNamed) {
  Shell(copy_).Run("DELETE FROM entries WHERE position = 120");
  ExpectDamage("227 of 228 entries and 2 of 2 in quarantine", kEntries - 1);
}

TEST_F(JournalDamageTest, AMalformedRowIsQuarantined) {
  {
    Shell shell(copy_);
    const std::string sql =
        shell.Run("SELECT sql FROM sqlite_schema WHERE name = 'entries'")[0][0];
    shell.Run(
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(replace(sql, ' NOT NULL', ''),"
        " ') STRICT', ')') WHERE name = 'entries';"
        "PRAGMA writable_schema = RESET;"
        "UPDATE entries SET content = NULL WHERE position = 1;"
        "UPDATE entries SET submission_id = NULL WHERE position = 2;"
        "UPDATE entries SET received_at = 'noon' WHERE position = 3;"
        "UPDATE entries SET row_sha256 = NULL WHERE position = 4;"
        "PRAGMA writable_schema = ON");
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(copy_.c_str(), &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA writable_schema = ON", nullptr, nullptr, nullptr);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(
        db, "UPDATE sqlite_schema SET sql = ? WHERE name = 'entries'", -1,
        &statement, nullptr);
    sqlite3_bind_text(statement, 1, sql.c_str(), -1, SQLITE_STATIC);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(db);
  }
  const auto journal = Journal::Open(copy_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(SequencesOf(**journal), testing::SizeIs(kEntries - 4));
  EXPECT_EQ((*journal)->damaged(), 4u);
  const auto listed = (*journal)->ListQuarantine(0, 10, true);
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_THAT(listed->at(0).reason, HasSubstr("its content is malformed"));
  EXPECT_THAT(listed->at(1).reason,
              HasSubstr("its submission_id is malformed"));
  EXPECT_THAT(listed->at(2).reason, HasSubstr("its received_at is malformed"));
  EXPECT_THAT(listed->at(3).reason, HasSubstr("its row_sha256 is malformed"));
}

TEST_F(JournalDamageTest, AcceptedDamageKeepsTheRecordsOfDiscarded) {
  {
    const auto journal = Journal::Open(copy_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    ASSERT_TRUE((*journal)->Discard(50, "a test", "operator").ok());
  }
  Shell(copy_).Run("DELETE FROM entries WHERE position = 70");
  ASSERT_FALSE(OpenCopy().ok());
  const auto journal = Journal::Open(copy_, {.accept_damage = true});
  ASSERT_TRUE(journal.ok()) << journal.status();
  const auto records = (*journal)->ListDiscarded(0, 10);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_THAT(*records, testing::SizeIs(1));
  EXPECT_EQ(records->front().quarantined.submission.sequence, 50);
  EXPECT_EQ(records->front().reason, "a test");
}

TEST_F(JournalDamageTest, AcceptedDamageKeepsTheDamagedFiles) {
  const std::string log = FileBytes(copy_ + "-wal");
  const std::string state = FileBytes(copy_ + ".state");
  std::string torn = log.substr(0, log.size() / 2);
  std::ofstream(copy_ + "-wal", std::ios::binary) << torn;
  ASSERT_TRUE(Journal::Open(copy_, {.accept_damage = true}).ok());
  const std::vector<std::string> kept = FilesNamed(".damaged-");
  ASSERT_THAT(kept, testing::SizeIs(3));
  for (const std::string& name : kept) {
    const std::string bytes = FileBytes(folder_ / ("copy/" + name));
    if (name.ends_with("-wal")) {
      EXPECT_EQ(bytes, torn);
    } else if (name.ends_with(".state")) {
      EXPECT_EQ(bytes, state);
    }
  }
  EXPECT_THAT(FilesNamed(".rescu"), testing::IsEmpty());
}

TEST_F(JournalDamageTest, AcceptedDamageKeepsTheEntriesOfACutFile) {
  Append(251, 400, std::string(40'000, 'z'));
  Sql("PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string cut = CopyAfterKill(path_, folder_ / "cut");
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) / 2);
  EXPECT_TRUE(absl::IsDataLoss(Journal::Open(cut).status()));
  const auto journal = Journal::Open(cut, {.accept_damage = true});
  ASSERT_TRUE(journal.ok()) << journal.status();
  // The first entries are in the first pages of the file.
  EXPECT_THAT(SequencesOf(**journal), testing::Contains(testing::Eq(100)));
  EXPECT_GT(SequencesOf(**journal).size(), kEntries / 2u);
}

// Checks the whole promise with random damage. Either the start stops with an
// error that names the missing entries, or every acknowledged entry is replayed
// with its own bytes or is in quarantine with a reason.
TEST_F(JournalDamageTest, RandomDamageIsNamedOrQuarantined) {
  Sql("PRAGMA wal_checkpoint");
  Append(251, 260, std::string(40'000, 'z'));
  std::map<std::int64_t, std::string> expected;
  for (const JournalEntry& entry : Replay(*journal_)) {
    expected[entry.submission.sequence] = entry.submission.content;
  }
  ASSERT_EQ(expected.size(), kEntries + 10);
  const std::string base = CopyAfterKill(path_, folder_ / "base");
  std::mt19937 random(11);
  int refused = 0;
  int quarantined = 0;
  constexpr int kRounds = 400;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    const std::string copy =
        CopyAfterKill(base, folder_ / absl::StrCat("damage"));
    std::filesystem::remove(copy + "-shm");
    const std::string target = copy + (random() % 3 == 0 ? "-wal" : "");
    std::string bytes = FileBytes(target);
    if (random() % 8 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      for (int flips = random() % 4 == 0 ? 20 : 1; flips > 0; --flips) {
        const std::size_t at = random() % bytes.size();
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      }
    }
    std::ofstream(target, std::ios::binary) << bytes;

    auto journal = Journal::Open(copy);
    const bool accepted = !journal.ok();
    if (!journal.ok()) {
      ++refused;
      EXPECT_THAT(std::string(journal.status().message()),
                  testing::AllOf(HasSubstr(copy), HasSubstr("260 were")))
          << journal.status();
      journal = Journal::Open(copy, {.accept_damage = true});
      ASSERT_TRUE(journal.ok()) << journal.status();
    }
    std::map<std::int64_t, std::string> left;
    for (JournalEntry& entry : Replay(**journal)) {
      EXPECT_TRUE(left.emplace(entry.submission.sequence,
                               std::move(entry.submission.content))
                      .second);
    }
    for (const auto& [sequence, content] : left) {
      ASSERT_TRUE(expected.contains(sequence)) << sequence;
      EXPECT_EQ(content, expected[sequence]) << "other bytes";
    }
    std::size_t damaged = 0;
    const auto listed = (*journal)->ListQuarantine(0, 1000, true);
    ASSERT_TRUE(listed.ok()) << listed.status();
    for (const Quarantined& one : *listed) {
      if (one.damaged) {
        ++damaged;
        EXPECT_NE(one.reason, "");
      }
    }
    quarantined += damaged > 0 ? 1 : 0;
    if (!accepted) {
      EXPECT_EQ(left.size() + (*journal)->quarantined(), expected.size() + 2)
          << "fewer";
    }
  }
  EXPECT_GT(refused, kRounds / 10);
  EXPECT_GT(quarantined, kRounds / 20);
}

// --- Files of older versions ---

class JournalMigrationTest : public JournalTest {
 protected:
  // Creates a file that version 1 of the program left.
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "data");
    Sql(FileBytes(SLUICE_SOURCE_DIR "/tests/data/journal_v1.sql"));
  }
};

TEST_F(JournalMigrationTest, TheFileOfVersion1KeepsEverything) {
  for (int round = 0; round < 2; ++round) {
    Reopen();
    const std::vector<JournalEntry> entries = Replay(*journal_);
    ASSERT_THAT(entries, testing::SizeIs(3));
    EXPECT_EQ(entries[0].position, 3);
    EXPECT_EQ(entries[0].method, "RecordEvents");
    EXPECT_EQ(entries[0].submission.kind, SubmissionKind::kAppEvent);
    EXPECT_EQ(entries[0].submission.content, std::string("\0\x01\xff", 3));
    EXPECT_EQ(entries[0].submission.sent_at,
              absl::FromUnixMicros(1699999990000001));
    EXPECT_EQ(entries[1].submission.content, "");
    EXPECT_EQ(entries[1].submission.site_id, "site-2");
    EXPECT_EQ(entries[2].submission.content, "content of 5");
    EXPECT_EQ(entries[2].submission.received_at,
              absl::FromUnixMicros(1700000000005000));
    const auto quarantine = journal_->ListQuarantine(0, 10, true);
    ASSERT_TRUE(quarantine.ok()) << quarantine.status();
    ASSERT_THAT(*quarantine, testing::SizeIs(2));
    EXPECT_EQ(quarantine->at(0).submission.sequence, 2);
    EXPECT_EQ(quarantine->at(0).reason, "the store rejected it");
    EXPECT_EQ(quarantine->at(0).tries, 3);
    EXPECT_EQ(quarantine->at(1).submission.content, "content of 6");
    EXPECT_EQ(quarantine->at(1).quarantined_at,
              absl::FromUnixMicros(1796034962032857));
    EXPECT_EQ(journal_->damaged(), 0u);
    EXPECT_EQ(Sql("PRAGMA user_version"),
              (Shell::Rows{{absl::StrCat(kJournalVersion)}}));
  }
  EXPECT_THAT(Append(8, 8), ElementsAre(8)) << "positions go on";
  EXPECT_TRUE(journal_->Release(2).ok());
  Reopen();
  EXPECT_THAT(Sequences(), ElementsAre(3, 4, 5, 8, 2));
}

TEST_F(JournalMigrationTest, DamageOfVersion1IsQuarantined) {
  Sql("UPDATE entries SET content = x'00' WHERE position = 4;"
      "UPDATE quarantine SET content = x'00' WHERE sequence = 6");
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(3, 5));
  EXPECT_EQ(journal_->damaged(), 2u);
  EXPECT_EQ(journal_->Release(4).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(journal_->Release(6).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(journal_->Release(2).ok());
}

// A migration of many rows takes many transactions. After a kill between any
// two transactions, the next start continues the migration.
TEST_F(JournalMigrationTest, GoesOnAfterAKill) {
  FaultyDisk disk;
  Sql("WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n"
      " WHERE i < 1500) INSERT INTO entries SELECT i, 'Submit',"
      " 'patient_record', i, 'study', 'id-' || i, '', i, NULL,"
      " x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',"
      " x'' FROM n");
  const std::string v1 = FileBytes(path_);
  // In each round one more sync succeeds before all syncs fail.
  int rounds = 0;
  for (bool failed = true; failed; ++rounds) {
    ASSERT_LT(rounds, 40);
    for (const char* suffix : {"-wal", "-shm", ".state"}) {
      std::filesystem::remove(path_ + suffix);
    }
    std::ofstream(path_, std::ios::binary) << v1;
    disk.FailSyncsAfter(rounds);
    const auto migrated = Journal::Open(path_);
    failed = !migrated.ok();
    disk.SetSyncsFail(false);
    if (!failed) break;
    Open();
    EXPECT_THAT(Sequences(), testing::SizeIs(1403));
    EXPECT_EQ(journal_->quarantined(), 2u);
    journal_.reset();
  }
  EXPECT_GT(rounds, 5);
}

// Version 3 had a state and a state file, but could not record discarded
// submissions.
TEST_F(JournalTest, TheFileOfVersion3KeepsEverything) {
  std::filesystem::create_directories(folder_ / "data");
  Sql(FileBytes(SLUICE_SOURCE_DIR "/tests/data/journal_v3.sql"));
  // The file has no state file, as after a restore from a copy.
  EXPECT_EQ(Journal::Open(path_).status().code(), absl::StatusCode::kDataLoss);
  auto journal = Journal::Open(path_, {.accept_damage = true});
  ASSERT_TRUE(journal.ok()) << journal.status();
  journal_ = *std::move(journal);
  EXPECT_THAT(Sequences(), ElementsAre(5, 6, 7));
  EXPECT_EQ(journal_->quarantined(), 2u);
  EXPECT_EQ(Sql("PRAGMA user_version"),
            (Shell::Rows{{absl::StrCat(kJournalVersion)}}));
  EXPECT_TRUE(journal_->Discard(3, "a test", "operator").ok());
  EXPECT_TRUE(journal_->Release(4).ok());
  Reopen();
  EXPECT_THAT(Sequences(), ElementsAre(5, 6, 7, 4));
  EXPECT_EQ(journal_->ListDiscarded(0, 10)->size(), 1u);
}

// A file of version 3 that lost acknowledged entries is damaged, not migrated.
TEST_F(JournalTest, TheFileOfVersion3IsCheckedBeforeItIsMigrated) {
  std::filesystem::create_directories(folder_ / "data");
  Sql(FileBytes(SLUICE_SOURCE_DIR "/tests/data/journal_v3.sql"));
  ASSERT_TRUE(Journal::Open(path_, {.accept_damage = true}).ok());
  Sql("DROP TABLE discarded; PRAGMA user_version = 3");
  ASSERT_TRUE(Journal::Open(path_).ok()) << "its state file is known";
  Sql("DELETE FROM entries WHERE position = 6;"
      "DROP TABLE discarded; PRAGMA user_version = 3");
  EXPECT_EQ(Journal::Open(path_).status().code(), absl::StatusCode::kDataLoss);
}

// To test the journal of a long outage, run this test with
// SLUICE_JOURNAL_ENTRIES=1000000.
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

TEST_F(JournalTest, AFileWithoutTheRightToWriteIsNotOpened) {
  Open();
  Append(1, 1);
  journal_.reset();
  namespace fs = std::filesystem;
  fs::permissions(folder_.path(), fs::perms::all);
  fs::permissions(folder_ / "data", fs::perms::all);
  for (const auto& file : fs::directory_iterator(folder_ / "data")) {
    fs::permissions(file.path(), fs::perms(0666));
  }
  fs::permissions(path_, fs::perms(0444));
  const OrdinaryUser user;
  const auto opened = Journal::Open(path_);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("journal.db cannot be written"));
}

}  // namespace
}  // namespace sluice

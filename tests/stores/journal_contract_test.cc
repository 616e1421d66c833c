// Tests the promises of stores/journal.h, for every kind of journal.
//
// To add a kind: write a JournalUnderTest for it below, and name it in the
// INSTANTIATE line at the end. Features of one kind only, such as the layout of
// its file, are tested in a test of that kind.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/sequence_series.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/journal.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

// Longest duration of Check, even if the disk hangs.
constexpr absl::Duration kCheckMax = absl::Seconds(2);

// --- The journals ---

// A journal under test, and ways to cause trouble from outside.
class JournalUnderTest {
 public:
  virtual ~JournalUnderTest() = default;

  // Opens the journal, or closes it and opens it again.
  virtual void Open() = 0;
  virtual Journal& journal() = 0;
  // Opens the journal that would be left if the process were killed now.
  virtual std::unique_ptr<Journal> OpenAfterKill() = 0;
  // Opens the journal in another process, which appends and acknowledges
  // entries until it is killed. Returns the number of acknowledged entries.
  virtual std::int64_t AppendUntilKilled() = 0;

  virtual void SetDiskFull(bool full) = 0;
  virtual void SetSyncsFail(bool fail) = 0;
  virtual void HoldSyncs() = 0;
  virtual bool AwaitHeldSync() = 0;
  virtual void ReleaseSyncs() = 0;
  virtual int syncs() = 0;
  // From Hang to Resume another program keeps the journal from writing.
  virtual void Hang() = 0;
  virtual void Resume() = 0;
  // Damages a part of the entry with this sequence number, by a change of the
  // file that bypasses the journal.
  enum class Part { kKind, kHash, kRowHash, kContent, kSite, kTime, kPosition };
  virtual void Damage(std::int64_t sequence, Part part) = 0;
  // Changes the sequence number of an entry, by a change of the file that
  // bypasses the journal.
  virtual void ChangeSequence(std::int64_t from, std::int64_t to) = 0;
  // Damages the content of a submission in quarantine.
  virtual void DamageQuarantined(std::int64_t sequence) = 0;
  // Remember copies the journal. PutBack replaces the journal by the last copy.
  virtual void Remember() = 0;
  virtual void PutBack() = 0;
  // Opens the journal again, and returns the error if that fails.
  virtual absl::StatusOr<std::unique_ptr<Journal>> TryOpen(
      const JournalOptions& options) = 0;
};

// The journal in a SQLite file.
class SqliteJournalUnderTest : public JournalUnderTest {
 public:
  void Open() override {
    journal_.reset();
    auto journal = Journal::Open(path_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
  }
  Journal& journal() override { return *journal_; }
  std::unique_ptr<Journal> OpenAfterKill() override {
    return sluice::OpenAfterKill(path_,
                                 folder_ / absl::StrCat("copy", ++copies_));
  }
  std::int64_t AppendUntilKilled() override {
    journal_.reset();
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) AppendForever(ends[1]);
    close(ends[1]);
    std::int64_t acknowledged = 0;
    while (read(ends[0], &acknowledged, sizeof(acknowledged)) ==
           sizeof(acknowledged)) {
      if (acknowledged == 50) kill(child, SIGKILL);
    }
    close(ends[0]);
    waitpid(child, nullptr, 0);
    Open();
    return acknowledged;
  }

  void SetDiskFull(bool full) override { disk_.SetFull(full); }
  void SetSyncsFail(bool fail) override { disk_.SetSyncsFail(fail); }
  void HoldSyncs() override { disk_.HoldSyncs(); }
  bool AwaitHeldSync() override { return disk_.WaitForHeldSync(); }
  void ReleaseSyncs() override { disk_.ReleaseSyncs(); }
  int syncs() override { return disk_.log_syncs(); }
  void Hang() override {
    shell_ = std::make_unique<Shell>(path_);
    shell_->Run("BEGIN IMMEDIATE");
  }
  void Resume() override { shell_.reset(); }
  void Damage(std::int64_t sequence, Part part) override {
    static const std::map<Part, const char*> kChanges = {
        {Part::kKind, "kind = 'canary'"},
        {Part::kHash, "content_sha256 = x'00'"},
        {Part::kRowHash, "row_sha256 = zeroblob(32)"},
        {Part::kContent, "content = CAST('canarx' AS BLOB)"},
        {Part::kSite, "site_id = 'canary'"},
        {Part::kTime, "received_at = received_at + 1"},
        {Part::kPosition, "position = 0"}};
    Shell(path_).Run(absl::StrCat("UPDATE entries SET ", kChanges.at(part),
                                  " WHERE sequence = ", sequence));
  }
  void ChangeSequence(std::int64_t from, std::int64_t to) override {
    Shell(path_).Run(absl::StrCat("UPDATE entries SET sequence = ", to,
                                  " WHERE sequence = ", from));
  }
  void DamageQuarantined(std::int64_t sequence) override {
    Shell(path_).Run(absl::StrCat(
        "UPDATE quarantine SET content = x'00' WHERE sequence = ", sequence));
  }
  void Remember() override {
    for (const char* suffix : {"", "-wal"}) {
      remembered_[suffix] = FileBytes(path_ + suffix);
    }
  }
  void PutBack() override {
    journal_.reset();
    for (const auto& [suffix, bytes] : remembered_) {
      std::ofstream(path_ + suffix, std::ios::binary) << bytes;
    }
  }
  absl::StatusOr<std::unique_ptr<Journal>> TryOpen(
      const JournalOptions& options) override {
    journal_.reset();
    return Journal::Open(path_, options);
  }

 private:
  [[noreturn]] void AppendForever(int acks) {
    const auto journal = Journal::Open(path_);
    if (!journal.ok()) _exit(1);
    for (std::int64_t sequence = 1;; ++sequence) {
      const JournalEntry entry = MakeEntry(sequence);
      const NewJournalEntry entries[] = {{entry.method, &entry.submission}};
      if (!(*journal)->Append(entries).ok()) _exit(1);
      if (write(acks, &sequence, sizeof(sequence)) != sizeof(sequence)) {
        _exit(1);
      }
    }
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "data/journal.db";
  FaultyDisk disk_;
  int copies_ = 0;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Shell> shell_;
  std::map<std::string, std::string> remembered_;
};

// --- The suite ---

struct JournalCase {
  std::string name;
  std::function<std::unique_ptr<JournalUnderTest>()> make;
};

void PrintTo(const JournalCase& journal, std::ostream* out) {
  *out << journal.name;
}

class JournalContract : public testing::TestWithParam<JournalCase> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    Open();
  }

  void Open() { under_test_->Open(); }
  Journal& journal() { return under_test_->journal(); }

  absl::Status TryAppend(std::vector<JournalEntry>& entries) {
    return AppendGroup(journal(), entries);
  }
  absl::Status TryAppend(std::int64_t sequence) {
    std::vector<JournalEntry> entries = {MakeEntry(sequence)};
    return TryAppend(entries);
  }
  std::vector<std::int64_t> Append(std::int64_t first, std::int64_t last,
                                   const std::string& content = "x") {
    return AppendRange(journal(), first, last, content);
  }
  std::vector<std::int64_t> Sequences() { return SequencesOf(journal()); }
  std::vector<std::int64_t> Quarantined(std::int64_t after = 0,
                                        std::size_t max = 1000) {
    std::vector<std::int64_t> sequences;
    const auto all = journal().ListQuarantine(after, max, false);
    EXPECT_TRUE(all.ok()) << all.status();
    for (const auto& one : *all) sequences.push_back(one.submission.sequence);
    return sequences;
  }

  std::unique_ptr<JournalUnderTest> under_test_;
};

// --- Appended and replayed ---

TEST_P(JournalContract, ReplaysEntriesByteForByte) {
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
  ASSERT_TRUE(TryAppend(entries).ok());
  for (int round = 0; round < 2; ++round) {
    const std::vector<JournalEntry> replayed = Replay(journal());
    ASSERT_THAT(replayed, SizeIs(entries.size()));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      EXPECT_EQ(replayed[i].position, entries[i].position);
      EXPECT_EQ(replayed[i].method, entries[i].method);
      ExpectEqual(replayed[i].submission, entries[i].submission);
    }
    Open();
  }
}

TEST_P(JournalContract, TimesAreKeptToTheMicrosecond) {
  std::vector<JournalEntry> entries = {MakeEntry(1)};
  entries[0].submission.received_at = absl::FromUnixNanos(1709320532000001999);
  ASSERT_TRUE(TryAppend(entries).ok());
  EXPECT_EQ(Replay(journal()).at(0).submission.received_at,
            absl::FromUnixMicros(1709320532000001));
}

TEST_P(JournalContract, PositionsGoUpFromOneInTheOrderOfAGroup) {
  EXPECT_THAT(Append(10, 12), ElementsAre(1, 2, 3));
  EXPECT_THAT(Append(5, 6), ElementsAre(4, 5));
  EXPECT_THAT(Sequences(), ElementsAre(10, 11, 12, 5, 6));
  Open();
  EXPECT_THAT(Append(7, 7), ElementsAre(6));
  EXPECT_THAT(Sequences(), ElementsAre(10, 11, 12, 5, 6, 7));
}

TEST_P(JournalContract, AppendingNothingIsNoCommit) {
  const int before = under_test_->syncs();
  EXPECT_TRUE(journal().Append({}).ok());
  EXPECT_EQ(under_test_->syncs(), before);
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_THAT(Append(1, 1), ElementsAre(1));
}

TEST_P(JournalContract, AGroupIsSyncedOnceBeforeItIsAcknowledged) {
  Append(1, 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    const int before = under_test_->syncs();
    Append(2 + i * 100, 100 + i * 100);
    EXPECT_EQ(under_test_->syncs(), before + 1);
  }
}

TEST_P(JournalContract, ReplayHoldsNoLockAndEndsWhereTheJournalDid) {
  Append(1, 600);
  std::int64_t seen = 0;
  ASSERT_TRUE(journal()
                  .Replay([&](const JournalEntry& entry) {
                    EXPECT_EQ(entry.position, ++seen);
                    journal().MarkDone(entry.position);
                    if (seen % 100 == 0) Append(1000 + seen, 1000 + seen);
                  })
                  .ok());
  EXPECT_EQ(seen, 600);
}

TEST_P(JournalContract, ReplaysPartsOfAnySizeOnce) {
  // Append more entries, and more bytes, than a replay holds in memory at once.
  std::vector<std::int64_t> expected;
  for (std::int64_t first = 1; first <= 700; first += 100) {
    Append(first, first + 99, std::string(first == 301 ? 40'000 : 10, 'x'));
  }
  for (std::int64_t sequence = 1; sequence <= 700; ++sequence) {
    expected.push_back(sequence);
  }
  EXPECT_THAT(Sequences(), ElementsAreArray(expected));
}

TEST_P(JournalContract, LastSequenceIsTheHighestQuarantineIncluded) {
  EXPECT_EQ(*journal().LastSequence(), 0);
  const std::int64_t nine = Append(7, 9).back();
  Append(3, 3);
  EXPECT_EQ(*journal().LastSequence(), 9);
  ASSERT_TRUE(QuarantineOne(journal(), nine, "reason", 1).ok());
  Open();
  EXPECT_EQ(*journal().LastSequence(), 9);
}

TEST_P(JournalContract, AcknowledgedEntriesSurviveAKill) {
  const std::int64_t acknowledged = under_test_->AppendUntilKilled();
  ASSERT_GE(acknowledged, 50);
  const std::vector<std::int64_t> sequences = Sequences();
  ASSERT_GE(sequences.size(), static_cast<std::size_t>(acknowledged));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    EXPECT_EQ(sequences[i], static_cast<std::int64_t>(i) + 1);
  }
}

// --- Done and forgotten ---

TEST_P(JournalContract, ADoneEntryIsForgottenByTheNextAppend) {
  Append(1, 5);
  journal().MarkDone(2);
  journal().MarkDone(4);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3, 4, 5));
  Append(6, 6);
  EXPECT_THAT(Sequences(), ElementsAre(1, 3, 5, 6));
  Append(7, 7);
  EXPECT_THAT(Sequences(), ElementsAre(1, 3, 5, 6, 7));
}

TEST_P(JournalContract, ForgetForgetsAllDoneEntriesAndNoOther) {
  std::vector<std::int64_t> left;
  for (const std::int64_t position : Append(1, 5000)) {
    if (position % 2 == 0) {
      journal().MarkDone(position);
    } else {
      left.push_back(position);
    }
  }
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_THAT(Sequences(), ElementsAreArray(left));
  const int before = under_test_->syncs();
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_EQ(under_test_->syncs(), before) << "forgetting nothing is no commit";
}

TEST_P(JournalContract, AnAppendForgetsALimitedNumberAndCatchesUp) {
  for (const std::int64_t position : Append(1, 5000)) {
    journal().MarkDone(position);
  }
  Append(5001, 5001);
  const std::vector<std::int64_t> left = Sequences();
  EXPECT_GT(left.size(), 1000u);
  EXPECT_GT(left.front(), 1);
  for (std::int64_t sequence = 5002; sequence < 5010; ++sequence) {
    Append(sequence, sequence);
  }
  EXPECT_THAT(Sequences(), SizeIs(9));
}

TEST_P(JournalContract, APositionThatIsNotThereYetIsNotForgottenWhenItComes) {
  for (const std::int64_t position : {-1, 0, 1, 2}) {
    journal().MarkDone(position);
  }
  Append(1, 2);
  Append(3, 3);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3));
}

TEST_P(JournalContract, DoneButNotForgottenIsReplayedAfterAKill) {
  Append(1, 3);
  journal().MarkDone(1);
  journal().MarkDone(3);
  EXPECT_THAT(SequencesOf(*under_test_->OpenAfterKill()), ElementsAre(1, 2, 3));
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_THAT(SequencesOf(*under_test_->OpenAfterKill()), ElementsAre(2));
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(2));
}

TEST_P(JournalContract, PositionsOfForgottenEntriesAreNotUsedAgain) {
  for (const std::int64_t position : Append(1, 5)) journal().MarkDone(position);
  ASSERT_TRUE(journal().Forget().ok());
  Open();
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_THAT(Append(6, 6), ElementsAre(6));
  ASSERT_TRUE(QuarantineOne(journal(), 6, "reason", 1).ok());
  Open();
  EXPECT_THAT(Append(7, 7), ElementsAre(7));
}

// --- Quarantined and released ---

TEST_P(JournalContract, QuarantineKeepsTheEntryAndItsReason) {
  std::vector<JournalEntry> entries = {MakeEntry(5, "five"), MakeEntry(6, "")};
  entries[0].submission.sent_at = absl::FromUnixMicros(17);
  entries[0].submission.site_id = "site";
  ASSERT_TRUE(TryAppend(entries).ok());
  const absl::Time before = absl::Now();
  ASSERT_TRUE(QuarantineOne(journal(), 1, "threw", 3).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(journal().quarantined(), 1u);
    EXPECT_THAT(Sequences(), ElementsAre(6));
    const auto all = journal().ListQuarantine(0, 10, true);
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_THAT(*all, SizeIs(1));
    EXPECT_EQ(all->at(0).method, "ImportPatients");
    EXPECT_EQ(all->at(0).reason, "threw");
    EXPECT_EQ(all->at(0).tries, 3);
    EXPECT_GE(all->at(0).quarantined_at, before - absl::Microseconds(1));
    EXPECT_LE(all->at(0).quarantined_at, absl::Now());
    ExpectEqual(all->at(0).submission, entries[0].submission);
    Open();
  }
}

TEST_P(JournalContract, QuarantineIsListedInPagesBySequence) {
  for (const std::int64_t sequence : {30, 10, 20}) {
    const std::int64_t position = Append(sequence, sequence, "c")[0];
    ASSERT_TRUE(QuarantineOne(journal(), position, "reason", 1).ok());
  }
  EXPECT_THAT(Quarantined(), ElementsAre(10, 20, 30));
  EXPECT_THAT(Quarantined(0, 2), ElementsAre(10, 20));
  EXPECT_THAT(Quarantined(10, 1), ElementsAre(20));
  EXPECT_THAT(Quarantined(30, 5), IsEmpty());
  const auto page = journal().ListQuarantine(10, 1, false);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->at(0).submission.content, "");
  EXPECT_EQ(page->at(0).submission.content_sha256, Sha256("c"));
}

TEST_P(JournalContract, QuarantineIsFoundById) {
  EXPECT_EQ(journal().FindQuarantined("study", {"id-1"})->at(0), std::nullopt);
  Append(1, 3, "c");
  ASSERT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  const auto found =
      journal().FindQuarantined("study", {"id-1", "id-2", "id-2"});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(*found, SizeIs(3));
  EXPECT_EQ(found->at(0), std::nullopt);
  EXPECT_EQ(found->at(1)->submission.sequence, 2);
  EXPECT_EQ(found->at(1)->submission.content, "");
  EXPECT_EQ(found->at(2)->submission.sequence, 2);
  EXPECT_EQ(journal().FindQuarantined("other", {"id-2"})->at(0), std::nullopt);
}

TEST_P(JournalContract, AnIdIsFoundUnderTheFirstThatCame) {
  std::vector<JournalEntry> entries = {MakeEntry(8, "one"),
                                       MakeEntry(3, "two")};
  for (JournalEntry& e : entries) e.submission.submission_id = "id";
  ASSERT_TRUE(TryAppend(entries).ok());
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  ASSERT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  EXPECT_EQ(
      journal().FindQuarantined("study", {"id"})->at(0)->submission.sequence,
      3);
}

TEST_P(JournalContract, AReleasedEntryIsAtTheEndOfTheJournal) {
  Append(1, 3, "c");
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  const auto released = journal().Release(1);
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->position, 4);
  EXPECT_EQ(released->method, "ImportPatients");
  ExpectEqual(released->submission, MakeEntry(1, "c").submission);
  EXPECT_EQ(journal().quarantined(), 0u);
  EXPECT_THAT(Append(9, 9), ElementsAre(5));
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(2, 3, 1, 9));
  EXPECT_EQ(journal().quarantined(), 0u);
  EXPECT_EQ(journal().Release(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Append(10, 10), ElementsAre(6));
}

TEST_P(JournalContract, AReleasedEntryCanBeDoneOrQuarantinedAgain) {
  Append(1, 2);
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  ASSERT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  journal().MarkDone(journal().Release(1)->position);
  ASSERT_TRUE(
      QuarantineOne(journal(), journal().Release(2)->position, "again", 2)
          .ok());
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_THAT(Quarantined(), ElementsAre(2));
}

TEST_P(JournalContract, TheSameContentIsInQuarantineOnce) {
  std::vector<JournalEntry> entries = {
      MakeEntry(1, "same"), MakeEntry(2, "same"), MakeEntry(3, "other"),
      MakeEntry(4, "same")};
  for (JournalEntry& e : entries) e.submission.submission_id = "id";
  entries[3].submission.kind = SubmissionKind::kAppEvent;
  ASSERT_TRUE(TryAppend(entries).ok());
  for (std::int64_t position = 1; position <= 4; ++position) {
    EXPECT_TRUE(QuarantineOne(journal(), position, "reason", 1).ok());
  }
  EXPECT_EQ(journal().quarantined(), 3u);
  EXPECT_THAT(Quarantined(), ElementsAre(1, 3, 4));
  EXPECT_THAT(Sequences(), IsEmpty());
  // The number of the repetition is accounted for.
  for (int opened = 0; opened < 2; ++opened) {
    const auto discarded = journal().ListDiscarded(0, 10);
    ASSERT_TRUE(discarded.ok()) << discarded.status();
    ASSERT_EQ(discarded->size(), 1u);
    EXPECT_EQ(discarded->front().quarantined.submission.sequence, 2);
    EXPECT_EQ(discarded->front().content_bytes, 4);
    EXPECT_EQ(discarded->front().reason, kRepeatsQuarantined);
    EXPECT_EQ(discarded->front().by, kDiscardedByServer);
    EXPECT_TRUE(
        journal().FindDiscarded("study", {{"id"}})->front().has_value());
    Open();
  }
}

// An interrupted adoption leaves an entry twice.
TEST_P(JournalContract, AnEntryThatIsInQuarantineAlreadyIsForgotten) {
  ASSERT_TRUE(TryAppend(1).ok());
  ASSERT_TRUE(TryAppend(1).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  EXPECT_THAT(Quarantined(), ElementsAre(1));
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_THAT(*journal().ListDiscarded(0, 10), IsEmpty());
}

TEST_P(JournalContract, AnEntryWhoseNumberIsInQuarantineGetsAnother) {
  std::vector<JournalEntry> entries = {MakeEntry(1, "first"),
                                       MakeEntry(1, "second"), MakeEntry(2)};
  entries[1].submission.submission_id = "other";
  ASSERT_TRUE(TryAppend(entries).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  EXPECT_EQ(QuarantineOne(journal(), 2, "reason", 1).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  const UnstorableEntry renumbered = {
      .position = 2, .reason = "reason", .tries = 1, .new_sequence = 9};
  EXPECT_TRUE(journal().Quarantine({&renumbered, 1}).front().ok());
  EXPECT_THAT(Sequences(), ElementsAre(2));
  EXPECT_EQ(*journal().LastSequence(), 9);
  Open();
  EXPECT_EQ(*journal().LastSequence(), 9);
  const auto all = journal().ListQuarantine(1, 10, /*with_content=*/true);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().submission.sequence, 9);
  EXPECT_EQ(all->front().submission.content, "second");
  EXPECT_FALSE(all->front().damaged);
  EXPECT_THAT(all->front().reason,
              testing::AllOf(HasSubstr("reason"),
                             HasSubstr("sequence number 1 belongs to")));
  EXPECT_TRUE(journal().Release(9).ok());
}

// Errors are logged and shown to operators, so they must not have patient data.
TEST_P(JournalContract, ErrorsQuoteNoIdAndNoContent) {
  const auto expect_error = [](const absl::Status& status) {
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.ToString(), testing::Not(HasSubstr("canary")));
  };
  const auto make = [](std::int64_t sequence) {
    JournalEntry entry = MakeEntry(sequence, "canary content");
    entry.submission.study_id = "canary-study";
    entry.submission.site_id = "canary-site";
    entry.submission.submission_id = absl::StrCat("canary-", sequence);
    return entry;
  };
  std::vector<JournalEntry> entries = {make(1), make(2), make(3), make(4)};
  entries[1].submission.submission_id = "canary-other";
  entries[1].submission.sequence = 1;
  ASSERT_TRUE(TryAppend(entries).ok());
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  expect_error(QuarantineOne(journal(), 2, "reason", 1));  // number taken
  expect_error(QuarantineOne(journal(), 99, "reason", 1));
  expect_error(journal().Release(99).status());
  expect_error(journal().Discard(99, "canary reason", "canary name"));
  under_test_->Damage(3, JournalUnderTest::Part::kContent);
  ASSERT_TRUE(QuarantineOne(journal(), 3, "reason", 1).ok());
  expect_error(journal().Release(3).status());  // damaged
  journal().SetQuarantineLimits({.max = 1});
  expect_error(QuarantineOne(journal(), 4, "reason", 1));  // no room
  journal().SetQuarantineLimits({});

  std::vector<JournalEntry> more = {make(5)};
  const auto expect_all_fail = [&] {
    expect_error(TryAppend(more));
    expect_error(QuarantineOne(journal(), 4, "reason", 1));
    expect_error(journal().Release(1).status());
    expect_error(journal().Discard(1, "canary reason", "canary name"));
    expect_error(journal().RaiseLastSequence(1000));
  };
  under_test_->SetDiskFull(true);
  expect_all_fail();
  under_test_->SetDiskFull(false);
  under_test_->SetSyncsFail(true);
  expect_all_fail();
  under_test_->SetSyncsFail(false);
  under_test_->Hang();
  expect_all_fail();
  under_test_->Resume();

  // A file that is behind its state file.
  under_test_->Remember();
  ASSERT_TRUE(TryAppend(more).ok());
  under_test_->PutBack();
  expect_error(under_test_->TryOpen({}).status());
}

TEST_P(JournalContract, TellsWhichSubmissionsAreInQuarantine) {
  QuarantinedIds ids;
  const auto find = [&](std::int64_t sequence) {
    const JournalEntry entry = MakeEntry(sequence);
    StoredReceipt receipt;
    const bool known = ids.Find(SubmissionKey::Of(entry.submission),
                                entry.submission.content_sha256, &receipt);
    return known ? receipt.sequence : 0;
  };
  std::unique_ptr<Journal> opened =
      *under_test_->TryOpen({.quarantined_ids = &ids});
  AppendRange(*opened, 1, 4, "content");
  EXPECT_EQ(find(1), 0);
  under_test_->Damage(4, JournalUnderTest::Part::kContent);
  for (std::int64_t position = 1; position <= 4; ++position) {
    EXPECT_TRUE(QuarantineOne(*opened, position, "reason", 1).ok());
  }
  EXPECT_EQ(find(1), 1);
  EXPECT_EQ(find(4), 0) << "damaged";
  EXPECT_TRUE(opened->Discard(1, "why", "who").ok());
  EXPECT_EQ(find(1), 0);
  const std::int64_t removed[] = {2};
  EXPECT_TRUE(opened->RemoveQuarantined(removed).ok());
  EXPECT_EQ(find(2), 0);
  opened.reset();
  for (int times = 0; times < 2; ++times) {
    opened = *under_test_->TryOpen({.quarantined_ids = &ids});
    EXPECT_EQ(ids.size(), 1u);
    EXPECT_EQ(find(3), 3);
    opened.reset();
  }
  QuarantinedIds fresh;
  opened = *under_test_->TryOpen({.quarantined_ids = &fresh});
  EXPECT_EQ(fresh.size(), 1u);
}

TEST_P(JournalContract, ABatchIsQuarantinedWithOneSync) {
  Append(1, 300);
  std::vector<UnstorableEntry> batch;
  for (std::int64_t position = 1; position <= 256; ++position) {
    batch.push_back({.position = position,
                     .reason = absl::StrCat("reason ", position),
                     .tries = static_cast<int>(position)});
  }
  const int before = under_test_->syncs();
  const std::vector<absl::Status> results = journal().Quarantine(batch);
  EXPECT_EQ(under_test_->syncs(), before + 1);
  EXPECT_THAT(results, SizeIs(256));
  EXPECT_THAT(results, Each(absl::OkStatus()));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(journal().quarantined(), 256u);
    EXPECT_THAT(Sequences(), SizeIs(44));
    const auto last = journal().ListQuarantine(255, 10, true);
    ASSERT_TRUE(last.ok()) << last.status();
    ASSERT_THAT(*last, SizeIs(1));
    EXPECT_EQ(last->at(0).reason, "reason 256");
    EXPECT_EQ(last->at(0).tries, 256);
    Open();
  }
}

TEST_P(JournalContract, AnEntryThatCannotBeQuarantinedFailsAlone) {
  std::vector<JournalEntry> entries = {MakeEntry(1, "one"), MakeEntry(2, "two"),
                                       MakeEntry(2, "other"),
                                       MakeEntry(3, "three")};
  entries[2].submission.submission_id = "other";
  ASSERT_TRUE(TryAppend(entries).ok());
  std::vector<UnstorableEntry> batch;
  for (const std::int64_t position : {1, 2, 9, 3, 4}) {
    batch.push_back({.position = position, .reason = "reason", .tries = 1});
  }
  const std::vector<absl::Status> results = journal().Quarantine(batch);
  ASSERT_THAT(results, SizeIs(5));
  EXPECT_TRUE(results[0].ok());
  EXPECT_TRUE(results[1].ok());
  EXPECT_EQ(results[2].code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(results[3].code(), absl::StatusCode::kAlreadyExists)
      << "number is taken";
  EXPECT_TRUE(results[4].ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Quarantined(), ElementsAre(1, 2, 3));
    EXPECT_THAT(Sequences(), ElementsAre(2));
    Open();
  }
}

TEST_P(JournalContract, ABatchWhoseCommitFailedIsNotQuarantined) {
  Append(1, 3);
  std::vector<UnstorableEntry> batch(2);
  batch[0].position = 1;
  batch[1].position = 2;
  under_test_->SetSyncsFail(true);
  EXPECT_THAT(journal().Quarantine(batch),
              Each(testing::Property(&absl::Status::code,
                                     absl::StatusCode::kUnavailable)));
  EXPECT_EQ(journal().quarantined(), 0u);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3));
  under_test_->SetSyncsFail(false);
  EXPECT_THAT(journal().Quarantine(batch), Each(absl::OkStatus()));
  EXPECT_EQ(journal().quarantined(), 2u);
}

TEST_P(JournalContract, WhatIsNotThereIsNotFoundAndNoFailure) {
  Append(1, 1);
  EXPECT_EQ(QuarantineOne(journal(), 2, "reason", 1).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(journal().Release(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(journal().quarantined(), 0u);
  const int before = under_test_->syncs();
  EXPECT_TRUE(journal().Check().ok());
  EXPECT_EQ(under_test_->syncs(), before) << "Check writes after failures only";
  EXPECT_THAT(Sequences(), ElementsAre(1));
}

TEST_P(JournalContract, AFullQuarantineLeavesTheEntryWhereItIs) {
  Append(1, 3);
  journal().SetQuarantineLimits({.max = 4, .max_bytes = 1000});
  EXPECT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  const int before = under_test_->syncs();
  EXPECT_EQ(QuarantineOne(journal(), 3, "reason", 1).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(journal().Check().ok()) << "a full quarantine is no failure";
  EXPECT_EQ(under_test_->syncs(), before);
  EXPECT_THAT(Sequences(), ElementsAre(3));
  ASSERT_TRUE(journal().Release(1).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 3, "reason", 1).ok());
}

// The entries of a batch count against the room one after another.
TEST_P(JournalContract, ABatchFillsTheQuarantineAsFarAsThereIsRoom) {
  Append(1, 3);
  journal().SetQuarantineLimits({.max = 4, .max_bytes = 1000});
  std::vector<UnstorableEntry> batch(3);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch[i].position = static_cast<std::int64_t>(i + 1);
  }
  const std::vector<absl::Status> results = journal().Quarantine(batch);
  EXPECT_TRUE(results.at(0).ok());
  EXPECT_TRUE(results.at(1).ok());
  EXPECT_EQ(results.at(2).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(journal().quarantined(), 2u);
  EXPECT_THAT(Sequences(), ElementsAre(3));
}

TEST_P(JournalContract, AStudyLeavesRoomInQuarantineForOthers) {
  journal().SetQuarantineLimits(
      {.max = 16, .max_bytes = 1'000'000, .queue = 2, .queue_bytes = 2});
  std::vector<JournalEntry> entries;
  for (int i = 1; i <= 10; ++i) entries.push_back(MakeEntry(i));
  entries.push_back(MakeEntry(11));
  entries.back().submission.study_id = "other";
  ASSERT_TRUE(TryAppend(entries).ok());
  for (int i = 1; i <= 7; ++i) {
    EXPECT_TRUE(journal().MayPromise("study")) << i;
    EXPECT_TRUE(QuarantineOne(journal(), i, "reason", 1).ok());
  }
  EXPECT_FALSE(journal().MayPromise("study"));
  EXPECT_TRUE(journal().MayPromise("other"));
  EXPECT_TRUE(QuarantineOne(journal(), 8, "acknowledged before", 1).ok());
  EXPECT_EQ(QuarantineOne(journal(), 9, "reason", 1).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(QuarantineOne(journal(), 11, "reason", 1).ok());

  // The room is measured again after a restart.
  Open();
  journal().SetQuarantineLimits(
      {.max = 16, .max_bytes = 1'000'000, .queue = 2, .queue_bytes = 2});
  EXPECT_EQ(journal().quarantined(), 9u);
  EXPECT_EQ(journal().quarantined_bytes(), 9 * std::string("content").size());
  EXPECT_FALSE(journal().MayPromise("study"));
  EXPECT_TRUE(journal().MayPromise("other"));
  EXPECT_EQ(QuarantineOne(journal(), 9, "reason", 1).code(),
            absl::StatusCode::kResourceExhausted);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(journal().Discard(i, "reason", "operator").ok());
  }
  EXPECT_TRUE(journal().MayPromise("study"));
}

TEST_P(JournalContract, TheBytesInQuarantineAreLimited) {
  Append(1, 5, std::string(100, 'x'));
  journal().SetQuarantineLimits({.max = 1000, .max_bytes = 400});
  EXPECT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  EXPECT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  EXPECT_EQ(journal().quarantined_bytes(), 200u);
  EXPECT_EQ(QuarantineOne(journal(), 3, "reason", 1).code(),
            absl::StatusCode::kResourceExhausted);
}

// A damaged entry cannot be processed, so it must not stay in the journal.
TEST_P(JournalContract, ADamagedEntryIsQuarantinedWhateverTheLimits) {
  Append(1, 2);
  under_test_->Damage(1, JournalUnderTest::Part::kContent);
  journal().SetQuarantineLimits({.max = 0, .max_bytes = 0});
  EXPECT_THAT(Sequences(), ElementsAre(2));
  EXPECT_EQ(journal().quarantined(), 1u);
}

// --- Unread entries ---

TEST_P(JournalContract, UnreadEntriesAreReadInPartsOnce) {
  Append(1, 10, std::string(100, 'x'));
  EXPECT_EQ(journal().unread(), 0u) << "only entries of an earlier run";
  Open();
  EXPECT_EQ(journal().unread(), 10u);
  const auto read = [&](std::size_t entries, std::size_t bytes) {
    const auto part = journal().ReadUnread(entries, bytes);
    EXPECT_TRUE(part.ok()) << part.status();
    journal().MarkRead(*part);
    std::vector<std::int64_t> sequences;
    for (const JournalEntry& entry : part->entries) {
      sequences.push_back(entry.submission.sequence);
    }
    return sequences;
  };
  EXPECT_THAT(read(3, 1'000'000), ElementsAre(1, 2, 3));
  EXPECT_EQ(journal().unread(), 7u);
  EXPECT_THAT(read(100, 150), ElementsAre(4, 5)) << "reaches 150 bytes";
  EXPECT_THAT(read(100, 1), ElementsAre(6)) << "at least one";
  Append(11, 12);
  EXPECT_THAT(read(100, 1'000'000), ElementsAre(7, 8, 9, 10));
  EXPECT_EQ(journal().unread(), 0u);
  EXPECT_THAT(read(100, 1'000'000), IsEmpty());
}

TEST_P(JournalContract, UnreadEntriesAreFoundUntilTheyAreMarked) {
  Append(1, 3);
  Open();
  const auto visited = [&] {
    std::vector<std::string> ids;
    const absl::Status status =
        journal().VisitUnread([&](const UnreadEntry& entry) {
          EXPECT_EQ(entry.study_id, "study");
          EXPECT_EQ(entry.receipt.content_sha256, Sha256("x"));
          ids.push_back(absl::StrCat(entry.receipt.sequence, " ",
                                     std::string(entry.submission_id)));
        });
    EXPECT_TRUE(status.ok()) << status;
    return ids;
  };
  const auto part = journal().ReadUnread(2, 1000);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_THAT(visited(), ElementsAre("1 id-1", "2 id-2", "3 id-3"));
  journal().MarkRead(*part);
  EXPECT_THAT(visited(), ElementsAre("3 id-3"));
}

// A thread of low priority may visit them. It must not hold up the journal's
// writer.
TEST_P(JournalContract, VisitsUnreadEntriesInPartsWithoutALock) {
  Append(1, 600);
  Open();
  std::int64_t visited = 0;
  const absl::Status status =
      journal().VisitUnread([&](const UnreadEntry& entry) {
        EXPECT_EQ(entry.receipt.sequence, ++visited);
        if (visited == 1 || visited == 600)
          Append(600 + visited, 600 + visited);
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(visited, 600);
}

TEST_P(JournalContract, ReadsMoreThanAPart) {
  Append(1, 600);
  std::vector<UnstorableEntry> batch;
  std::vector<std::string> ids;
  for (std::int64_t i = 1; i <= 600; ++i) {
    batch.push_back({.position = i, .reason = "reason", .tries = 1});
    ids.push_back(absl::StrCat("id-", i));
  }
  EXPECT_THAT(journal().Quarantine(batch), Each(absl::OkStatus()));
  for (const bool with_content : {false, true}) {
    const auto listed = journal().ListQuarantine(3, 590, with_content);
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_THAT(*listed, SizeIs(590));
    EXPECT_EQ(listed->front().submission.sequence, 4);
    EXPECT_EQ(listed->back().submission.sequence, 593);
  }
  ids[300] = "unknown";
  const auto found = journal().FindQuarantined("study", ids);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(*found, SizeIs(600));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ((*found)[i].has_value(), i != 300) << i;
    if (i == 300) continue;
    EXPECT_EQ((*found)[i]->submission.submission_id, ids[i]);
  }
  for (std::int64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(journal().Discard(i, "reason", "operator").ok());
  }
  const auto discarded = journal().FindDiscarded("study", ids);
  ASSERT_TRUE(discarded.ok()) << discarded.status();
  EXPECT_EQ(std::ranges::count_if(
                *discarded, [](const auto& one) { return one.has_value(); }),
            300);
  EXPECT_THAT(*journal().ListDiscarded(10, 280), SizeIs(280));
  EXPECT_THAT(*journal().ListDiscarded(10, 1000), SizeIs(290));
}

// A start must succeed on a full disk.
TEST_P(JournalContract, OnAFullDiskADamagedEntryStaysInTheJournal) {
  Append(1, 3);
  under_test_->Damage(2, JournalUnderTest::Part::kContent);
  Open();
  under_test_->SetDiskFull(true);
  const auto part = journal().ReadUnread(10, 1000);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_THAT(part->entries, SizeIs(2));
  EXPECT_EQ(part->read, 3u);
  EXPECT_EQ(part->damaged_left, 1u);
  journal().MarkRead(*part);
  EXPECT_EQ(journal().unread(), 0u);
  EXPECT_EQ(journal().quarantined(), 0u);
  under_test_->SetDiskFull(false);
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(1, 3));
  EXPECT_EQ(journal().quarantined(), 1u);
}

// --- Discarding ---

TEST_P(JournalContract, ADiscardedEntryLeavesItsRecord) {
  std::vector<JournalEntry> entries = {MakeEntry(1), MakeEntry(2, "four")};
  ASSERT_TRUE(TryAppend(entries).ok());
  for (const JournalEntry& entry : entries) {
    ASSERT_TRUE(QuarantineOne(journal(), entry.position, "threw", 3).ok());
  }
  const absl::Time before = absl::Now();
  ASSERT_TRUE(journal().Discard(2, "sent twice", "an operator").ok());
  EXPECT_EQ(journal().quarantined(), 1u);
  EXPECT_EQ(journal().quarantined_bytes(), std::string("content").size());
  EXPECT_EQ(journal().Release(2).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(journal().Discard(2, "again", "").code(),
            absl::StatusCode::kNotFound);

  const std::unique_ptr<Journal> copy = under_test_->OpenAfterKill();
  for (Journal* opened : {&journal(), copy.get()}) {
    const auto listed = opened->ListDiscarded(0, 10);
    ASSERT_TRUE(listed.ok()) << listed.status();
    ASSERT_THAT(*listed, SizeIs(1));
    const Discarded& record = listed->front();
    EXPECT_EQ(record.number, 1);
    EXPECT_EQ(record.reason, "sent twice");
    EXPECT_EQ(record.by, "an operator");
    EXPECT_GE(record.at, before - absl::Microseconds(1));
    EXPECT_EQ(record.content_bytes, 4);
    EXPECT_EQ(record.quarantined.reason, "threw");
    EXPECT_EQ(record.quarantined.tries, 3);
    EXPECT_EQ(record.quarantined.method, "ImportPatients");
    const ReceivedSubmission& was = record.quarantined.submission;
    EXPECT_EQ(was.sequence, 2);
    EXPECT_EQ(was.content, "");
    EXPECT_EQ(was.content_sha256, Sha256("four"));
    EXPECT_EQ(was.received_at, entries[1].submission.received_at);
    const auto found = opened->FindDiscarded("study", {"id-1", "id-2"});
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_FALSE((*found)[0].has_value());
    EXPECT_EQ((*found)[1]->reason, "sent twice");
  }
  EXPECT_EQ(*journal().LastSequence(), 2);
}

TEST_P(JournalContract, RecordsOfDiscardedEntriesAreListedInPages) {
  Append(1, 5);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(QuarantineOne(journal(), i, "reason", 1).ok());
  }
  for (const int i : {3, 1, 5}) {
    ASSERT_TRUE(journal().Discard(i, "reason", "operator").ok());
  }
  const auto sequences = [&](std::int64_t after, std::size_t max) {
    std::vector<std::int64_t> all;
    const auto records = journal().ListDiscarded(after, max);
    EXPECT_TRUE(records.ok()) << records.status();
    for (const Discarded& record : *records) {
      all.push_back(record.quarantined.submission.sequence);
    }
    return all;
  };
  EXPECT_THAT(sequences(0, 2), ElementsAre(3, 1));
  EXPECT_THAT(sequences(2, 2), ElementsAre(5));
  EXPECT_THAT(Quarantined(), ElementsAre(2, 4));
}

TEST_P(JournalContract, ADamagedEntryCanBeDiscarded) {
  Append(1, 1);
  ASSERT_TRUE(QuarantineOne(journal(), 1, "rejected", 1).ok());
  under_test_->DamageQuarantined(1);
  Open();
  EXPECT_EQ(journal().damaged(), 1u);
  ASSERT_TRUE(journal().Discard(1, "sent again", "operator").ok());
  EXPECT_EQ(journal().damaged(), 0u);
  EXPECT_TRUE(journal().ListDiscarded(0, 1)->front().quarantined.damaged);
}

TEST_P(JournalContract, AFailedDiscardChangesNothing) {
  Append(1, 1);
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  under_test_->SetSyncsFail(true);
  EXPECT_EQ(journal().Discard(1, "reason", "operator").code(),
            absl::StatusCode::kUnavailable);
  under_test_->SetSyncsFail(false);
  Open();
  EXPECT_THAT(Quarantined(), ElementsAre(1));
  EXPECT_THAT(*journal().ListDiscarded(0, 1), IsEmpty());
}

// --- Identity, and numbers of other series ---

TEST_P(JournalContract, KeepsItsId) {
  const std::string id = journal().id();
  EXPECT_THAT(id, SizeIs(32));
  EXPECT_FALSE(journal().used());
  const auto position = Append(1, 1).front();
  journal().MarkDone(position);
  ASSERT_TRUE(journal().Forget().ok());
  Open();
  EXPECT_EQ(journal().id(), id);
  EXPECT_TRUE(journal().used());
}

TEST_P(JournalContract, NumbersOfAnotherSeriesDoNotCount) {
  const std::int64_t own = BeginOfSeries(2);
  const std::int64_t higher = BeginOfSeries(5);
  const auto in_series = under_test_->TryOpen({.series = 2});
  ASSERT_TRUE(in_series.ok()) << in_series.status();
  Journal& journal = **in_series;
  AppendRange(journal, 7, 7, "x");
  AppendRange(journal, higher + 1, higher + 2, "x");
  EXPECT_EQ(*journal.LastSequence(), 0);
  AppendRange(journal, own + 3, own + 3, "x");
  EXPECT_EQ(*journal.LastSequence(), own + 3);
  // A released entry is appended, too.
  ASSERT_TRUE(QuarantineOne(journal, 2, "bad", 1).ok());
  ASSERT_TRUE(journal.Release(higher + 1).ok());
  EXPECT_EQ(*journal.LastSequence(), own + 3);
  EXPECT_THAT(SequencesOf(journal),
              ElementsAre(7, higher + 2, own + 3, higher + 1));
}

TEST_P(JournalContract, TheLastSequenceCanBeRaised) {
  Append(1, 5);
  ASSERT_TRUE(journal().RaiseLastSequence(100).ok());
  ASSERT_TRUE(journal().RaiseLastSequence(50).ok());
  EXPECT_EQ(*journal().LastSequence(), 100);
  Open();
  EXPECT_EQ(*journal().LastSequence(), 100);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3, 4, 5));
}

TEST_P(JournalContract, RemovesEntriesFromQuarantineWithOneSync) {
  const std::vector<std::int64_t> positions = Append(1, 4);
  for (const std::int64_t position : positions) {
    ASSERT_TRUE(QuarantineOne(journal(), position, "bad", 1).ok());
  }
  const int before = under_test_->syncs();
  const std::vector<std::int64_t> sequences = {1, 3, 4, 77};
  ASSERT_TRUE(journal().RemoveQuarantined(sequences).ok());
  EXPECT_EQ(under_test_->syncs(), before + 1);
  EXPECT_EQ(journal().quarantined(), 1u);
  EXPECT_EQ(journal().quarantined_bytes(), 1u);
  Open();
  EXPECT_THAT(Quarantined(), ElementsAre(2));
  EXPECT_THAT(Sequences(), IsEmpty());
}

// --- Faults ---

TEST_P(JournalContract, ADamagedEntryIsQuarantinedAndTheRestIsReplayed) {
  using Part = JournalUnderTest::Part;
  for (const Part part :
       {Part::kKind, Part::kHash, Part::kRowHash, Part::kContent, Part::kSite,
        Part::kTime, Part::kPosition}) {
    SCOPED_TRACE(static_cast<int>(part));
    under_test_.reset();
    under_test_ = GetParam().make();
    Open();
    Append(1, 3, "canary");
    under_test_->Damage(2, part);
    EXPECT_THAT(Sequences(), ElementsAre(1, 3));
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(journal().quarantined(), 1u);
      EXPECT_EQ(journal().damaged(), 1u);
      const auto all = journal().ListQuarantine(0, 10, true);
      ASSERT_TRUE(all.ok()) << all.status();
      ASSERT_THAT(*all, SizeIs(1));
      EXPECT_TRUE(all->at(0).damaged);
      EXPECT_EQ(all->at(0).submission.sequence, 2);
      EXPECT_THAT(all->at(0).reason,
                  StartsWith("damaged in the journal's file: its "));
      EXPECT_THAT(all->at(0).reason, Not(HasSubstr("canar")));
      const absl::Status released = journal().Release(2).status();
      EXPECT_EQ(released.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(released.message()),
                  HasSubstr(all->at(0).reason));
      EXPECT_EQ(journal().quarantined(), 1u);
      Open();
      EXPECT_THAT(Sequences(), ElementsAre(1, 3));
    }
    EXPECT_THAT(Append(4, 4), ElementsAre(4));
  }
}

TEST_P(JournalContract, ADamagedSequenceIsNotUsed) {
  Append(1, 3);
  Append(4, 4);
  ASSERT_TRUE(QuarantineOne(journal(), 4, "reason", 1).ok());
  under_test_->ChangeSequence(1, std::int64_t{1} << 40);
  under_test_->ChangeSequence(2, 4);
  EXPECT_THAT(Sequences(), ElementsAre(3));
  const std::vector<std::int64_t> quarantined = Quarantined();
  ASSERT_THAT(quarantined, SizeIs(3));
  EXPECT_EQ(quarantined[0], 4);
  EXPECT_GT(quarantined[1], std::int64_t{1} << 61);
  EXPECT_TRUE(journal().Release(4).ok());
  EXPECT_EQ(*journal().LastSequence(), 4);
}

TEST_P(JournalContract, AnEntryThatIsQuarantinedIsVerifiedFirst) {
  Append(1, 2, "canary");
  under_test_->Damage(2, JournalUnderTest::Part::kContent);
  ASSERT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  EXPECT_EQ(journal().damaged(), 1u);
  EXPECT_TRUE(journal().ListQuarantine(0, 10, false)->at(0).damaged);
}

TEST_P(JournalContract, ADamagedSubmissionDoesNotStandForAnUndamagedOne) {
  std::vector<JournalEntry> entries = {MakeEntry(1, "same"),
                                       MakeEntry(2, "same")};
  for (JournalEntry& e : entries) e.submission.submission_id = "id";
  ASSERT_TRUE(TryAppend(entries).ok());
  under_test_->Damage(1, JournalUnderTest::Part::kContent);
  EXPECT_THAT(Sequences(), ElementsAre(2));
  ASSERT_TRUE(QuarantineOne(journal(), 2, "reason", 1).ok());
  EXPECT_THAT(Quarantined(), ElementsAre(1, 2));
  EXPECT_TRUE(journal().Release(2).ok());
}

TEST_P(JournalContract, ASubmissionDamagedInQuarantineIsNotReleased) {
  Append(1, 2);
  ASSERT_TRUE(QuarantineOne(journal(), 1, "rejected", 1).ok());
  under_test_->DamageQuarantined(1);
  EXPECT_EQ(journal().Release(1).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(journal().ListQuarantine(0, 10, true)->at(0).damaged);
  Open();
  EXPECT_EQ(journal().damaged(), 1u);
  const auto all = journal().ListQuarantine(0, 10, false);
  EXPECT_THAT(all->at(0).reason, HasSubstr("its content does not match"));
  EXPECT_THAT(all->at(0).reason, HasSubstr("rejected"));
  EXPECT_EQ(journal().Release(1).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Sequences(), ElementsAre(2));
}

TEST_P(JournalContract, AnOlderCopyInItsPlaceIsNoticed) {
  Append(1, 100);
  under_test_->Remember();
  Append(101, 250);
  under_test_->PutBack();
  for (int round = 0; round < 2; ++round) {
    const absl::Status status = under_test_->TryOpen({}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("entries 101 to 250 were acknowledged and are not in "
                          "the file (150 entries)"));
  }
  {
    const auto left = under_test_->TryOpen({.accept_damage = true});
    ASSERT_TRUE(left.ok()) << left.status();
    EXPECT_THAT((*left)->accepted_damage(), HasSubstr("entries 101 to 250"));
    EXPECT_THAT(SequencesOf(**left), SizeIs(100));
  }
  Open();
  EXPECT_EQ(journal().accepted_damage(), "");
  EXPECT_THAT(Append(251, 251), ElementsAre(251)) << "positions go on";
  EXPECT_EQ(*journal().LastSequence(), 251);
  EXPECT_THAT(Sequences(), SizeIs(101));
}

TEST_P(JournalContract, AFullDiskTakesNothingUntilThereIsRoom) {
  Append(1, 2);
  under_test_->SetDiskFull(true);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(TryAppend(3).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(journal().Check().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  EXPECT_THAT(SequencesOf(*under_test_->OpenAfterKill()), ElementsAre(1, 2));
  under_test_->SetDiskFull(false);
  EXPECT_TRUE(journal().Check().ok());
  EXPECT_THAT(Append(4, 4), ElementsAre(3));
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 4));
}

TEST_P(JournalContract, ADiskFullInTheMiddleOfAGroupTakesNothing) {
  under_test_->SetDiskFull(true);
  // The entries have more bytes than SQLite holds in memory before a commit.
  std::vector<JournalEntry> entries;
  for (std::int64_t sequence = 1; sequence <= 100; ++sequence) {
    entries.push_back(MakeEntry(sequence, std::string(100'000, 'x')));
  }
  EXPECT_EQ(TryAppend(entries).code(), absl::StatusCode::kUnavailable);
  under_test_->SetDiskFull(false);
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_TRUE(TryAppend(entries).ok());
  EXPECT_EQ(entries.back().position, 100);
}

TEST_P(JournalContract, AGroupWhoseSyncFailedIsNotThereEvenAfterAKill) {
  Append(1, 2);
  under_test_->SetSyncsFail(true);
  EXPECT_EQ(TryAppend(3).code(), absl::StatusCode::kUnavailable);
  under_test_->SetSyncsFail(false);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  // Copy the journal before anything else is written, which could hide the
  // failed group.
  EXPECT_THAT(SequencesOf(*under_test_->OpenAfterKill()), ElementsAre(1, 2));
  EXPECT_THAT(Append(4, 4), ElementsAre(3));
  Open();
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 4));
}

TEST_P(JournalContract, AFailedCommitForgetsQuarantinesAndReleasesNothing) {
  Append(1, 4);
  ASSERT_TRUE(QuarantineOne(journal(), 1, "reason", 1).ok());
  journal().MarkDone(2);
  under_test_->SetSyncsFail(true);
  EXPECT_EQ(journal().Forget().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(QuarantineOne(journal(), 3, "reason", 1).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(journal().Release(1).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(journal().quarantined(), 1u);
  EXPECT_THAT(Sequences(), ElementsAre(2, 3, 4));
  EXPECT_EQ(journal().Check().code(), absl::StatusCode::kUnavailable);
  under_test_->SetSyncsFail(false);
  EXPECT_THAT(Append(5, 5), ElementsAre(5));
  EXPECT_THAT(Sequences(), ElementsAre(3, 4, 5));
  EXPECT_THAT(Quarantined(), ElementsAre(1));
}

TEST_P(JournalContract, CheckWritesOnlyUntilThatHasSucceeded) {
  under_test_->SetSyncsFail(true);
  EXPECT_FALSE(TryAppend(1).ok());
  EXPECT_EQ(journal().Check().code(), absl::StatusCode::kUnavailable);
  under_test_->SetSyncsFail(false);
  const int failed = under_test_->syncs();
  EXPECT_TRUE(journal().Check().ok());
  const int probed = under_test_->syncs();
  EXPECT_GT(probed, failed);
  EXPECT_TRUE(journal().Check().ok());
  EXPECT_EQ(under_test_->syncs(), probed);
  EXPECT_THAT(Sequences(), IsEmpty());
}

TEST_P(JournalContract, CheckAndMarkingDoNotWaitForACommit) {
  Append(1, 1);
  under_test_->HoldSyncs();
  std::thread writer([this] { EXPECT_TRUE(TryAppend(2).ok()); });
  ASSERT_TRUE(under_test_->AwaitHeldSync());
  const absl::Time start = absl::Now();
  EXPECT_TRUE(journal().Check().ok());
  journal().MarkDone(1);
  EXPECT_EQ(journal().quarantined(), 0u);
  EXPECT_THAT(*journal().FindQuarantined("study", {"id-1"}), SizeIs(1));
  EXPECT_LT(absl::Now() - start, kCheckMax);
  under_test_->ReleaseSyncs();
  writer.join();
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_THAT(Sequences(), ElementsAre(2));
}

TEST_P(JournalContract, CheckTellsAndDoesNotWaitForAnotherWriter) {
  Append(1, 1);
  under_test_->Hang();
  const absl::Time start = absl::Now();
  EXPECT_EQ(journal().Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - start, kCheckMax);
  EXPECT_THAT(Sequences(), ElementsAre(1)) << "reading goes on";
  under_test_->Resume();
  EXPECT_TRUE(journal().Check().ok());
  EXPECT_TRUE(TryAppend(2).ok());
}

TEST_P(JournalContract, ThreadsAppendForgetAndQuarantineAtTheSameTime) {
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
        ASSERT_TRUE(TryAppend(entries).ok());
        journal().MarkDone(entries[0].position);
        ASSERT_TRUE(QuarantineOne(journal(), entries[1].position, "r", 1).ok());
        kept += 2;
        if (round % 8 == 0) {
          ASSERT_TRUE(journal().Forget().ok());
        }
        if (round % 8 == 4) {
          ASSERT_TRUE(journal().Release(entries[1].submission.sequence).ok());
          ++kept;
        }
        ASSERT_TRUE(journal().Check().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(journal().Forget().ok());
  EXPECT_THAT(Replay(journal()), SizeIs(static_cast<std::size_t>(kept)));
  EXPECT_EQ(journal().quarantined(),
            static_cast<std::size_t>(kThreads * kRounds * 7 / 8));
}

std::string NameOf(const testing::TestParamInfo<JournalCase>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Journals, JournalContract,
    testing::Values(JournalCase{
        "sqlite", [] { return std::make_unique<SqliteJournalUnderTest>(); }}),
    NameOf);

}  // namespace
}  // namespace sluice

// Removes or replaces the files of an open store or journal. Nothing that would
// be lost at the next kill may be acknowledged.

#include "stores/open_files.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/journal.h"
#include "stores/sqlite_store.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void Replace(const std::string& path) {
  std::filesystem::rename(path, path + ".before");
  std::filesystem::copy_file(path + ".before", path);
}

// The suffix of a file of the database, and what happens to the file.
struct Loss {
  std::string name;
  std::string suffix;
  std::string how;
};

void PrintTo(const Loss& loss, std::ostream* out) { *out << loss.name; }

std::string NameOf(const testing::TestParamInfo<Loss>& info) {
  return info.param.name;
}

const Loss kLosses[] = {
    {"DatabaseRemoved", "", "removed"},  {"DatabaseReplaced", "", "replaced"},
    {"LogRemoved", "-wal", "removed"},   {"LogReplaced", "-wal", "replaced"},
    {"IndexRemoved", "-shm", "removed"}, {"IndexReplaced", "-shm", "replaced"}};
const Loss kStateLosses[] = {{"StateRemoved", ".state", "removed"},
                             {"StateReplaced", ".state", "replaced"}};

class LostFile : public testing::TestWithParam<Loss> {
 protected:
  void Lose() const {
    const std::string path = path_ + GetParam().suffix;
    if (GetParam().how == "replaced") return Replace(path);
    std::filesystem::remove(path);
  }
  void ExpectNamed(const absl::Status& status) const {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(absl::StrCat("/file.db", GetParam().suffix,
                                             " was ", GetParam().how)),
                      HasSubstr("Stop the server")));
  }

  // Copies the file without its log, as it would be after a kill.
  std::string CopyOfDatabase() const {
    const std::string copy = folder_ / "copy.db";
    std::filesystem::copy_file(path_, copy);
    return copy;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "file.db";
  FaultyDisk disk_;
};

// --- Store ---

class LostFileOfStore : public LostFile {
 protected:
  LostFileOfStore()
      : store_(*SqliteStore::Open({.path = path_},
                                  [](auto...) { return false; })) {}

  absl::Status Save(std::int64_t sequence) {
    const Submission submission =
        MakeSubmission(sequence, absl::StrCat(sequence));
    Saved saved;
    return store_->SaveBatch({&submission, 1}, {&saved, 1});
  }

  const std::unique_ptr<SqliteStore> store_;
};

TEST_P(LostFileOfStore, EndsAcknowledgements) {
  ASSERT_TRUE(Save(1).ok());
  Lose();
  ExpectNamed(Save(2));
  ExpectNamed(Save(3));
  ExpectNamed(store_->Check());
}

TEST_P(LostFileOfStore, IsNoticedByCheck) {
  ASSERT_TRUE(Save(1).ok());
  Lose();
  ExpectNamed(store_->Check());
  ExpectNamed(Save(2));
}

TEST_P(LostFileOfStore, IsNoticedDuringACommit) {
  disk_.HoldSyncs();
  absl::Status status;
  std::thread saving([&] { status = Save(1); });
  ASSERT_TRUE(disk_.WaitForHeldSync());
  Lose();
  disk_.ReleaseSyncs();
  saving.join();
  ExpectNamed(status);
}

TEST_P(LostFileOfStore, LosesNothingThatWasAcknowledgedBefore) {
  if (GetParam().suffix.empty()) GTEST_SKIP() << "the data itself is lost";
  ASSERT_TRUE(Save(1).ok());
  Lose();
  ExpectNamed(Save(2));
  EXPECT_THAT(Shell(CopyOfDatabase())
                  .Run("SELECT sequence FROM submissions WHERE sequence = 1"),
              ElementsAre(ElementsAre("1")));
}

TEST_P(LostFileOfStore, MayComeBack) {
  ASSERT_TRUE(Save(1).ok());
  const std::string path = path_ + GetParam().suffix;
  std::filesystem::rename(path, folder_ / "aside");
  EXPECT_FALSE(store_->Check().ok());
  EXPECT_FALSE(Save(2).ok());
  std::filesystem::rename(folder_ / "aside", path);
  EXPECT_TRUE(Save(3).ok());
  EXPECT_TRUE(store_->Check().ok());
}

INSTANTIATE_TEST_SUITE_P(Files, LostFileOfStore, testing::ValuesIn(kLosses),
                         NameOf);

// --- Journal ---

class LostFileOfJournal : public LostFile {
 protected:
  LostFileOfJournal() : journal_(*Journal::Open(path_)) {}

  absl::Status Append(std::int64_t sequence) {
    std::vector<JournalEntry> entries = {MakeEntry(sequence)};
    return AppendGroup(*journal_, entries);
  }

  const std::unique_ptr<Journal> journal_;
};

TEST_P(LostFileOfJournal, EndsAcknowledgements) {
  ASSERT_TRUE(Append(1).ok());
  Lose();
  ExpectNamed(Append(2));
  ExpectNamed(Append(3));
  ExpectNamed(journal_->Check());
  ExpectNamed(QuarantineOne(*journal_, 1, "reason", 1));
  journal_->MarkDone(1);
  ExpectNamed(journal_->Forget());
}

// The journal assigned a position in the commit that it does not know of.
TEST_P(LostFileOfJournal, StaysDownAfterACommitThatWasLost) {
  ASSERT_TRUE(Append(1).ok());
  ASSERT_TRUE(QuarantineOne(*journal_, 1, "reason", 1).ok());
  const std::string path = path_ + GetParam().suffix;
  std::filesystem::rename(path, folder_ / "aside");
  ASSERT_FALSE(Append(2).ok());
  std::filesystem::rename(folder_ / "aside", path);
  EXPECT_FALSE(journal_->Discard(1, "reason", "operator").ok());
  EXPECT_FALSE(journal_->Release(1).ok());
  EXPECT_FALSE(Append(3).ok());
  EXPECT_FALSE(journal_->Check().ok());
}

TEST_P(LostFileOfJournal, IsNoticedByCheck) {
  ASSERT_TRUE(Append(1).ok());
  Lose();
  ExpectNamed(journal_->Check());
  ExpectNamed(Append(2));
}

TEST_P(LostFileOfJournal, IsNoticedDuringACommit) {
  disk_.HoldSyncs();
  absl::Status status;
  std::thread appending([&] { status = Append(1); });
  ASSERT_TRUE(disk_.WaitForHeldSync());
  Lose();
  disk_.ReleaseSyncs();
  appending.join();
  ExpectNamed(status);
}

TEST_P(LostFileOfJournal, LosesNothingThatWasAcknowledgedBefore) {
  if (GetParam().suffix.empty()) GTEST_SKIP() << "the data itself is lost";
  ASSERT_TRUE(Append(1).ok());
  Lose();
  ExpectNamed(Append(2));
  EXPECT_THAT(Shell(CopyOfDatabase())
                  .Run("SELECT sequence FROM entries WHERE sequence = 1"),
              ElementsAre(ElementsAre("1")));
}

TEST_P(LostFileOfJournal, MayComeBackIfNothingWasCommittedMeanwhile) {
  ASSERT_TRUE(Append(1).ok());
  const std::string path = path_ + GetParam().suffix;
  std::filesystem::rename(path, folder_ / "aside");
  EXPECT_FALSE(journal_->Check().ok());
  EXPECT_FALSE(Append(2).ok());
  std::filesystem::rename(folder_ / "aside", path);
  EXPECT_TRUE(Append(3).ok());
  EXPECT_THAT(SequencesOf(*journal_), ElementsAre(1, 3));
}

INSTANTIATE_TEST_SUITE_P(Files, LostFileOfJournal, testing::ValuesIn(kLosses),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(State, LostFileOfJournal,
                         testing::ValuesIn(kStateLosses), NameOf);

}  // namespace
}  // namespace sluice

#include "stores/sqlite_copy.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/journal.h"
#include "stores/sqlite_store.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;

bool SameNever(SubmissionKind /*kind*/, std::string_view /*a*/,
               std::string_view /*b*/) {
  return false;
}

// A store of 32 MiB, so that its copy needs several steps.
class SqliteCopy : public testing::Test {
 protected:
  static constexpr int kSubmissions = 16;

  SqliteCopy() {
    for (int i = 1; i <= kSubmissions; ++i) Save(i);
  }

  void Save(std::int64_t sequence) {
    const Submission submission =
        MakeSubmission(sequence, absl::StrCat(sequence),
                       std::string(std::size_t{2} << 20, 'x'));
    Saved saved;
    const absl::Status status =
        store_->SaveBatch({&submission, 1}, {&saved, 1});
    EXPECT_TRUE(status.ok()) << status;
  }

  static std::string CountIn(const std::string& path) {
    return Shell(path).Run("SELECT count(*) FROM submissions")[0][0];
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
  const std::string copy_ = folder_ / "copy.db";
  const std::unique_ptr<SqliteStore> store_ =
      *SqliteStore::Open({.path = path_}, SameNever);
};

TEST_F(SqliteCopy, HasTheStateOfOneMomentWhileAWriterContinues) {
  // Commit between all steps. Each commit must succeed without waiting for the
  // copy, and must not make the copy begin again.
  int rests = 0;
  const absl::Status status = store_->Backup(
      copy_, {.go_on = [&] { return rests < 20; },
              .rest = [&](absl::Duration) { Save(100 + ++rests); }});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GE(rests, 4);
  EXPECT_LE(rests, 12);
  EXPECT_EQ(CountIn(copy_), absl::StrCat(kSubmissions));
  EXPECT_EQ(Shell(copy_).Run("PRAGMA integrity_check")[0][0], "ok");
  EXPECT_EQ(CountIn(path_), absl::StrCat(kSubmissions + rests));
  // The copy is a store.
  const auto restored = SqliteStore::Open({.path = copy_}, SameNever);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(*(*restored)->LastSequence(), kSubmissions);
}

TEST_F(SqliteCopy, IsReadByItsOwnerOnly) {
  ASSERT_TRUE(store_->Backup(copy_, {.rest = [](absl::Duration) {}}).ok());
  EXPECT_EQ(std::filesystem::status(copy_).permissions(),
            std::filesystem::perms(0600));
}

TEST_F(SqliteCopy, EndsWhenItIsNotWanted) {
  int steps = 0;
  const absl::Status status = store_->Backup(
      copy_,
      {.go_on = [&] { return ++steps < 2; }, .rest = [](absl::Duration) {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(steps, 2);
}

TEST_F(SqliteCopy, ReplacesNothing) {
  std::ofstream(copy_) << "something";
  EXPECT_EQ(store_->Backup(copy_, {}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(FileBytes(copy_), "something");
}

TEST_F(SqliteCopy, CreatesNoMissingDatabase) {
  const std::string missing = folder_ / "missing.db";
  EXPECT_EQ(CopySqliteDatabase(missing, copy_, {}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(missing));
}

TEST_F(SqliteCopy, OfAFileThatWasReplacedIsNoBackup) {
  std::filesystem::rename(path_, path_ + ".before");
  std::filesystem::copy_file(path_ + ".before", path_);
  EXPECT_EQ(store_->Backup(copy_, {.rest = [](absl::Duration) {}}).code(),
            absl::StatusCode::kUnavailable);
  // Opening such a file beside the log of the store could damage both.
  EXPECT_FALSE(std::filesystem::exists(copy_));
}

TEST(JournalCopy, IsAcceptedWithItsStateFile) {
  const TempFolder folder;
  const std::string copy = folder / "copy.db";
  {
    const auto journal = *Journal::Open(folder / "journal.db");
    AppendRange(*journal, 1, 5, "content");
    ASSERT_TRUE(QuarantineOne(*journal, 2, "reason", 3).ok());
    journal->MarkDone(1);
    ASSERT_TRUE(journal->Forget().ok());
    const absl::Status status = journal->Backup(copy, {});
    ASSERT_TRUE(status.ok()) << status;
    // Later entries are not in the copy.
    AppendRange(*journal, 6, 9, "content");
  }
  EXPECT_EQ(std::filesystem::status(copy + ".state").permissions(),
            std::filesystem::perms(0600));
  const auto restored = Journal::Open(copy);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_THAT(SequencesOf(**restored), ElementsAre(3, 4, 5));
  EXPECT_EQ((*restored)->quarantined(), 1u);
  EXPECT_EQ(*(*restored)->LastSequence(), 5);
}

TEST(JournalCopy, MayBeMadeDuringAppends) {
  const TempFolder folder;
  const auto journal = *Journal::Open(folder / "journal.db");
  const std::string content(std::size_t{1} << 20, 'x');
  for (int i = 1; i <= 20; ++i) AppendRange(*journal, i, i, content);
  int last = 20;
  const std::string copy = folder / "copy.db";
  const absl::Status status =
      journal->Backup(copy, {.rest = [&](absl::Duration) {
                        ++last;
                        AppendRange(*journal, last, last, content);
                      }});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GT(last, 20);
  const auto restored = Journal::Open(copy);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(SequencesOf(**restored).size(), 20u);
}

}  // namespace
}  // namespace sluice

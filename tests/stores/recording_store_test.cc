#include "stores/recording_store.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sequence_series.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/sequence_file.h"
#include "stores/server_registry.h"
#include "stores/sqlite_store.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

class SequenceFileTest : public testing::Test {
 protected:
  using Numbers = SequenceFile::Numbers;

  SequenceFile::Content Read() const {
    const auto content = SequenceFile::Read(path_);
    EXPECT_TRUE(content.ok()) << content.status();
    return *content;
  }

  void FlipByteAt(std::size_t offset) const {
    std::string bytes = FileBytes(path_);
    bytes[offset] = static_cast<char>(bytes[offset] ^ 1);
    std::ofstream(path_, std::ios::binary) << bytes;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db.sequence";
};

TEST_F(SequenceFileTest, HasTheNumberThatWasWrittenLast) {
  EXPECT_FALSE(Read().file_exists);
  {
    auto file = SequenceFile::Open(path_, {.saved = 7, .assigned = 70});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(Read().last, Optional(Numbers{7, 70}));
    for (int i = 8; i < 12; ++i) {
      ASSERT_TRUE(file->Write({.saved = i, .assigned = 10 * i}).ok());
      EXPECT_THAT(Read().last, Optional(Numbers{i, 10 * i}));
    }
  }
  // The number of the server was changed, so its numbers are lower.
  ASSERT_TRUE(SequenceFile::Open(path_, {3, 4}).ok());
  EXPECT_THAT(Read().last, Optional(Numbers{3, 4}));
}

TEST_F(SequenceFileTest, ATornWriteLeavesTheNumberBefore) {
  ASSERT_TRUE(SequenceFile::Open(path_, {7, 7})->Write({8, 9}).ok());
  FlipByteAt(10);  // in the slot of 8
  EXPECT_THAT(Read().last, Optional(Numbers{7, 7}));
  FlipByteAt(4096 + 10);
  EXPECT_TRUE(Read().file_exists);
  EXPECT_EQ(Read().last, std::nullopt);
}

// A file of version 1, as the version before wrote it: the number 7 in both
// slots.
TEST_F(SequenceFileTest, OfVersion1HasOneNumber) {
  std::string slot("SluSeq\0\1\7\0\0\0\0\0\0\0", 16);
  const Sha256Digest seal = Sha256(slot);
  slot.append(seal.begin(), seal.end());
  std::string file = slot;
  file.resize(4096);
  std::ofstream(path_, std::ios::binary) << file << slot;
  EXPECT_THAT(Read().last, Optional(Numbers{7, 7}));
  ASSERT_TRUE(SequenceFile::Open(path_, {7, 9}).ok());
  EXPECT_THAT(Read().last, Optional(Numbers{7, 9}));
}

TEST_F(SequenceFileTest, CreatesItsDirectory) {
  const std::string path = folder_ / "data/of/journal.db.sequence";
  ASSERT_TRUE(SequenceFile::Open(path, {7, 7}).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SequenceFileTest, IsReadByItsOwnerOnly) {
  ASSERT_TRUE(SequenceFile::Open(path_, {7, 7}).ok());
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms(0600));
}

class RecordingStoreTest : public testing::Test {
 protected:
  void Open() {
    store_.reset();
    auto sqlite =
        SqliteStore::Open({.path = path_}, [](auto...) { return false; });
    ASSERT_TRUE(sqlite.ok()) << sqlite.status();
    std::vector<std::string> paths = {path_ + ".sequence"};
    paths.insert(paths.end(), more_paths_.begin(), more_paths_.end());
    auto store = RecordingStore::Open(*std::move(sqlite), paths);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Save(std::int64_t sequence, const std::string& id) {
    const std::vector<Submission> batch = {MakeSubmission(sequence, id)};
    std::vector<Saved> saved(1);
    const absl::Status status = store_->SaveBatch(batch, absl::MakeSpan(saved));
    EXPECT_TRUE(status.ok()) << status;
  }
  void Save(std::int64_t sequence) { Save(sequence, absl::StrCat(sequence)); }

  // Replaces the store by an older copy of it, which has the numbers 1 to 3.
  void RestoreOlderCopy() {
    Open();
    for (int i = 1; i <= 3; ++i) Save(i);
    store_.reset();
    std::filesystem::copy_file(path_, folder_ / "older.db");
    Open();
    for (int i = 4; i <= 9; ++i) Save(i);
    store_.reset();
    std::filesystem::rename(folder_ / "older.db", path_);
    Open();
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
  // Sequence files beside the first.
  std::vector<std::string> more_paths_;
  std::unique_ptr<RecordingStore> store_;
};

TEST_F(RecordingStoreTest, LacksNothingAfterARestart) {
  Open();
  EXPECT_EQ(*store_->LastSequence(), 0);
  Save(1);
  Save(2, "1");  // leaves a gap
  EXPECT_EQ(*store_->LastSequence(), 2);
  Open();
  EXPECT_THAT(store_->missing(), IsEmpty());
  EXPECT_EQ(*store_->LastSequence(), 2);
}

TEST_F(RecordingStoreTest, AnOlderCopyIsNamedAndNoNumberIsUsedAgain) {
  RestoreOlderCopy();
  EXPECT_THAT(store_->missing(),
              AllOf(HasSubstr("acknowledged numbers 4 to 9 are missing"),
                    HasSubstr(path_ + ".sequence")));
  EXPECT_EQ(*store_->LastSequence(), 9);
  // The next start names the missing numbers again, unless submissions with
  // higher numbers were stored.
  Open();
  EXPECT_THAT(store_->missing(), HasSubstr("4 to 9"));
  Save(10);
  Open();
  EXPECT_THAT(store_->missing(), IsEmpty());
}

TEST_F(RecordingStoreTest, ADamagedFileIsNamedAndWrittenAgain) {
  Open();
  Save(1);
  store_.reset();
  std::ofstream(path_ + ".sequence") << "no number";
  Open();
  EXPECT_THAT(store_->missing(), HasSubstr(".sequence is damaged"));
  Open();
  EXPECT_THAT(store_->missing(), IsEmpty());
}

TEST_F(RecordingStoreTest, NumbersOfAnotherServerAreIgnored) {
  const std::int64_t other = BeginOfSeries(1) + 5;
  ASSERT_TRUE(SequenceFile::Open(path_ + ".sequence", {other, other}).ok());
  Open();
  EXPECT_THAT(store_->missing(), IsEmpty());
  EXPECT_EQ(*store_->LastSequence(), 0);
}

// They come from a journal of that server.
TEST_F(RecordingStoreTest, SavedNumbersOfAnotherServerAreIgnored) {
  Open();
  Save(BeginOfSeries(1) + 5);
  Save(3);
  store_->RecordAssigned(BeginOfSeries(1) + 6);
  EXPECT_THAT(SequenceFile::Read(path_ + ".sequence")->last,
              Optional(SequenceFile::Numbers{3, 3}));
}

TEST_F(RecordingStoreTest, NumbersContinueAfterAssignedNumbers) {
  Open();
  Save(1);
  store_->RecordAssigned(7);
  EXPECT_EQ(*store_->LastSequence(), 7);
  Save(2);
  store_->RecordAssigned(5);
  Open();
  EXPECT_EQ(*store_->LastSequence(), 7);
  // The store lacks nothing that it had.
  EXPECT_THAT(store_->missing(), IsEmpty());
}

// Each pool of the store may have got its journal at another time.
TEST_F(RecordingStoreTest, OfSeveralFilesTheHighestNumbersOfTheServerCount) {
  const std::int64_t other = BeginOfSeries(1) + 500;
  more_paths_ = {folder_ / "a", folder_ / "b", folder_ / "c"};
  ASSERT_TRUE(SequenceFile::Open(more_paths_[0], {5, 60}).ok());
  ASSERT_TRUE(SequenceFile::Open(more_paths_[1], {6, 50}).ok());
  ASSERT_TRUE(SequenceFile::Open(more_paths_[2], {other, other}).ok());
  ASSERT_TRUE(SequenceFile::Open(path_ + ".sequence", {3, 4}).ok());
  Open();
  EXPECT_EQ(*store_->LastSequence(), 60);
  EXPECT_THAT(store_->missing(),
              AllOf(HasSubstr("numbers 1 to 6 are missing"),
                    HasSubstr(more_paths_[1]), HasSubstr("continue after 60")));
  EXPECT_THAT(SequenceFile::Read(path_ + ".sequence")->last,
              Optional(SequenceFile::Numbers{6, 60}));
}

TEST_F(RecordingStoreTest, OfSeveralFilesTheDamagedFirstIsNamed) {
  Open();
  ASSERT_TRUE(store_->registry()->Reserve(1000).ok());
  store_.reset();
  more_paths_ = {folder_ / "a"};
  ASSERT_TRUE(SequenceFile::Open(more_paths_[0], {5, 60}).ok());
  std::ofstream(path_ + ".sequence") << "no number";
  Open();
  EXPECT_THAT(store_->missing(), HasSubstr(".sequence is damaged"));
  EXPECT_EQ(*store_->LastSequence(), 1000);
}

// A store and its journals may be an older copy, without the file.
TEST_F(RecordingStoreTest, WithoutItsFileReservedNumbersCountAsAssigned) {
  Open();
  Save(1);
  ASSERT_TRUE(store_->registry()->Reserve(1000).ok());
  Open();
  EXPECT_EQ(*store_->LastSequence(), 1);
  store_.reset();
  std::filesystem::remove(path_ + ".sequence");
  Open();
  EXPECT_EQ(*store_->LastSequence(), 1000);
  EXPECT_THAT(store_->missing(), IsEmpty());
}

TEST_F(RecordingStoreTest, AStoreWithoutItsFileIsAsBefore) {
  Open();
  Save(5);
  store_.reset();
  std::filesystem::remove(path_ + ".sequence");
  Open();
  EXPECT_THAT(store_->missing(), IsEmpty());
  EXPECT_EQ(*store_->LastSequence(), 5);
}

}  // namespace
}  // namespace sluice

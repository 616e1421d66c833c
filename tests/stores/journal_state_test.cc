#include "stores/journal_state.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

JournalState MakeState(std::int64_t commits) {
  return {.id = NewJournalId(),
          .commits = commits,
          .last_position = 20,
          .entries = 30,
          .quarantined = 40,
          .last_sequence = 50,
          .chain = FakeDigest("chain")};
}

TEST(JournalStateText, IsReadBackEqual) {
  const JournalState state = MakeState(10);
  const std::string bytes = EncodeJournalState(state);
  EXPECT_EQ(bytes.size(), kJournalStateBytes);
  EXPECT_EQ(DecodeJournalState(bytes), state);
  EXPECT_NE(NewJournalId(), NewJournalId());
}

TEST(JournalStateText, AnyFlippedBitIsNoticed) {
  const std::string bytes = EncodeJournalState(MakeState(10));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(DecodeJournalState(flipped), std::nullopt) << bit;
  }
  EXPECT_EQ(DecodeJournalState(bytes.substr(1)), std::nullopt);
  EXPECT_EQ(DecodeJournalState(bytes + "x"), std::nullopt);
  EXPECT_EQ(DecodeJournalState(std::string(kJournalStateBytes, '\0')),
            std::nullopt);
}

TEST(JournalStateFile, AMissingFileIsNoError) {
  const TempFolder folder;
  const auto known = JournalStateFile::Read(folder / "state");
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_FALSE(known->file_exists);
  EXPECT_EQ(known->state, std::nullopt);
}

TEST(JournalStateFile, HasTheLastStateThatWasWritten) {
  const TempFolder folder;
  for (std::int64_t commits = 1; commits < 10; commits += 3) {
    auto file = JournalStateFile::Open(folder / "state", MakeState(commits));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(JournalStateFile::Read(folder / "state")->state->commits,
              commits);
    for (std::int64_t next = commits + 1; next < commits + 3; ++next) {
      EXPECT_TRUE(file->Write(MakeState(next)).ok());
      EXPECT_EQ(JournalStateFile::Read(folder / "state")->state->commits, next);
    }
  }
}

TEST(JournalStateFile, ATornWriteLeavesTheStateBefore) {
  const TempFolder folder;
  auto file = JournalStateFile::Open(folder / "state", MakeState(1));
  ASSERT_TRUE(file.ok()) << file.status();
  std::string before = FileBytes(folder / "state");
  for (std::int64_t commits = 2; commits < 6; ++commits) {
    ASSERT_TRUE(file->Write(MakeState(commits)).ok());
    const std::string after = FileBytes(folder / "state");
    before.resize(after.size());
    for (std::size_t torn = 0; torn < after.size(); torn += 100) {
      std::ofstream(folder / "torn", std::ios::binary)
          << after.substr(0, torn) << before.substr(torn);
      const auto known = JournalStateFile::Read(folder / "torn");
      ASSERT_TRUE(known->state.has_value()) << torn;
      EXPECT_GE(known->state->commits, commits - 1) << torn;
    }
    before = after;
  }
}

TEST(JournalStateFile, OpeningWithFewerCommitsLeavesNoNewerSlot) {
  const TempFolder folder;
  {
    auto file = JournalStateFile::Open(folder / "state", MakeState(8));
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Write(MakeState(9)).ok());
  }
  ASSERT_TRUE(JournalStateFile::Open(folder / "state", MakeState(3)).ok());
  EXPECT_EQ(JournalStateFile::Read(folder / "state")->state->commits, 3);
}

TEST(JournalStateFile, CannotBeADirectory) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "state");
  EXPECT_EQ(JournalStateFile::Read(folder / "state").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      JournalStateFile::Open(folder / "state", MakeState(1)).status().code(),
      absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice

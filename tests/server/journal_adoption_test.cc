#include "server/journal_adoption.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/journal_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AdoptionTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> Open(const std::string& name) {
    auto journal = Journal::Open(folder_ / name, {.series = 0});
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }

  absl::StatusOr<AdoptionCounts> Adopt(
      Journal& from, std::function<absl::Status()> copied = {}) {
    return AdoptEntries(
        from, {.journal_of = [this](std::string_view method) -> Journal& {
                 return method == "RecordEvents" ? *events_ : *own_;
               },
               .copied = std::move(copied)});
  }

  FaultyDisk disk_;
  const TempFolder folder_;
  const std::unique_ptr<Journal> own_ = Open("own.db");
  const std::unique_ptr<Journal> events_ = Open("events.db");
};

TEST_F(AdoptionTest, MovesEntriesInOrderToTheJournalOfTheirMethod) {
  std::vector<JournalEntry> entries;
  for (std::int64_t i = 1; i <= 1000; ++i) entries.push_back(MakeEntry(i));
  entries[6].method = "RecordEvents";
  ASSERT_TRUE(AppendGroup(*Open("other.db"), entries).ok());
  AppendRange(*own_, 2000, 2000, "own");
  const auto other = Open("other.db");
  const int before = disk_.log_syncs();
  const auto counts = Adopt(*other);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->entries, 1000u);
  EXPECT_EQ(counts->damaged, 0u);
  // A group needs a sync in each journal, not one for each entry.
  EXPECT_LT(disk_.log_syncs() - before, 30);
  std::vector<std::int64_t> expected = {2000};
  for (std::int64_t i = 1; i <= 1000; ++i) {
    if (i != 7) expected.push_back(i);
  }
  EXPECT_EQ(SequencesOf(*own_), expected);
  EXPECT_THAT(SequencesOf(*events_), ElementsAre(7));
  EXPECT_EQ(other->unread(), 0u);
  EXPECT_THAT(SequencesOf(*other), IsEmpty());
}

TEST_F(AdoptionTest, MovesQuarantinedEntriesUnlessTheyAreDamaged) {
  {
    const auto other = Open("other.db");
    for (const std::int64_t position : AppendRange(*other, 1, 40, "x")) {
      ASSERT_TRUE(QuarantineOne(*other, position, "bad", 3).ok());
    }
  }
  Shell(folder_ / "other.db")
      .Run("UPDATE quarantine SET content = x'00' WHERE sequence = 5");
  const auto other = Open("other.db");
  const auto counts = Adopt(*other);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->quarantined, 39u);
  EXPECT_EQ(counts->damaged, 1u);
  EXPECT_THAT(SequencesOf(*own_), SizeIs(39));
  EXPECT_EQ(other->quarantined(), 1u);
}

TEST_F(AdoptionTest, AnInterruptedAdoptionLosesNothing) {
  { AppendRange(*Open("other.db"), 1, 600, "x"); }
  int groups = 0;
  {
    const auto other = Open("other.db");
    const auto counts = Adopt(*other, [&] {
      return ++groups == 2 ? absl::UnavailableError("end") : absl::OkStatus();
    });
    EXPECT_THAT(counts.status().message(),
                AllOf(HasSubstr("--adopt-journal"), HasSubstr("end")));
  }
  const auto other = Open("other.db");
  // The second group is in both journals, and the store recognises it.
  EXPECT_THAT(SequencesOf(*other), SizeIs(600 - 256));
  EXPECT_THAT(SequencesOf(*own_), SizeIs(512));
  ASSERT_TRUE(Adopt(*other).ok());
  EXPECT_THAT(SequencesOf(*other), IsEmpty());
  const std::vector<std::int64_t> copies = SequencesOf(*own_);
  const std::set<std::int64_t> adopted(copies.begin(), copies.end());
  EXPECT_THAT(adopted, SizeIs(600));
}

TEST_F(AdoptionTest, AFullDiskLeavesTheEntriesInTheOtherJournal) {
  { AppendRange(*Open("other.db"), 1, 10, "x"); }
  const auto other = Open("other.db");
  disk_.SetFull(true);
  EXPECT_FALSE(Adopt(*other).ok());
  disk_.SetFull(false);
  EXPECT_THAT(SequencesOf(*other), SizeIs(10));
}

TEST_F(AdoptionTest, OnlyAJournalThatNoPoolUsesCanBeAdopted) {
  Config config = JournalConfig(folder_);
  EXPECT_THAT(
      OpenAdopted({folder_ / "./journal.db"}, config, false).status().message(),
      AllOf(HasSubstr("--adopt-journal"),
            HasSubstr("pools.clinical.queue.path")));
  EXPECT_THAT(
      OpenAdopted({folder_ / "missing.db"}, config, false).status(),
      testing::Property(&absl::Status::code, absl::StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing.db"));
  EXPECT_THAT(
      OpenAdopted({folder_ / "own.db"}, config, false).status().message(),
      HasSubstr("own.db"));
  Open("other.db");
  EXPECT_THAT(
      OpenAdopted({folder_ / "other.db", folder_ / "./other.db"}, config, false)
          .status()
          .message(),
      HasSubstr("other.db is given twice"));
  config.pools["clinical"].journal_path = "";
  EXPECT_THAT(
      OpenAdopted({folder_ / "own.db"}, config, false).status().message(),
      HasSubstr("no pool has a journal"));
}

}  // namespace
}  // namespace sluice

#include "server/replay.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// Pools with a journal, but without a server.
class JournalPoolsTest : public testing::Test {
 protected:
  // Appends submissions with the sequence numbers 1 to `count`, and returns
  // their positions.
  static std::vector<std::int64_t> Append(Journal& journal, std::size_t count) {
    std::vector<std::int64_t> positions;
    for (std::size_t i = 1; i <= count; ++i) {
      ReceivedSubmission submission;
      submission.kind = SubmissionKind::kQuestionnaireResponse;
      submission.study_id = "study";
      submission.submission_id = absl::StrCat(i);
      submission.sequence = static_cast<std::int64_t>(i);
      submission.content =
          MakeSubmit(submission.submission_id).SerializeAsString();
      submission.content_sha256 = Sha256(submission.content);
      const std::vector<NewJournalEntry> entries = {
          {MethodName(Method::kSubmit), &submission}};
      const auto position = journal.Append(entries);
      EXPECT_TRUE(position.ok()) << position.status();
      positions.push_back(*position);
    }
    return positions;
  }

  void StartPools(std::size_t capacity) {
    Config config = JournalConfig(folder_);
    config.pools["clinical"].queue_capacity = capacity;
    auto pools = Pools::Start(config, {},
                              {.store = &store_,
                               .clock = SystemClock(),
                               .recent = &recent_,
                               .registry = &registry_});
    ASSERT_TRUE(pools.ok()) << pools.status();
    pools_ = *std::move(pools);
    methods_ = std::make_unique<Methods>(config, *pools_, &recent_, &leftovers_,
                                         &registry_);
  }

  ~JournalPoolsTest() override {
    store_.Release();
    if (pools_ == nullptr) return;
    const TimePoint until =
        SystemClock()->Now() + absl::ToChronoNanoseconds(kPatience);
    pools_->Close(until);
    EXPECT_TRUE(pools_->AwaitIdle(until));
    pools_->Join();
    pools_->CloseJournals();
  }

  FaultyDisk disk_;
  const TempFolder folder_;
  const std::string path_ = folder_ / "journal.db";
  GatedStore store_;
  RecentIds recent_{1000};
  Leftovers leftovers_;
  prometheus::Registry registry_;
  std::unique_ptr<Pools> pools_;
  std::unique_ptr<Methods> methods_;
};

// --- Replays ---

class ClosedPoolTest : public JournalPoolsTest {};

// The entry that is offered to the closed pool counts itself. All others stay
// unread, except the damaged one, which is quarantined.
TEST_F(ClosedPoolTest, EntriesThatItDoesNotTakeAreLeftInTheJournal) {
  {
    const auto journal = Journal::Open(path_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    Append(**journal, 5);
  }
  Shell(path_).Run("UPDATE entries SET content = x'00' WHERE position = 1");
  StartPools(/*capacity=*/10);
  pools_->Close(SystemClock()->Now());
  JournalReplay replay;
  ASSERT_TRUE(replay.Begin(*pools_, *methods_).ok());
  replay.Join();
  const Journal& journal = *pools_->at("clinical").journal;
  EXPECT_EQ(journal.quarantined(), 1u);
  EXPECT_EQ(leftovers_.journaled() + journal.unread(), 4u);
}

// --- Retries of quarantined submissions ---

class RetryQuarantinedTest : public JournalPoolsTest {
 protected:
  void Start(std::size_t capacity, std::size_t quarantined) {
    {
      const auto journal = Journal::Open(path_);
      ASSERT_TRUE(journal.ok()) << journal.status();
      for (const std::int64_t position : Append(**journal, quarantined)) {
        ASSERT_TRUE(QuarantineOne(**journal, position, "bad", 3).ok());
      }
    }
    StartPools(capacity);
  }

  absl::Status Retry(std::int64_t sequence) {
    return RetryQuarantined(pools_->at("clinical"), *methods_, sequence);
  }
};

// An export must find a submission that is being moved out of quarantine.
TEST_F(RetryQuarantinedTest, ASubmissionOnItsWayCountsAsPending) {
  Start(/*capacity=*/10, /*quarantined=*/1);
  store_.Hold();
  EXPECT_THAT(*pools_->PendingSequences(), IsEmpty());
  disk_.HoldSyncs();
  std::thread retry([this] { EXPECT_TRUE(Retry(1).ok()); });
  // The journal is being written, so the submission is not in the queue yet.
  EXPECT_TRUE(disk_.WaitForHeldSync());
  EXPECT_THAT(*pools_->PendingSequences(), Contains(1));
  disk_.ReleaseSyncs();
  retry.join();
  EXPECT_THAT(*pools_->PendingSequences(), ElementsAre(1));
}

TEST_F(RetryQuarantinedTest, ARetryThatFailsIsNotPending) {
  Start(/*capacity=*/10, /*quarantined=*/0);
  EXPECT_EQ(Retry(7).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(*pools_->PendingSequences(), IsEmpty());
}

TEST_F(RetryQuarantinedTest, RetriesAtTheSameTimeDoNotOvershootTheQueue) {
  constexpr std::size_t kCapacity = 2;
  constexpr std::size_t kRetries = 8;
  Start(kCapacity, /*quarantined=*/1 + kRetries);
  store_.Hold();
  ASSERT_TRUE(Retry(1 + kRetries).ok());
  store_.AwaitInFlight(1);
  disk_.HoldSyncs();
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i <= kRetries; ++i) {
    threads.emplace_back(
        [this, i] { Retry(static_cast<std::int64_t>(i)).IgnoreError(); });
  }
  EXPECT_TRUE(disk_.WaitForHeldSync());
  disk_.ReleaseSyncs();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pools_->Snapshots().at("clinical").view.depth, kCapacity);
  EXPECT_EQ(pools_->at("clinical").journal->quarantined(),
            kRetries - kCapacity);
}

}  // namespace
}  // namespace sluice

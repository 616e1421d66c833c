#include "stores/sqlite_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/sqlite_schema.h"
#include "tests/fakes/patience.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/ordinary_user.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Result = Saved::Result;

class SqliteStoreTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SqliteStore>> TryOpen() {
    return SqliteStore::Open(
        {.path = path_, .busy_timeout = busy_timeout_},
        [this](SubmissionKind kind, std::string_view a, std::string_view b) {
          return same_content_ && same_content_(kind, a, b);
        });
  }

  void Open() {
    auto store = TryOpen();
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Reopen() {
    store_.reset();
    Open();
  }

  absl::Status Save(const std::vector<Submission>& batch) {
    saved_.assign(batch.size(), Saved());
    return store_->SaveBatch(batch, absl::MakeSpan(saved_));
  }

  Saved SaveOne(const Submission& submission) {
    const absl::Status status = Save({submission});
    EXPECT_TRUE(status.ok()) << status;
    return saved_[0];
  }

  std::vector<Result> Results() const {
    std::vector<Result> results;
    for (const Saved& saved : saved_) results.push_back(saved.result);
    return results;
  }

  std::optional<StoredReceipt> Find(const std::string& id) {
    const auto receipts = store_->FindReceipts("study", {id});
    EXPECT_TRUE(receipts.ok()) << receipts.status();
    return receipts->at(0);
  }

  Shell::Rows Sql(const std::string& sql) { return Shell(path_).Run(sql); }

  const TempFolder folder_;
  const std::string path_ = folder_ / "data/sluice.db";
  absl::Duration busy_timeout_ = absl::ZeroDuration();
  SameContent same_content_;
  std::unique_ptr<SqliteStore> store_;
  std::vector<Saved> saved_;
};

// --- Stored values ---

TEST_F(SqliteStoreTest, EveryFieldCanBeReadWithSql) {
  Open();
  SaveOne(EveryField(42, "id-1"));
  EXPECT_EQ(
      Sql("SELECT sequence, kind, study_id, submission_id, site_id, subject,"
          " questionnaire, status, authored, authored_at, sent_at, received_at,"
          " supersedes_submission_id, reason_for_change, answers"
          " FROM submissions"),
      (Shell::Rows{{"42", "patient_record", "study", "id-1", "site-1",
                    "Patient/7", "http://example.org/q|1.0", "amended",
                    "2024-03-01T20:15:30+01:00", "2024-03-01T19:15:30.000000Z",
                    "2024-03-01T19:15:31.250000Z",
                    "2024-03-01T19:15:32.000001Z", "id-0", "typing error",
                    R"([{"link_id": "1"}])"}}));
}

TEST_F(SqliteStoreTest, KindsHaveNames) {
  Open();
  std::vector<Submission> batch = {
      MakeSubmission(1, "a"), MakeSubmission(2, "b"), MakeSubmission(3, "c")};
  batch[1].kind = SubmissionKind::kPatientRecord;
  batch[2].kind = SubmissionKind::kAppEvent;
  ASSERT_TRUE(Save(batch).ok());
  EXPECT_EQ(
      Sql("SELECT kind FROM submissions ORDER BY sequence"),
      (Shell::Rows{
          {"questionnaire_response"}, {"patient_record"}, {"app_event"}}));
}

TEST_F(SqliteStoreTest, ContentIsKeptByteForByte) {
  Open();
  std::string content;
  for (int byte = 0; byte < 256; ++byte) content += static_cast<char>(byte);
  std::string hex;
  for (int byte = 0; byte < 256; ++byte) {
    absl::StrAppend(&hex, absl::Hex(byte, absl::kZeroPad2));
  }
  const Submission s = MakeSubmission(1, "bytes", content);
  const Submission empty = MakeSubmission(2, "none", "");
  const Submission large =
      MakeSubmission(3, "large", std::string(1 << 24, 'x'));
  ASSERT_TRUE(Save({s, empty, large}).ok());
  EXPECT_EQ(Sql("SELECT lower(hex(content)) FROM submissions"
                " WHERE sequence = 1"),
            (Shell::Rows{{hex}}));
  EXPECT_EQ(Sql("SELECT typeof(content), length(content),"
                " content = zeroblob(0) FROM submissions WHERE sequence > 1"),
            (Shell::Rows{{"blob", "0", "1"}, {"blob", "16777216", "0"}}));
  EXPECT_EQ(Find("bytes")->content_sha256, s.content_sha256);
}

TEST_F(SqliteStoreTest, WhatIsNotThereIsNull) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_EQ(Sql("SELECT site_id, subject, questionnaire, status, authored,"
                " authored_at, sent_at, supersedes_submission_id,"
                " reason_for_change FROM submissions"),
            (Shell::Rows{std::vector<std::string>(9, "NULL")}));
}

TEST_F(SqliteStoreTest, AnInstantThatSqlCannotReadIsNull) {
  Open();
  Submission s = MakeSubmission(1, "a");
  s.sent_at = absl::InfiniteFuture();
  s.authored_at = absl::FromCivil(absl::CivilYear(12345), absl::UTCTimeZone());
  Submission early = MakeSubmission(2, "b");
  early.sent_at = absl::InfinitePast();
  early.authored_at = absl::FromCivil(absl::CivilYear(33), absl::UTCTimeZone());
  ASSERT_TRUE(Save({s, early}).ok());
  EXPECT_EQ(
      Sql("SELECT sent_at, authored_at FROM submissions ORDER BY sequence"),
      (Shell::Rows{{"NULL", "NULL"}, {"NULL", "0033-01-01T00:00:00.000000Z"}}));
}

TEST_F(SqliteStoreTest, IdsAreOnlyData) {
  Open();
  const std::vector<std::string> ids = {"'; DROP TABLE submissions; --",
                                        std::string("nul\0tail", 8),
                                        std::string("nul\0other", 9),
                                        "\xff\xfe not UTF-8",
                                        std::string(100'000, 'x'),
                                        " ",
                                        "",
                                        "é"};
  std::int64_t sequence = 0;
  for (const std::string& id : ids) {
    EXPECT_EQ(SaveOne(MakeSubmission(++sequence, id)).result, Result::kStored);
  }
  const auto receipts = store_->FindReceipts("study", ids);
  ASSERT_TRUE(receipts.ok());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(receipts->at(i).has_value()) << i;
    EXPECT_EQ(receipts->at(i)->sequence, static_cast<std::int64_t>(i) + 1);
  }
}

// --- Write-ahead logs that others change ---

TEST_F(SqliteStoreTest, AnEmptyLogWasNotCut) {
  Open();
  EXPECT_TRUE(store_->Check().ok());
  SaveOne(MakeSubmission(1, "a"));
  // A clean end leaves an empty log.
  Reopen();
  EXPECT_TRUE(store_->Check().ok());
  SaveOne(MakeSubmission(2, "b"));
  Sql("PRAGMA wal_checkpoint(TRUNCATE)");
  EXPECT_TRUE(store_->Check().ok());
  SaveOne(MakeSubmission(3, "c"));
}

TEST_F(SqliteStoreTest, NothingIsSavedAfterItsLogWasCut) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  Sql("PRAGMA wal_checkpoint(TRUNCATE)");
  SaveOne(MakeSubmission(2, "b"));
  std::filesystem::resize_file(path_ + "-wal", 0);
  // The transaction is larger than the page cache, so that it writes to the log
  // before its commit.
  const absl::Status status =
      Save({MakeSubmission(3, "c", std::string(std::size_t{8} << 20, 'x'))});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("-wal was cut"));
  EXPECT_NE(store_->Generation(), 0u);
  EXPECT_FALSE(store_->Check().ok());
  store_.reset();
  EXPECT_EQ(Sql("PRAGMA integrity_check"), (Shell::Rows{{"ok"}}));
  EXPECT_EQ(Sql("SELECT submission_id FROM submissions"), (Shell::Rows{{"a"}}));
}

// --- Damaged rows ---

TEST_F(SqliteStoreTest, ADamagedRowConcernsNoOtherSubmission) {
  Open();
  ASSERT_TRUE(Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")}).ok());
  Sql("UPDATE submissions SET received_at = 'yesterday' WHERE sequence = 1");
  const auto receipts = store_->FindReceipts("study", {"a", "b", "c"});
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  EXPECT_TRUE(IsDamaged(receipts->at(0).value()));
  EXPECT_EQ(receipts->at(0)->sequence, 1);
  EXPECT_FALSE(IsDamaged(receipts->at(1).value()));
  EXPECT_FALSE(receipts->at(2).has_value());
  // Not a duplicate, and not an error of the store: the batch is saved one by
  // one.
  const absl::Status status = Save({MakeSubmission(3, "a")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_FALSE(IsTransient(status));
  EXPECT_TRUE(Save({MakeSubmission(4, "d"), MakeSubmission(5, "b")}).ok());
}

TEST_F(SqliteStoreTest, ADamagedRowDoesNotEndTheReading) {
  Open();
  const std::vector<std::string> damages = {
      "received_at = 'yesterday'", "kind = 'other'", "sent_at = 'yesterday'"};
  std::vector<Submission> batch;
  for (std::int64_t i = 1; i <= 4; ++i) {
    batch.push_back(MakeSubmission(i, absl::StrCat(i)));
  }
  ASSERT_TRUE(Save(batch).ok());
  for (std::size_t i = 0; i < damages.size(); ++i) {
    Sql(absl::StrCat("UPDATE submissions SET ", damages[i],
                     " WHERE sequence = ", i + 1));
  }
  const auto page = store_->Read(0, 10, 1000);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->submissions.size(), 4u);
  for (std::size_t i = 0; i < damages.size(); ++i) {
    EXPECT_EQ(page->submissions[i].sequence, batch[i].sequence);
    EXPECT_NE(page->submissions[i].content_sha256, batch[i].content_sha256);
  }
  EXPECT_EQ(page->submissions[3].content_sha256, batch[3].content_sha256);
}

// --- Ids that are sent again ---

TEST_F(SqliteStoreTest, EveryConflictIsAudited) {
  Open();
  SaveOne(MakeSubmission(1, "a", "first"));
  Submission second = MakeSubmission(2, "a", "second");
  second.kind = SubmissionKind::kAppEvent;
  second.sent_at = absl::FromUnixMillis(1709320531250);
  SaveOne(second);
  SaveOne(MakeSubmission(3, "a", "third one"));
  EXPECT_EQ(Sql("SELECT sequence, first_sequence, kind, study_id,"
                " submission_id, received_at, sent_at, content_bytes"
                " FROM conflicts ORDER BY sequence"),
            (Shell::Rows{{"2", "1", "app_event", "study", "a",
                          "2023-11-14T22:13:20.002000Z",
                          "2024-03-01T19:15:31.250000Z", "6"},
                         {"3", "1", "questionnaire_response", "study", "a",
                          "2023-11-14T22:13:20.003000Z", "NULL", "9"}}));
  EXPECT_EQ(Sql("SELECT count(*) FROM conflicts JOIN submissions"
                " USING (content_sha256)"),
            (Shell::Rows{{"0"}}));
}

// Version 1 of the tables did not keep contents.
TEST_F(SqliteStoreTest, AConflictOfVersion1KeepsItsContentWhenItComesAgain) {
  Open();
  SaveOne(MakeSubmission(1, "a", "first"));
  SaveOne(MakeSubmission(2, "a", "second"));
  Sql("UPDATE conflicts SET content = NULL");
  SaveOne(MakeSubmission(2, "a", "second"));
  EXPECT_EQ(Sql("SELECT sequence, CAST(content AS TEXT) FROM conflicts"),
            (Shell::Rows{{"2", "second"}}));
}

// --- Opening ---

TEST_F(SqliteStoreTest, OneProcessHasTheFileForWriting) {
  Open();
  const absl::Status second = TryOpen().status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()),
              HasSubstr("another process holds the lock"));
  EXPECT_TRUE(Save({MakeSubmission(1, "a")}).ok());
  store_.reset();
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(SqliteStoreTest, AFailedOpeningLetsGoOfTheLock) {
  Open();
  store_.reset();
  Sql("PRAGMA user_version = 1000");
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kFailedPrecondition);
  Sql(absl::StrCat("PRAGMA user_version = ", kSqliteSchemaVersion));
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsRefusedByName) {
  std::filesystem::create_directories(folder_ / "data");
  std::ofstream(path_) << std::string(5000, 'x');
  const absl::Status status = TryOpen().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST_F(SqliteStoreTest, AMissingOrEmptyFileThatIsKnownIsDataLoss) {
  const KnownStore known{.last_sequence = 45, .known_by = "journal.db"};
  const auto open = [&](const KnownStore& with) {
    return SqliteStore::Open({.path = path_}, nullptr, with);
  };
  const auto expect_refused = [&](const char* what) {
    const absl::Status status = open(known).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path_), HasSubstr(what),
                      HasSubstr("journal.db knows submissions up to sequence "
                                "number 45"),
                      HasSubstr("--accept-damage")));
  };
  expect_refused("the file is missing");
  EXPECT_FALSE(std::filesystem::exists(path_));
  std::ofstream(path_).close();
  expect_refused("the file is empty");
  EXPECT_EQ(std::filesystem::file_size(path_), 0u);
  // A database without tables.
  Sql("PRAGMA journal_mode = WAL; VACUUM");
  expect_refused("the file is empty");

  KnownStore accepted = known;
  accepted.accept_damage = true;
  {
    const auto store = open(accepted);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_TRUE((*store)->created());
  }
  const auto store = open(known);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE((*store)->created());
}

TEST_F(SqliteStoreTest, APathThatLooksLikeAUriIsAFile) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_ / "");
  const auto store =
      SqliteStore::Open({.path = "file:x.db?mode=memory"}, nullptr);
  std::filesystem::current_path(before);
  EXPECT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "file:x.db?mode=memory"));
}

TEST_F(SqliteStoreTest, ADirectoryThatCannotBeMadeIsUnavailable) {
  std::ofstream(folder_ / "data") << "a file in its place";
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kUnavailable);
}

// --- Faults ---

class SqliteStoreFaultTest : public SqliteStoreTest {
 protected:
  ~SqliteStoreFaultTest() override { store_.reset(); }

  FaultyDisk disk_;
};

TEST_F(SqliteStoreFaultTest, ABatchIsSyncedBeforeItIsAnswered) {
  Open();
  for (std::int64_t sequence = 1; sequence <= 3; ++sequence) {
    const int before = disk_.log_syncs();
    SaveOne(MakeSubmission(sequence, absl::StrCat("id-", sequence)));
    EXPECT_GT(disk_.log_syncs(), before);
  }
}

TEST_F(SqliteStoreFaultTest, AFullDiskStoresNothingUntilThereIsRoom) {
  Open();
  SaveOne(MakeSubmission(1, "before"));
  EXPECT_TRUE(store_->Check().ok());

  disk_.SetFull(true);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Save({MakeSubmission(2, "a"), MakeSubmission(3, "b")}).code(),
              absl::StatusCode::kUnavailable);
    EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(Find("a"), std::nullopt);
  EXPECT_EQ(Find("before")->sequence, 1);

  disk_.SetFull(false);
  EXPECT_TRUE(store_->Check().ok());
  ASSERT_TRUE(Save({MakeSubmission(2, "a"), MakeSubmission(3, "b")}).ok());
  EXPECT_THAT(Results(), ElementsAre(Result::kStored, Result::kStored));
  EXPECT_EQ(Sql("SELECT sequence FROM submissions ORDER BY sequence;"
                " PRAGMA integrity_check"),
            (Shell::Rows{{"1"}, {"2"}, {"3"}, {"ok"}}));
}

TEST_F(SqliteStoreFaultTest, ADiskFullInTheMiddleOfABatchStoresNothing) {
  Open();
  disk_.SetFull(true);
  // The batch has more bytes than SQLite keeps in memory, so that it writes
  // before the commit.
  std::vector<Submission> batch;
  for (std::int64_t sequence = 1; sequence <= 100; ++sequence) {
    batch.push_back(MakeSubmission(sequence, absl::StrCat("id-", sequence),
                                   std::string(100'000, 'x')));
  }
  EXPECT_EQ(Save(batch).code(), absl::StatusCode::kUnavailable);
  disk_.SetFull(false);
  EXPECT_EQ(*store_->LastSequence(), 0);
  EXPECT_TRUE(Save(batch).ok());
  EXPECT_EQ(*store_->LastSequence(), 100);
}

TEST_F(SqliteStoreFaultTest, AFailedSyncIsNoAcknowledgement) {
  Open();
  disk_.SetSyncsFail(true);
  EXPECT_EQ(Save({MakeSubmission(1, "a")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Find("a"), std::nullopt);
  disk_.SetSyncsFail(false);
  EXPECT_EQ(SaveOne(MakeSubmission(1, "a")).result, Result::kStored);
  EXPECT_TRUE(store_->Check().ok());
}

TEST_F(SqliteStoreFaultTest, CheckWritesOnlyUntilItHasSucceeded) {
  Open();
  disk_.SetFull(true);
  EXPECT_FALSE(Save({MakeSubmission(1, "a")}).ok());
  disk_.SetFull(false);
  const int failed = disk_.log_syncs();
  EXPECT_TRUE(store_->Check().ok());
  const int probed = disk_.log_syncs();
  EXPECT_GT(probed, failed);
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_EQ(disk_.log_syncs(), probed);
}

TEST_F(SqliteStoreFaultTest, TheProbeLeavesNoTrace) {
  Open();
  const Shell::Rows before = Sql("SELECT name FROM sqlite_schema");
  disk_.SetFull(true);
  EXPECT_FALSE(Save({MakeSubmission(1, "a")}).ok());
  disk_.SetFull(false);
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_EQ(Sql("SELECT name FROM sqlite_schema"), before);
}

// --- Batches that share a commit ---

class SqliteStoreGroupTest : public SqliteStoreFaultTest {
 protected:
  ~SqliteStoreGroupTest() override {
    for (std::thread& thread : threads_) thread.join();
  }

  // Opens the store and begins a commit, which ends at Release. Batches that
  // are saved meanwhile wait for this commit.
  void OpenAndHold() {
    Open();
    SaveOne(MakeSubmission(1, "before"));
    disk_.HoldSyncs();
    SaveInBackground({MakeSubmission(2, "held")});
    ASSERT_TRUE(disk_.WaitForHeldSync());
    syncs_ = disk_.log_syncs();
  }

  // Returns once the batch is in the queue.
  void SaveInBackground(std::vector<Submission> batch) {
    SaveCall& save = saves_.emplace_back();
    save.batch = std::move(batch);
    save.saved.resize(save.batch.size());
    threads_.emplace_back([this, &save] {
      try {
        save.status = store_->SaveBatch(save.batch, absl::MakeSpan(save.saved));
      } catch (const std::runtime_error&) {
        save.threw = true;
      }
    });
    const absl::Time limit = absl::Now() + kPatience;
    while (store_->batches_in_progress() < saves_.size()) {
      ASSERT_LT(absl::Now(), limit);
      std::this_thread::yield();
    }
  }

  // Unblocks the commits, and waits until all batches are saved.
  void Release() {
    disk_.ReleaseSyncs();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    EXPECT_EQ(store_->batches_in_progress(), 0u);
  }
  // Waits until the first batch is saved or has failed.
  void AwaitFirst() {
    threads_.front().join();
    threads_.erase(threads_.begin());
  }
  // Number of commits since OpenAndHold.
  int Syncs() const { return disk_.log_syncs() - syncs_; }

  struct SaveCall {
    std::vector<Submission> batch;
    std::vector<Saved> saved;
    absl::Status status;
    bool threw = false;
  };
  std::deque<SaveCall> saves_;  // the first save is blocked

 private:
  std::vector<std::thread> threads_;
  int syncs_ = 0;
};

TEST_F(SqliteStoreGroupTest, BatchesThatWaitForALockFailTogether) {
  // The timeout must be long enough for all batches to arrive while the first
  // batch waits.
  busy_timeout_ = absl::Seconds(3);
  Open();
  auto other_program = std::make_unique<Shell>(path_);
  other_program->Run("BEGIN IMMEDIATE");
  std::int64_t sequence = 0;
  for (int i = 0; i < 3; ++i) {
    // Use large batches, so that no two batches share a commit.
    std::vector<Submission> batch;
    for (int j = 0; j < 1000; ++j) {
      ++sequence;
      batch.push_back(MakeSubmission(sequence, absl::StrCat(sequence)));
    }
    SaveInBackground(std::move(batch));
  }
  AwaitFirst();
  // Release the lock. A batch that waited again would now be stored.
  other_program.reset();
  Release();
  for (const SaveCall& save : saves_) {
    EXPECT_EQ(save.status.code(), absl::StatusCode::kUnavailable)
        << save.status;
  }
  EXPECT_EQ(SaveOne(MakeSubmission(++sequence, "after")).result,
            Result::kStored);
}

TEST_F(SqliteStoreGroupTest, BatchesThatWaitShareACommit) {
  OpenAndHold();
  for (std::int64_t i = 0; i < 5; ++i) {
    SaveInBackground({MakeSubmission(10 + i, absl::StrCat("a-", i)),
                      MakeSubmission(20 + i, absl::StrCat("b-", i))});
  }
  Release();
  EXPECT_EQ(Syncs(), 2);
  for (const SaveCall& save : saves_) {
    EXPECT_TRUE(save.status.ok()) << save.status;
    for (std::size_t i = 0; i < save.batch.size(); ++i) {
      EXPECT_EQ(save.saved[i].result, Result::kStored);
      EXPECT_EQ(save.saved[i].sequence, save.batch[i].sequence);
    }
  }
  EXPECT_EQ(Sql("SELECT count(*) FROM submissions"), (Shell::Rows{{"12"}}));
}

TEST_F(SqliteStoreGroupTest, TheLastSequenceDoesNotWaitForACommit) {
  OpenAndHold();
  EXPECT_EQ(*store_->LastSequence(), 1) << "2 is not durable yet";
  Release();
  EXPECT_EQ(*store_->LastSequence(), 2);
}

TEST_F(SqliteStoreGroupTest, ACommitTakesALimitedNumber) {
  OpenAndHold();
  for (std::int64_t batch = 0; batch < 3; ++batch) {
    std::vector<Submission> submissions;
    for (std::int64_t i = 0; i < 500; ++i) {
      const std::int64_t sequence = 100 + batch * 500 + i;
      submissions.push_back(MakeSubmission(sequence, absl::StrCat(sequence)));
    }
    SaveInBackground(std::move(submissions));
  }
  Release();
  EXPECT_EQ(Syncs(), 3);
  EXPECT_EQ(Sql("SELECT count(*) FROM submissions"), (Shell::Rows{{"1502"}}));
}

TEST_F(SqliteStoreGroupTest, ABatchThatCannotBeStoredFailsAlone) {
  Open();
  Sql("CREATE TRIGGER poison BEFORE INSERT ON submissions"
      " WHEN new.submission_id = 'b' BEGIN SELECT raise(ABORT, 'poison'); END");
  store_.reset();
  OpenAndHold();
  SaveInBackground({MakeSubmission(3, "a")});
  // This batch fails. "c" of the next batch is stored only if "c" of this batch
  // is rolled back.
  SaveInBackground({MakeSubmission(4, "c"), MakeSubmission(6, "b")});
  SaveInBackground({MakeSubmission(5, "c")});
  Release();
  EXPECT_TRUE(saves_[1].status.ok()) << saves_[1].status;
  EXPECT_EQ(saves_[2].status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(saves_[3].status.ok()) << saves_[3].status;
  EXPECT_EQ(saves_[3].saved[0].result, Result::kStored);
  EXPECT_EQ(Sql("SELECT sequence FROM submissions ORDER BY sequence"),
            (Shell::Rows{{"1"}, {"2"}, {"3"}, {"5"}}));
  EXPECT_EQ(Sql("SELECT count(*) FROM gaps"), (Shell::Rows{{"0"}}));
  EXPECT_EQ(Syncs(), 2);
  EXPECT_TRUE(store_->Check().ok());
}

TEST_F(SqliteStoreGroupTest, AnExceptionGoesToTheBatchThatItIsOf) {
  same_content_ = [](auto, auto, auto) -> bool {
    throw std::runtime_error("poison");
  };
  OpenAndHold();
  SaveInBackground({MakeSubmission(3, "a")});
  SaveInBackground({MakeSubmission(4, "before", "another")});
  SaveInBackground({MakeSubmission(5, "b")});
  Release();
  EXPECT_TRUE(saves_[1].status.ok() && !saves_[1].threw);
  EXPECT_TRUE(saves_[2].threw);
  EXPECT_TRUE(saves_[3].status.ok() && !saves_[3].threw);
  EXPECT_EQ(Sql("SELECT sequence FROM submissions ORDER BY sequence"),
            (Shell::Rows{{"1"}, {"2"}, {"3"}, {"5"}}));
}

TEST_F(SqliteStoreGroupTest, AFailedCommitFailsAllThatShareIt) {
  OpenAndHold();
  SaveInBackground({MakeSubmission(3, "a")});
  SaveInBackground({MakeSubmission(4, "b")});
  // The sync that is already blocked will not fail.
  disk_.SetSyncsFail(true);
  Release();
  EXPECT_TRUE(saves_[0].status.ok()) << saves_[0].status;
  EXPECT_EQ(saves_[1].status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(saves_[2].status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  disk_.SetSyncsFail(false);
  EXPECT_EQ(Sql("SELECT sequence FROM submissions ORDER BY sequence"),
            (Shell::Rows{{"1"}, {"2"}}));
  EXPECT_EQ(SaveOne(MakeSubmission(3, "a")).result, Result::kStored);
}

TEST_F(SqliteStoreGroupTest, TheSameIdInBatchesOfOneCommitIsStoredOnce) {
  OpenAndHold();
  for (std::int64_t sequence = 3; sequence <= 6; ++sequence) {
    SaveInBackground({MakeSubmission(sequence, "same")});
  }
  Release();
  EXPECT_EQ(saves_[1].saved[0].result, Result::kStored);
  for (std::size_t i = 2; i <= 4; ++i) {
    EXPECT_EQ(saves_[i].saved[0].result, Result::kDuplicate);
    EXPECT_EQ(saves_[i].saved[0].sequence, 3);
  }
  EXPECT_EQ(Sql("SELECT sequence FROM gaps ORDER BY sequence"),
            (Shell::Rows{{"4"}, {"5"}, {"6"}}));
}

TEST_F(SqliteStoreTest, AnotherWriterMakesItUnavailableForAsLong) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  Shell shell(path_);
  shell.Run("BEGIN IMMEDIATE");
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Find("a")->sequence, 1);
  shell.Run("COMMIT");
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
}

TEST_F(SqliteStoreTest, AReaderOutsideHoldsNobodyUp) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  Shell shell(path_);
  EXPECT_EQ(shell.Run("BEGIN; SELECT count(*) FROM submissions"),
            (Shell::Rows{{"1"}}));
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
  EXPECT_EQ(shell.Run("SELECT count(*) FROM submissions; COMMIT;"
                      "SELECT count(*) FROM submissions"),
            (Shell::Rows{{"1"}, {"2"}}));
}

TEST_F(SqliteStoreTest, AnExceptionFromOutsideRollsTheBatchBack) {
  same_content_ = [](auto, auto, auto) -> bool {
    throw std::runtime_error("poison");
  };
  Open();
  SaveOne(MakeSubmission(1, "a", "first"));
  EXPECT_THROW(Save({MakeSubmission(2, "b"), MakeSubmission(3, "a", "second")})
                   .IgnoreError(),
               std::runtime_error);
  EXPECT_EQ(Find("b"), std::nullopt);
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
}

// --- A kill ---

// Stores one submission after another, until the process is killed. Writes each
// sequence number to `acks` once it is acknowledged.
[[noreturn]] void StoreUntilKilled(const std::string& path, int acks) {
  const auto store = SqliteStore::Open({.path = path}, nullptr);
  if (!store.ok()) _exit(1);
  for (std::int64_t sequence = 1;; ++sequence) {
    const std::string id = absl::StrCat("id-", sequence);
    Saved saved;
    if (!(*store)
             ->SaveBatch({MakeSubmission(sequence, id, id)},
                         absl::MakeSpan(&saved, 1))
             .ok()) {
      _exit(1);
    }
    if (write(acks, &sequence, sizeof(sequence)) != sizeof(sequence)) _exit(1);
  }
}

TEST_F(SqliteStoreTest, WhatWasAcknowledgedSurvivesAKill) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) StoreUntilKilled(path_, pipe_ends[1]);
  close(pipe_ends[1]);
  std::int64_t acknowledged = 0;
  while (read(pipe_ends[0], &acknowledged, sizeof(acknowledged)) ==
         sizeof(acknowledged)) {
    if (acknowledged == 100) kill(child, SIGKILL);
  }
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  ASSERT_GE(acknowledged, 100);

  Open();
  EXPECT_GE(*store_->LastSequence(), acknowledged);
  for (std::int64_t sequence = 1; sequence <= acknowledged; ++sequence) {
    const std::string id = absl::StrCat("id-", sequence);
    const std::optional<StoredReceipt> receipt = Find(id);
    ASSERT_TRUE(receipt.has_value()) << sequence;
    EXPECT_EQ(receipt->sequence, sequence);
    EXPECT_EQ(receipt->content_sha256, FakeDigest(id));
  }
  EXPECT_EQ(Sql("SELECT count(*) FROM submissions"
                " WHERE CAST(content AS TEXT) <> submission_id"),
            (Shell::Rows{{"0"}}));
}

// --- The view for people who read answers with SQL ---

TEST_F(SqliteStoreTest, AnswersAreOneRowEach) {
  Open();
  Submission s = MakeSubmission(1, "id-1");
  s.site_id = "site-1";
  s.subject = "Patient/7";
  s.questionnaire = "http://example.org/q|1.0";
  s.status = "completed";
  s.authored = "2024-03-01T20:15:30+01:00";
  s.answers_json = R"([
      {"link_id": "1", "type": "integer", "value": 7},
      {"link_id": "2.1", "type": "coding", "value": "LA6560-2",
       "display": "Confused", "system": "http://loinc.org"}])";
  // A submission without answers has no rows.
  ASSERT_TRUE(Save({s, MakeSubmission(2, "id-2")}).ok());
  const std::string common =
      "sequence, study_id, site_id, submission_id, subject, questionnaire,"
      " status, authored, received_at";
  EXPECT_EQ(Sql(absl::StrCat("SELECT DISTINCT ", common, " FROM answers")),
            (Shell::Rows{{"1", "study", "site-1", "id-1", "Patient/7",
                          "http://example.org/q|1.0", "completed",
                          "2024-03-01T20:15:30+01:00",
                          "2023-11-14T22:13:20.001000Z"}}));
  EXPECT_EQ(Sql("SELECT position, link_id, type, value, unit, system, display"
                " FROM answers ORDER BY sequence, position"),
            (Shell::Rows{{"0", "1", "integer", "7", "NULL", "NULL", "NULL"},
                         {"1", "2.1", "coding", "LA6560-2", "NULL",
                          "http://loinc.org", "Confused"}}));
}

TEST_F(SqliteStoreTest, AnswersKeepTheirValues) {
  Open();
  Submission s = MakeSubmission(1, "a");
  s.answers_json = R"([
      {"link_id": "1", "type": "boolean", "value": true},
      {"link_id": "1", "type": "boolean", "value": false},
      {"link_id": "1", "type": "integer", "value": -2147483648},
      {"link_id": "1", "type": "decimal", "value": "37.50"},
      {"link_id": "1", "type": "quantity", "value": "1e3", "unit": "mg"},
      {"link_id": "1", "type": "string", "value": "it's \"so\"\n\u00e9\u0001"},
      {"link_id": "1", "type": "string", "value": ""},
      {"link_id": "1", "type": "string", "value": "{\"a\": [1]}"},
      {"link_id": "1", "type": "reference"}])";
  ASSERT_TRUE(Save({s}).ok());
  EXPECT_EQ(
      Sql("SELECT value, typeof(value), unit FROM answers ORDER BY position"),
      (Shell::Rows{{"true", "text", "NULL"},
                   {"false", "text", "NULL"},
                   {"-2147483648", "integer", "NULL"},
                   {"37.50", "text", "NULL"},
                   {"1e3", "text", "mg"},
                   {"it's \"so\"\né\x01", "text", "NULL"},
                   {"", "text", "NULL"},
                   {"{\"a\": [1]}", "text", "NULL"},
                   {"NULL", "null", "NULL"}}));
}

// SQLite's JSON functions cut a text at U+0000.
TEST_F(SqliteStoreTest, AnswersAreNotCutAtNul) {
  Open();
  Submission s = MakeSubmission(1, "a");
  s.answers_json = R"([
      {"link_id": "1", "type": "string", "value": "a\u0000b"},
      {"link_id": "2", "type": "string", "value": "a\\u0000b"}])";
  ASSERT_TRUE(Save({s}).ok());
  EXPECT_EQ(Sql("SELECT value FROM answers ORDER BY position"),
            (Shell::Rows{{"a\xef\xbf\xbd"
                          "b"},
                         {R"(a\u0000b)"}}));
}

// SQLite opens a file that it may only read without an error, and even begins
// transactions that are meant to write.
TEST_F(SqliteStoreTest, AFileWithoutTheRightToWriteIsNotOpened) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  store_.reset();
  namespace fs = std::filesystem;
  fs::permissions(folder_.path(), fs::perms::all);
  fs::permissions(fs::path(path_).parent_path(), fs::perms::all);
  for (const char* suffix : {"-wal", "-shm", ".lock"}) {
    fs::permissions(path_ + suffix, fs::perms(0666));
  }
  for (const std::string suffix : {"", "-wal"}) {
    for (const std::string all : {"", "-wal"}) {
      fs::permissions(path_ + all, fs::perms(0666));
    }
    fs::permissions(path_ + suffix, fs::perms(0444));
    const OrdinaryUser user;
    const auto opened = TryOpen();
    EXPECT_TRUE(absl::IsUnavailable(opened.status())) << opened.status();
    EXPECT_THAT(std::string(opened.status().message()),
                AllOf(HasSubstr("sluice.db" + suffix + " cannot be written"),
                      HasSubstr("no right")));
  }
  fs::permissions(path_, fs::perms(0666));
  fs::permissions(path_ + "-wal", fs::perms(0666));
  const OrdinaryUser user;
  Open();
  EXPECT_TRUE(store_->Check().ok());
  store_.reset();
}

}  // namespace
}  // namespace sluice

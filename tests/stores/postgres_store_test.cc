#include "stores/postgres_store.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/postgres_schema.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/postgres_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Result = Saved::Result;

// Counts the store's sessions that run a statement or have an open transaction.
constexpr char kBusy[] =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'"
    " AND datname = current_database() AND state <> 'idle'";
constexpr char kSessions[] =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'"
    " AND datname = current_database()";

// Counts the store's sessions that wait for a lock.
constexpr char kWaiting[] =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'"
    " AND datname = current_database() AND wait_event_type = 'Lock'";

class PostgresStoreTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<PostgresStore>> TryOpen(
      std::int64_t number = 0) {
    return PostgresStore::Open(
        {.url = url_, .server = number, .timeout = timeout_},
        [this](SubmissionKind kind, std::string_view a, std::string_view b) {
          return same_content_ && same_content_(kind, a, b);
        });
  }

  // Opens stores with the numbers from 0 at the same moment, and closes them.
  void OpenAtTheSameMoment(int count) {
    std::vector<std::unique_ptr<PostgresStore>> stores(
        static_cast<std::size_t>(count));
    std::vector<std::thread> threads;
    absl::Notification go;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        go.WaitForNotification();
        auto store = TryOpen(i);
        ASSERT_TRUE(store.ok()) << store.status();
        stores[static_cast<std::size_t>(i)] = *std::move(store);
      });
    }
    go.Notify();
    for (std::thread& thread : threads) thread.join();
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

  // Opens a store with a timeout of a second. The schema and a first submission
  // are created beforehand, without this limit.
  void OpenToBeOutOfPatienceSoon() {
    Open();
    SaveOne(MakeSubmission(1, "first"));
    timeout_ = absl::Seconds(1);
    Reopen();
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
    return receipts.ok() ? receipts->at(0) : std::nullopt;
  }

  // Saves a submission on another thread.
  std::thread SaveBehind(Submission submission, absl::Status* status) {
    return std::thread([this, status, s = std::move(submission)] {
      Saved saved;
      *status = store_->SaveBatch({s}, absl::MakeSpan(&saved, 1));
    });
  }

  Shell::Rows Sql(const std::string& sql) {
    return PostgresShell(url_).Run("SET timezone = 'UTC'; " + sql);
  }
  std::string Get(const std::string& sql) {
    return PostgresShell(url_).Get(sql);
  }

  PostgresServer& server_ = PostgresServer::Shared();
  std::string url_ = server_.NewSchema();
  absl::Duration timeout_ = absl::Minutes(1);
  SameContent same_content_;
  std::unique_ptr<PostgresStore> store_;
  std::vector<Saved> saved_;
};

// --- Stored values ---

TEST_F(PostgresStoreTest, EveryFieldCanBeReadWithSql) {
  Open();
  SaveOne(EveryField(42, "id-1"));
  EXPECT_EQ(
      Sql("SELECT sequence, kind, study_id, submission_id, site_id, subject,"
          " questionnaire, status, authored, authored_at, sent_at, received_at,"
          " supersedes_submission_id, reason_for_change, answers"
          " FROM submissions"),
      (Shell::Rows{{"42", "patient_record", "study", "id-1", "site-1",
                    "Patient/7", "http://example.org/q|1.0", "amended",
                    "2024-03-01T20:15:30+01:00", "2024-03-01 19:15:30+00",
                    "2024-03-01 19:15:31.25+00",
                    "2024-03-01 19:15:32.000001+00", "id-0", "typing error",
                    R"([{"link_id": "1"}])"}}));
}

TEST_F(PostgresStoreTest, WhatIsNotThereIsNull) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_EQ(Sql("SELECT site_id, subject, questionnaire, status, authored,"
                " authored_at, sent_at, supersedes_submission_id,"
                " reason_for_change FROM submissions"),
            (Shell::Rows{std::vector<std::string>(9, "NULL")}));
}

TEST_F(PostgresStoreTest, AnInstantThatSqlCannotReadIsNull) {
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
      (Shell::Rows{{"NULL", "NULL"}, {"NULL", "0033-01-01 00:00:00+00"}}));
}

TEST_F(PostgresStoreTest, ABatchOfOddContentIsKeptByteForByte) {
  Open();
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const std::string odd[] = {"",
                             std::string("\0", 1),
                             std::string("a\0b\0", 4),
                             "'; DROP TABLE submissions; --",
                             "\"{},NULL\\x00\\",
                             "é€𝄞",
                             "\xff\xfe",
                             every_byte,
                             std::string(100'000, 'x')};
  std::vector<Submission> batch;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < 256; ++i) {
    ids.push_back(absl::StrCat("'\"\\{}é€𝄞 ", i));
    batch.push_back(MakeSubmission(static_cast<std::int64_t>(i + 1), ids.back(),
                                   odd[i % std::size(odd)]));
  }
  ASSERT_TRUE(Save(batch).ok());
  EXPECT_THAT(Results(), Each(Result::kStored));
  const auto page = store_->Read(0, 1000, 1 << 30);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->submissions.size(), 256u);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(page->submissions[i].sequence, batch[i].sequence);
    EXPECT_EQ(page->submissions[i].submission_id, ids[i]);
    EXPECT_EQ(page->submissions[i].content, batch[i].content);
  }
  const auto receipts = store_->FindReceipts("study", ids);
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(receipts->at(i).has_value()) << i;
    EXPECT_EQ(receipts->at(i)->sequence, batch[i].sequence);
  }
}

TEST_F(PostgresStoreTest, ABatchThatIsLargerThanAStatementIsStored) {
  Open();
  std::vector<Submission> batch;
  for (int i = 1; i <= 3; ++i) {
    batch.push_back(
        MakeSubmission(i, absl::StrCat(i), std::string(9 << 20, 'x')));
  }
  batch.push_back(MakeSubmission(4, "1", "other"));
  ASSERT_TRUE(Save(batch).ok());
  EXPECT_THAT(Results(), ElementsAre(Result::kStored, Result::kStored,
                                     Result::kStored, Result::kConflict));
  EXPECT_EQ(Get("SELECT sum(length(content)) FROM submissions"),
            absl::StrCat(3 * (9 << 20)));
}

TEST_F(PostgresStoreTest, AnIdWithNulCannotBeStored) {
  Open();
  const std::string nul("a\0b", 3);
  for (std::string Submission::*id :
       {&Submission::study_id, &Submission::submission_id,
        &Submission::site_id}) {
    Submission s = MakeSubmission(2, "bad");
    s.*id = nul;
    const absl::Status status = Save({MakeSubmission(1, "good"), s});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("U+0000"));
  }
  EXPECT_EQ(Find("good"), std::nullopt);
  EXPECT_EQ(Find(nul), std::nullopt);
  EXPECT_EQ(store_->FindReceipts(nul, {"good"})->at(0), std::nullopt);
}

TEST_F(PostgresStoreTest, DerivedColumnsHaveAReplacementForNul) {
  Open();
  Submission s = MakeSubmission(1, "a", std::string("x\0y", 3));
  s.subject = std::string("Patient/\0", 9);
  s.reason_for_change = std::string("\0", 1);
  s.answers_json =
      R"([{"link_id": "1", "type": "string", "value": "a\u0000\\u0000\"b"}])";
  SaveOne(s);
  EXPECT_EQ(Sql("SELECT subject, reason_for_change, encode(content, 'hex')"
                " FROM submissions"),
            (Shell::Rows{{"Patient/\xef\xbf\xbd", "\xef\xbf\xbd", "780079"}}));
  EXPECT_EQ(Get("SELECT value FROM answers"), "a\xef\xbf\xbd\\u0000\"b");
}

TEST_F(PostgresStoreTest, AnIdThatIsNotUtf8IsRefusedWithoutBeingQuoted) {
  Open();
  const absl::Status status = Save({MakeSubmission(1, "canary\xff")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  EXPECT_EQ(SaveOne(MakeSubmission(1, "b")).result, Result::kStored);
}

// --- Ids that are sent again ---

TEST_F(PostgresStoreTest, AnotherContentIsAConflictThatIsAuditedAndAGap) {
  Open();
  const Submission first = MakeSubmission(1, "a", "first");
  const Saved stored = SaveOne(first);
  Submission second = MakeSubmission(2, "a", "second");
  second.kind = SubmissionKind::kAppEvent;
  second.sent_at = absl::FromUnixMillis(1709320531250);
  const Saved conflict = SaveOne(second);
  EXPECT_EQ(conflict.result, Result::kConflict);
  EXPECT_EQ(conflict.sequence, 1);
  EXPECT_EQ(conflict.received_at, stored.received_at);
  EXPECT_EQ(conflict.content_sha256, first.content_sha256);
  SaveOne(MakeSubmission(3, "a", "third one"));
  EXPECT_EQ(Sql("SELECT sequence, convert_from(content, 'UTF8')"
                " FROM submissions"),
            (Shell::Rows{{"1", "first"}}));
  EXPECT_EQ(Sql("SELECT first_sequence, kind, study_id, submission_id,"
                " received_at, sent_at, content_bytes FROM conflicts"
                " ORDER BY conflict"),
            (Shell::Rows{
                {"1", "app_event", "study", "a", "2023-11-14 22:13:20.002+00",
                 "2024-03-01 19:15:31.25+00", "6"},
                {"1", "questionnaire_response", "study", "a",
                 "2023-11-14 22:13:20.003+00", "NULL", "9"}}));
  EXPECT_EQ(Get("SELECT count(*) FROM conflicts JOIN submissions"
                " USING (content_sha256)"),
            "0");
  EXPECT_EQ(Sql("SELECT * FROM gaps ORDER BY sequence"),
            (Shell::Rows{{"2", "conflict", "1"}, {"3", "conflict", "1"}}));
}

// Version 1 of the tables kept neither contents nor sequence numbers.
TEST_F(PostgresStoreTest, AConflictOfVersion1KeepsItsContentWhenItComesAgain) {
  Open();
  SaveOne(MakeSubmission(1, "a", "first"));
  SaveOne(MakeSubmission(2, "a", "second"));
  Sql("UPDATE conflicts SET sequence = NULL, content = NULL");
  SaveOne(MakeSubmission(2, "a", "second"));
  EXPECT_EQ(Sql("SELECT sequence, convert_from(content, 'UTF8')"
                " FROM conflicts ORDER BY conflict"),
            (Shell::Rows{{"NULL", "NULL"}, {"2", "second"}}));
  EXPECT_EQ(Sql("SELECT * FROM gaps"), (Shell::Rows{{"2", "conflict", "1"}}));
}

TEST_F(PostgresStoreTest, AnExceptionFromOutsideRollsTheBatchBack) {
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

// --- Several servers ---

TEST_F(PostgresStoreTest, EachServerNumbersInItsOwnRange) {
  Open();
  EXPECT_EQ(*store_->LastSequence(), 0);
  auto other = TryOpen(1023);
  ASSERT_TRUE(other.ok()) << other.status();
  const std::int64_t first = std::int64_t{1023} << 40;
  EXPECT_EQ(*(*other)->LastSequence(), first);

  SaveOne(MakeSubmission(7, "a"));
  Saved saved;
  ASSERT_TRUE((*other)
                  ->SaveBatch({MakeSubmission(first + 1, "b")},
                              absl::MakeSpan(&saved, 1))
                  .ok());
  ASSERT_TRUE((*other)
                  ->SaveBatch({MakeSubmission(first + 2, "a")},
                              absl::MakeSpan(&saved, 1))
                  .ok());
  EXPECT_EQ(saved.result, Result::kDuplicate);
  EXPECT_EQ(saved.sequence, 7);
  EXPECT_EQ(*store_->LastSequence(), 7);
  EXPECT_EQ(*(*other)->LastSequence(), first + 2) << "gaps are used too";
  Reopen();
  EXPECT_EQ(*store_->LastSequence(), 7);
  EXPECT_EQ(Find("b")->sequence, first + 1);
}

// A restart of PostgreSQL ends sessions that look alive.
TEST_F(PostgresStoreTest, ALostSessionForReadingIsReplacedOnce) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  SaveOne(MakeSubmission(2, "a"));
  ASSERT_TRUE(store_->Read(0, 10, 1000).ok());
  // The session is ended while it is used.
  const auto end_reader_during = [&](const std::function<void()>& read) {
    PostgresShell holder(url_);
    holder.Run("BEGIN; LOCK TABLE submissions, gaps IN ACCESS EXCLUSIVE MODE");
    std::thread reading(read);
    PostgresShell shell(url_);
    AwaitThat("the session is ended", [&] {
      return shell.Get(
                 "SELECT count(pg_terminate_backend(pid, 60000))"
                 " FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                 " AND application_name = 'sluice'") == "1";
    });
    holder.Run("ROLLBACK");
    reading.join();
  };
  end_reader_during([&] {
    const auto page = store_->Read(0, 10, 1000);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->submissions.size(), 1u);
    EXPECT_EQ(page->gaps.size(), 1u);
  });
  end_reader_during([&] {
    const auto others = store_->FindOtherSequences({1});
    ASSERT_TRUE(others.ok()) << others.status();
    EXPECT_THAT(others->at(0), testing::ElementsAre(2));
  });
}

// The view fails as a full disk does, and counts the tries.
TEST_F(PostgresStoreTest, AnErrorOfASessionThatIsAliveIsNotTriedAgain) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  ASSERT_TRUE(store_->LastSequence().ok());
  Sql("ALTER TABLE submissions RENAME TO kept; CREATE SEQUENCE tries;"
      " CREATE FUNCTION fail() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
      " PERFORM nextval('tries');"
      " RAISE EXCEPTION USING ERRCODE = '53100'; END $$;"
      " CREATE VIEW submissions AS SELECT * FROM kept WHERE fail()");
  EXPECT_TRUE(absl::IsUnavailable(store_->LastSequence().status()));
  EXPECT_EQ(Get("SELECT last_value FROM tries"), "1");
}

TEST_F(PostgresStoreTest, ASecondServerWithTheSameNumberIsRefused) {
  Open();
  const absl::Status second = TryOpen().status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr("server"));
  EXPECT_TRUE(TryOpen(1).ok());
  store_.reset();
  EXPECT_TRUE(TryOpen().ok());
}

// Ends the session that holds the server's number.
constexpr char kEndNumberSession[] =
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks"
    " WHERE locktype = 'advisory' AND classid = 1399616873 AND objid < 1024"
    " AND granted AND pid <> pg_backend_pid()";

TEST_F(PostgresStoreTest, NothingIsSavedWithoutTheNumber) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  std::thread waiting;
  PostgresShell thief(url_);
  // The other session waits for the lock before the lock is released.
  thief.Run("SET lock_timeout = 0");
  PostgresShell shell(url_);
  waiting =
      std::thread([&] { thief.Run("SELECT pg_advisory_lock(1399616873, 0)"); });
  AwaitThat("another batch waits for the number", [&] {
    return shell.Get(
               "SELECT count(*) FROM pg_locks WHERE NOT granted"
               " AND locktype = 'advisory'") == "1";
  });
  shell.Run(kEndNumberSession);
  waiting.join();
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Find("b"), std::nullopt);
  thief.Run("SELECT pg_advisory_unlock(1399616873, 0)");
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
  EXPECT_TRUE(store_->Check().ok());
}

TEST_F(PostgresStoreTest, TheNumberIsTakenAgainBeforeTheNextBatch) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  Sql(kEndNumberSession);
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kFailedPrecondition);
}

// --- The schema ---

TEST_F(PostgresStoreTest, ServersThatStartAtTheSameMomentCreateItOnce) {
  OpenAtTheSameMoment(6);
  EXPECT_EQ(Get("SELECT version FROM sluice_schema"),
            absl::StrCat(kPostgresSchemaVersion));
}

// --- Tables of older versions ---

// Tables of an older version, whose number is the parameter. Migrating them
// must keep everything.
class PostgresMigrationTest : public PostgresStoreTest,
                              public testing::WithParamInterface<int> {
 protected:
  PostgresMigrationTest() {
    Sql(FileBytes(absl::StrCat(SLUICE_SOURCE_DIR "/tests/data/postgres_v",
                               GetParam(), ".sql")));
  }

  // Returns all rows. Columns that were added later are left out.
  std::vector<Shell::Rows> Everything() {
    return {Sql("SELECT * FROM submissions ORDER BY sequence"),
            Sql(absl::StrCat("SELECT conflict, first_sequence, kind, study_id,"
                             " submission_id, received_at, sent_at,"
                             " content_sha256, content_bytes",
                             GetParam() > 1 ? ", sequence, content" : "",
                             " FROM conflicts ORDER BY conflict")),
            Sql("SELECT sequence, reason FROM gaps ORDER BY sequence"),
            Sql("SELECT * FROM answers ORDER BY sequence, position")};
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, PostgresMigrationTest,
                         testing::Values(1, 2));

TEST_P(PostgresMigrationTest, KeepsEverything) {
  const std::vector<Shell::Rows> before = Everything();
  ASSERT_EQ(before[0].size(), 4u);
  EXPECT_EQ(Get("SELECT version FROM sluice_schema"), absl::StrCat(GetParam()));
  for (int round = 0; round < 2; ++round) {
    Reopen();
    EXPECT_EQ(Get("SELECT version FROM sluice_schema"),
              absl::StrCat(kPostgresSchemaVersion));
    EXPECT_EQ(Everything(), before);
    EXPECT_EQ(Sql("SELECT count(*), count(content), count(sequence)"
                  " FROM conflicts"),
              GetParam() > 1 ? (Shell::Rows{{"4", "3", "4"}})
                             : (Shell::Rows{{"4", "0", "0"}}));
    EXPECT_EQ(Get("SELECT count(first_sequence) FROM gaps"), "0");
  }
}

TEST_P(PostgresMigrationTest, HasTheTablesOfANewDatabase) {
  Open();
  const std::string fresh = PostgresServer::Shared().NewSchema();
  ASSERT_TRUE(PostgresStore::Open({.url = fresh, .server = 1}, {}).ok());
  const char* const tables =
      "SELECT table_name, column_name, data_type, is_nullable"
      " FROM information_schema.columns WHERE table_schema = current_schema()"
      " ORDER BY table_name, column_name";
  const char* const indexes =
      "SELECT indexname, replace(indexdef, current_schema() || '.', '')"
      " FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname";
  EXPECT_EQ(Sql(tables), PostgresShell(fresh).Run(tables));
  EXPECT_EQ(Sql(indexes), PostgresShell(fresh).Run(indexes));
}

TEST_P(PostgresMigrationTest, ServersThatStartAtTheSameMomentMigrateOnce) {
  const std::vector<Shell::Rows> before = Everything();
  OpenAtTheSameMoment(6);
  EXPECT_EQ(Get("SELECT version FROM sluice_schema"),
            absl::StrCat(kPostgresSchemaVersion));
  EXPECT_EQ(Everything(), before);
}

// A server of version 1 that started before the migration inserts conflicts
// without the columns of version 2.
TEST_P(PostgresMigrationTest, ARunningServerOfVersion1GoesOn) {
  Open();
  Sql("INSERT INTO gaps VALUES (20, 'conflict');"
      " INSERT INTO conflicts (first_sequence, kind, study_id, submission_id,"
      " received_at, content_sha256, content_bytes) SELECT sequence, kind,"
      " study_id, submission_id, now(), content_sha256, 1 FROM submissions"
      " WHERE sequence = 1");
  EXPECT_EQ(Get("SELECT count(*) FROM conflicts"), "5");
}

// The statements of a server of version 2, with values in place of parameters.
// Such a server knows neither gaps.first_sequence nor the new tables.
TEST_P(PostgresMigrationTest, ARunningServerOfVersion2GoesOn) {
  Open();
  Sql("INSERT INTO submissions (sequence, kind, study_id, submission_id,"
      " site_id, subject, questionnaire, status, authored, authored_at,"
      " sent_at, received_at, supersedes_submission_id, reason_for_change,"
      " content_sha256, answers, content)"
      " SELECT * FROM unnest(ARRAY[20::bigint], ARRAY['app_event'],"
      " ARRAY['study'], ARRAY['new'], ARRAY[NULL], ARRAY[NULL], ARRAY[NULL],"
      " ARRAY[NULL], ARRAY[NULL], ARRAY[NULL::timestamptz],"
      " ARRAY[NULL::timestamptz], ARRAY[now()], ARRAY[NULL], ARRAY[NULL],"
      " ARRAY[sha256('x')], ARRAY['[]'::jsonb], ARRAY['x'::bytea])"
      " ON CONFLICT DO NOTHING RETURNING sequence");
  // A duplicate and a conflict of submission 20.
  const char* const record_gaps =
      "WITH refused AS ("
      "   SELECT *, row_number() OVER ("
      "     PARTITION BY first_sequence, content_sha256 ORDER BY sequence)"
      "     AS nth"
      "   FROM unnest(ARRAY[21, 22::bigint], ARRAY['duplicate', 'conflict'],"
      "     ARRAY[20, 20::bigint], ARRAY['app_event', 'app_event'],"
      "     ARRAY['study', 'study'], ARRAY['new', 'new'],"
      "     ARRAY[now(), now()], ARRAY[NULL, NULL::timestamptz],"
      "     ARRAY[sha256('x'), sha256('y')], ARRAY[1, 1::bigint],"
      "     ARRAY[NULL, 'y'::bytea])"
      "   AS r (sequence, reason, first_sequence, kind, study_id,"
      "     submission_id, received_at, sent_at, content_sha256,"
      "     content_bytes, content)),"
      " gap AS ("
      "   INSERT INTO gaps (sequence, reason) SELECT sequence, reason"
      "   FROM refused WHERE sequence <> first_sequence"
      "   ON CONFLICT DO NOTHING),"
      " recorded AS ("
      "   INSERT INTO conflicts (sequence, first_sequence, kind, study_id,"
      "     submission_id, received_at, sent_at, content_sha256,"
      "     content_bytes, content)"
      "   SELECT sequence, first_sequence, kind, study_id, submission_id,"
      "     received_at, sent_at, content_sha256, content_bytes,"
      "     CASE WHEN nth = 1 AND NOT EXISTS (SELECT FROM conflicts AS c"
      "       WHERE c.first_sequence = r.first_sequence"
      "       AND c.content_sha256 = r.content_sha256"
      "       AND c.content IS NOT NULL)"
      "     THEN content END"
      "   FROM refused AS r WHERE reason = 'conflict' ORDER BY sequence"
      "   ON CONFLICT (sequence) DO NOTHING RETURNING sequence)"
      " SELECT count(*) FROM refused AS r WHERE reason = 'conflict'"
      " AND sequence NOT IN (SELECT sequence FROM recorded)"
      " AND NOT EXISTS (SELECT FROM conflicts AS c"
      "   WHERE c.sequence = r.sequence"
      "   AND c.first_sequence = r.first_sequence"
      "   AND c.kind = r.kind AND c.content_sha256 = r.content_sha256)";
  EXPECT_EQ(Get(record_gaps), "0");
  EXPECT_EQ(Get(record_gaps), "0");
  EXPECT_EQ(
      Sql("SELECT * FROM gaps WHERE sequence > 20 ORDER BY 1"),
      (Shell::Rows{{"21", "duplicate", "NULL"}, {"22", "conflict", "NULL"}}));
  EXPECT_EQ(Get("SELECT convert_from(content, 'UTF8') FROM conflicts"
                " WHERE sequence = 22"),
            "y");
}

TEST_F(PostgresStoreTest, ANewerSchemaIsRefusedAndLeftAsItIs) {
  Open();
  store_.reset();
  Sql("UPDATE sluice_schema SET version = 7; DROP VIEW answers");
  const absl::Status status = TryOpen().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("schema version 7"));
  EXPECT_EQ(Get("SELECT to_regclass('answers') IS NULL"), "t");
  EXPECT_EQ(Get("SELECT version FROM sluice_schema"), "7");
}

TEST_F(PostgresStoreTest, TablesOfAnotherApplicationAreLeftAlone) {
  Sql("CREATE TABLE gaps (teeth integer)");
  const absl::Status status = TryOpen().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(
      Get("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"),
      "1");
}

TEST_F(PostgresStoreTest, TheSchemaIsTheFirstOfTheSearchPath) {
  Sql("CREATE SCHEMA study_a");
  url_ += "&options=-csearch_path%3Dstudy_a";
  Open();
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_EQ(Get("SELECT count(*) FROM study_a.submissions"), "1");
}

TEST_F(PostgresStoreTest, ADatabaseThatIsNotOfUtf8IsRefused) {
  PostgresShell(url_).Run(
      "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
  url_ = server_.Url("latin");
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PostgresStoreTest, CommitsAreOnDiskWhateverTheDefault) {
  url_ += "%20-csynchronous_commit%3Doff";
  EXPECT_EQ(Get("SHOW synchronous_commit"), "off");
  Open();
  // The trigger records the setting of the session that saves.
  Sql("CREATE TABLE seen (setting text);"
      "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " INSERT INTO seen VALUES (current_setting('synchronous_commit'));"
      " RETURN NEW; END $$;"
      "CREATE TRIGGER note BEFORE INSERT ON submissions"
      " FOR EACH ROW EXECUTE FUNCTION note()");
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_EQ(Get("SELECT setting FROM seen"), "on");
}

// --- A server that becomes unavailable and available again ---

TEST_F(PostgresStoreTest, WithoutAServerItDoesNotOpen) {
  server_.Stop();
  const absl::Status status = TryOpen().status();
  server_.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST_F(PostgresStoreTest, TheFirstCallAfterARestartWorks) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_EQ(Find("a")->sequence, 1);
  server_.Stop();
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->FindReceipts("study", {"a"}).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  server_.Start();
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
  EXPECT_EQ(Find("a")->sequence, 1);
  EXPECT_TRUE(store_->Check().ok());

  server_.Kill();
  server_.Start();
  EXPECT_EQ(Find("b")->sequence, 2);
  EXPECT_EQ(SaveOne(MakeSubmission(3, "c")).result, Result::kStored);
}

TEST_F(PostgresStoreTest, ABatchThatIsKilledInBetweenIsNotThere) {
  Open();
  absl::Status status;
  PostgresShell shell(url_);
  shell.Run("BEGIN; LOCK TABLE submissions");
  std::thread saving = SaveBehind(MakeSubmission(1, "a"), &status);
  PostgresShell watcher(url_);
  AwaitThat("the batch waits", [&] { return watcher.Get(kBusy) == "1"; });
  server_.Kill();
  saving.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  server_.Start();
  EXPECT_EQ(Find("a"), std::nullopt);
  EXPECT_EQ(SaveOne(MakeSubmission(1, "a")).result, Result::kStored);
}

TEST_F(PostgresStoreTest, ACommitThatNobodyHeardOfIsFoundByTheRetry) {
  Open();
  SaveOne(MakeSubmission(1, "first"));
  // With this setting a commit is written to disk, but waits for a standby that
  // does not exist.
  PostgresShell shell(url_);
  shell.Run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  shell.Run("SELECT pg_reload_conf()");
  AwaitThat("the setting is loaded", [&] {
    return shell.Get("SHOW synchronous_standby_names") == "nobody";
  });
  // The server applies the setting a little later: commits before do not wait.
  Submission s;
  absl::Status status;
  std::thread saving;
  AwaitThat("a commit waits", [&] {
    const bool saved = shell.Get(absl::StrCat(
                           "SELECT count(*) FROM submissions WHERE sequence = ",
                           s.sequence)) == "1";
    if (saved) saving.join();
    if (!saving.joinable()) {
      s = MakeSubmission(s.sequence + 5, absl::StrCat("a", s.sequence));
      saving = SaveBehind(s, &status);
    }
    return shell.Get(
               "SELECT count(*) FROM pg_stat_activity"
               " WHERE wait_event = 'SyncRep'") == "1";
  });
  shell.Run("ALTER SYSTEM RESET synchronous_standby_names");
  server_.Kill();
  saving.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  server_.Start();
  const Saved again = SaveOne(s);
  EXPECT_EQ(again.result, Result::kStored);
  EXPECT_EQ(again.sequence, s.sequence);
  EXPECT_EQ(again.received_at, s.received_at);
  // The caller sends the submission again, with a new sequence number.
  const std::int64_t next = s.sequence + 1;
  EXPECT_EQ(SaveOne(MakeSubmission(next, s.submission_id)).result,
            Result::kDuplicate);
  EXPECT_EQ(Sql("SELECT sequence FROM gaps"),
            (Shell::Rows{{absl::StrCat(next)}}));
}

TEST_F(PostgresStoreTest, ACommitThatIsNotReplicatedIsNeverCalledStored) {
  OpenToBeOutOfPatienceSoon();
  const MissingStandby missing(url_);
  EXPECT_EQ(Save({MakeSubmission(2, "a")}).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(PostgresStoreTest, ACommitWhoseWaitIsCancelledIsNeverCalledStored) {
  // A default of the role or the database must not hide PostgreSQL's warning.
  url_ += "%20-cclient_min_messages%3Derror";
  Open();
  SaveOne(MakeSubmission(1, "first"));
  MissingStandby missing(url_);
  const Submission s = MakeSubmission(2, "a");
  absl::Status status;
  std::thread saving = SaveBehind(s, &status);
  missing.AwaitWaitingCommits(1);
  missing.EndWaits("pg_cancel_backend");
  saving.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown"));
}

TEST_F(PostgresStoreTest, RowsThatWereFoundAreReportedOnceTheyAreReplicated) {
  Open();
  SaveOne(MakeSubmission(1, "first"));
  const Submission own = MakeSubmission(2, "a");
  const Submission duplicate = MakeSubmission(3, "a");
  const Submission conflict = MakeSubmission(4, "a", "other");
  ASSERT_TRUE(Save({own, duplicate, conflict}).ok());
  // Submissions, gaps and conflicts are already stored, so that these batches
  // insert nothing.
  MissingStandby missing(url_);
  for (const Submission& s : {own, duplicate, conflict}) {
    absl::Status status;
    std::thread saving = SaveBehind(s, &status);
    missing.AwaitWaitingCommits(1);
    missing.EndWaits("pg_terminate_backend");
    saving.join();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << s.sequence;
  }
  absl::Status status;
  std::thread saving = SaveBehind(own, &status);
  missing.AwaitWaitingCommits(1);
  missing.Return();
  saving.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(PostgresStoreTest, AReceiptIsReportedOnceItsRowIsReplicated) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  MissingStandby missing(url_);
  EXPECT_EQ(Find("unknown"), std::nullopt) << "does not wait";
  absl::Status status;
  std::thread lookup([&] {
    status = store_->FindReceipts("study", {"unknown", "a"}).status();
  });
  missing.AwaitWaitingCommits(1);
  missing.EndWaits("pg_cancel_backend");
  lookup.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;

  std::optional<StoredReceipt> receipt;
  lookup = std::thread([&] { receipt = Find("a"); });
  missing.AwaitWaitingCommits(1);
  missing.Return();
  lookup.join();
  ASSERT_TRUE(receipt.has_value());
  EXPECT_EQ(receipt->sequence, 1);
}

TEST_F(PostgresStoreTest, AReceiptIsReportedByASessionThatMayNotWrite) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  url_ += "&target_session_attrs=any";
  auto reader = TryOpen(1);
  ASSERT_TRUE(reader.ok()) << reader.status();
  PostgresShell shell(url_);
  shell.Run("SET synchronous_commit = local");
  MissingStandby missing(server_.Url("postgres"));
  // Concerns the sessions that begin later.
  shell.Run("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on");
  const auto receipts = (*reader)->FindReceipts("study", {"a"});
  shell.Run("ALTER ROLE CURRENT_USER RESET default_transaction_read_only");
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  EXPECT_EQ(receipts->at(0)->sequence, 1);
}

// --- Settings that endanger commits ---

// Changes a setting of the shared server, and restores it at the end.
class ChangedSetting {
 public:
  ChangedSetting(const std::string& url, std::string name,
                 const std::string& value)
      : shell_(url), name_(std::move(name)) {
    shell_.Run(absl::StrCat("ALTER SYSTEM SET ", name_, " = ", value));
    Load(value);
  }
  ~ChangedSetting() {
    shell_.Run(absl::StrCat("ALTER SYSTEM RESET ", name_));
    Load("on");
  }

 private:
  void Load(const std::string& value) {
    shell_.Run("SELECT pg_reload_conf()");
    AwaitThat("the setting is loaded", [&] {
      return shell_.Get(absl::StrCat("SHOW ", name_)) == value;
    });
  }

  PostgresShell shell_;
  const std::string name_;
};

class PostgresHazardTest : public PostgresStoreTest {
 protected:
  void OpenWith(bool require_replication) {
    auto store = PostgresStore::Open(
        {.url = url_, .require_replication = require_replication},
        [](auto...) { return false; },
        [this](StoreSeverity severity, const std::string& message) {
          absl::MutexLock lock(&mutex_);
          if (severity == StoreSeverity::kError) errors_.push_back(message);
        });
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::vector<std::string> errors() {
    absl::MutexLock lock(&mutex_);
    return errors_;
  }
  bool Present(const std::string& name) {
    for (const StoreHazard& hazard : store_->Hazards()) {
      if (hazard.name == name) return hazard.present;
    }
    ADD_FAILURE() << "no hazard " << name;
    return false;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> errors_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(PostgresHazardTest, StandbysThatAreNoLongerConfiguredAreLogged) {
  OpenWith(/*require_replication=*/false);
  SaveOne(MakeSubmission(1, "a"));
  EXPECT_THAT(errors(), IsEmpty());
  {
    const MissingStandby missing(url_);
    EXPECT_FALSE(store_->Check().ok());
    EXPECT_THAT(errors(), IsEmpty());
  }
  SaveOne(MakeSubmission(2, "b"));
  EXPECT_THAT(errors(),
              ElementsAre(HasSubstr("synchronous_standby_names is empty")));
  EXPECT_TRUE(Present("replication_off"));
  SaveOne(MakeSubmission(3, "c"));
  AwaitThat("the store is ready", [&] { return store_->Check().ok(); });
  EXPECT_EQ(errors().size(), 1u);
}

TEST_F(PostgresHazardTest, NothingIsAcknowledgedWithoutRequiredReplication) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  store_.reset();
  OpenWith(/*require_replication=*/true);
  EXPECT_THAT(errors(),
              ElementsAre(HasSubstr("synchronous_standby_names is empty")));
  const auto expect_refused = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("synchronous_standby_names"));
  };
  expect_refused(Save({MakeSubmission(2, "b")}));
  expect_refused(Save({MakeSubmission(3, "a")}));  // a duplicate
  expect_refused(store_->FindReceipts("study", {"a"}).status());
  expect_refused(store_->Check());
  EXPECT_EQ(errors().size(), 1u);
}

TEST_F(PostgresHazardTest, ACommitThatDidNotWaitForRequiredStandbysIsRefused) {
  OpenWith(/*require_replication=*/true);
  MissingStandby missing(url_);
  absl::Status status;
  std::thread saving = SaveBehind(MakeSubmission(1, "a"), &status);
  missing.AwaitWaitingCommits(1);
  // The wait ends because the list of standbys becomes empty.
  missing.Return();
  saving.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST_F(PostgresHazardTest, FsyncThatIsSwitchedOffIsLogged) {
  OpenWith(/*require_replication=*/false);
  SaveOne(MakeSubmission(1, "a"));
  {
    const ChangedSetting off(url_, "fsync", "off");
    SaveOne(MakeSubmission(2, "b"));
    SaveOne(MakeSubmission(3, "c"));
    EXPECT_THAT(errors(), ElementsAre(HasSubstr("fsync is off")));
    EXPECT_TRUE(Present("fsync_off"));
    EXPECT_TRUE(store_->Check().ok());
    // A store does not open meanwhile.
    const absl::Status opened =
        PostgresStore::Open({.url = url_, .server = 7}, nullptr).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kFailedPrecondition);
  }
  SaveOne(MakeSubmission(4, "d"));
  EXPECT_FALSE(Present("fsync_off"));
  EXPECT_EQ(errors().size(), 1u);
}

TEST_F(PostgresHazardTest, CheckNoticesSettingsWithoutABatch) {
  OpenWith(/*require_replication=*/false);
  {
    const ChangedSetting off(url_, "full_page_writes", "off");
    EXPECT_TRUE(store_->Check().ok());
    EXPECT_TRUE(Present("full_page_writes_off"));
  }
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_FALSE(Present("full_page_writes_off"));
}

// --- Readiness while no standby answers ---

TEST_F(PostgresStoreTest, ChecksKeepOneSessionWaitingForAStandby) {
  Open();
  EXPECT_TRUE(store_->Check().ok());
  MissingStandby missing(url_);
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = store_->Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("standby"));
  }
  EXPECT_EQ(missing.WaitingCommits(), "1");
  EXPECT_EQ(Get(kSessions), "2") << "the number's and the one of Check";
  missing.Return();
  AwaitThat("the store is ready again", [&] { return store_->Check().ok(); });
  EXPECT_EQ(Get(kSessions), "2");
}

TEST_F(PostgresStoreTest, ACheckThatWaitsForTooLongIsTerminated) {
  OpenToBeOutOfPatienceSoon();
  MissingStandby missing(url_);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  }
  AwaitThat("at most one commit waits", [&] {
    return missing.WaitingCommits() == "0" || missing.WaitingCommits() == "1";
  });
  missing.Return();
  AwaitThat("the store is ready again", [&] { return store_->Check().ok(); });
}

TEST_F(PostgresStoreTest, BatchesThatGaveUpLeaveNoSessionsBehind) {
  OpenToBeOutOfPatienceSoon();
  MissingStandby missing(url_);
  for (int i = 2; i < 6; ++i) {
    EXPECT_EQ(Save({MakeSubmission(i, absl::StrCat(i))}).code(),
              absl::StatusCode::kUnavailable);
  }
  missing.AwaitWaitingCommits(1);
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  missing.AwaitWaitingCommits(1);
  AwaitThat("the processes have ended", [&] {
    return Get(kSessions) == "2";  // of the number and of Check
  });
  missing.Return();
  for (int i = 2; i < 6; ++i) {
    EXPECT_EQ(SaveOne(MakeSubmission(i, absl::StrCat(i))).result,
              Result::kStored);
  }
}

// --- A server that hangs ---

TEST_F(PostgresStoreTest, WorkersWaitForAServerThatHangsAtTheSameTime) {
  OpenToBeOutOfPatienceSoon();
  Sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
      " WHERE application_name = 'sluice'");
  server_.Pause();
  constexpr int kThreads = 12;
  std::vector<absl::Status> statuses(kThreads);
  std::vector<std::thread> threads;
  const TimePoint start = SystemClock()->Now();
  for (int t = 0; t < kThreads; ++t) {
    threads.push_back(SaveBehind(MakeSubmission(10 + t, absl::StrCat(t)),
                                 &statuses[static_cast<std::size_t>(t)]));
  }
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->FindReceipts("study", {"first"}).status().code(),
            absl::StatusCode::kUnavailable);
  for (std::thread& thread : threads) thread.join();
  const double waited_seconds = ToSeconds(SystemClock()->Now() - start);
  server_.Resume();
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  // The timeout is 1 s. If the calls waited one after the other, they would
  // take 12 s.
  EXPECT_LT(waited_seconds, 6);
  AwaitThat("the store saves again",
            [&] { return Save({MakeSubmission(2, "b")}).ok(); });
}

// Returns a URL with all `servers` as hosts. The URL leads to the database
// "postgres" of the server that accepts writes.
std::string UrlOf(std::initializer_list<const PostgresServer*> servers) {
  std::vector<std::string> folders;
  for (const PostgresServer* server : servers) {
    const std::string url = server->Url("postgres");
    folders.push_back(
        absl::StrReplaceAll(url.substr(url.find("host=") + 5), {{"/", "%2F"}}));
  }
  return absl::StrCat("postgresql://sluice@", absl::StrJoin(folders, ","),
                      "/postgres");
}

TEST_F(PostgresStoreTest, AHostThatHangsLeavesTimeForTheOthers) {
  PostgresServer hanging;
  PostgresServer working;
  url_ = UrlOf({&hanging, &working});
  hanging.Pause();
  timeout_ = absl::Seconds(4);
  Open();
  SaveOne(MakeSubmission(1, "a"));
  hanging.Resume();
}

// --- Failover ---

constexpr char kCount[] = "SELECT count(*) FROM submissions";

TEST_F(PostgresStoreTest, AnOldPrimaryThatComesBackIsNotUsed) {
  PostgresServer old_primary;
  PostgresServer new_primary(/*start=*/false);
  url_ = UrlOf({&old_primary, &new_primary});
  Open();
  SaveOne(MakeSubmission(1, "a"));

  old_primary.Stop();
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
  new_primary.StartPromoted(old_primary);
  old_primary.Start();
  EXPECT_EQ(SaveOne(MakeSubmission(2, "b")).result, Result::kStored);
  EXPECT_EQ(PostgresShell(new_primary.Url("postgres")).Get(kCount), "2");
  EXPECT_EQ(PostgresShell(old_primary.Url("postgres")).Get(kCount), "1");

  new_primary.Stop();
  const absl::Status status = Save({MakeSubmission(3, "c")});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(store_->FindReceipts("study", {"a"}).ok());
  EXPECT_FALSE(store_->Check().ok());
  EXPECT_EQ(PostgresShell(old_primary.Url("postgres")).Get(kCount), "1");
  new_primary.Start();
  EXPECT_EQ(SaveOne(MakeSubmission(3, "c")).result, Result::kStored);
  EXPECT_EQ(PostgresShell(new_primary.Url("postgres")).Get(kCount), "3");

  // The old primary is not used at a start either.
  Reopen();
  SaveOne(MakeSubmission(4, "d"));
  EXPECT_EQ(PostgresShell(new_primary.Url("postgres")).Get(kCount), "4");
}

TEST_F(PostgresStoreTest, TheNumberIsTakenOnTheServerThatIsWrittenTo) {
  PostgresServer old_primary;
  PostgresServer new_primary(/*start=*/false);
  url_ = UrlOf({&old_primary, &new_primary});
  timeout_ = absl::Seconds(2);
  Open();
  SaveOne(MakeSubmission(1, "a"));

  // Pause the old primary, so that the store's sessions with it stay open.
  old_primary.Pause();
  new_primary.StartPromoted(old_primary);
  url_ = UrlOf({&new_primary});
  auto second = TryOpen();
  ASSERT_TRUE(second.ok()) << second.status();
  AwaitThat("the store finds the new primary", [&] {
    const absl::Status status = Save({MakeSubmission(2, "b")});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    return status.message().find("number") != std::string::npos;
  });
  EXPECT_EQ(PostgresShell(new_primary.Url("postgres")).Get(kCount), "1");
  EXPECT_FALSE(store_->Check().ok());

  second->reset();
  AwaitThat("the store has the number",
            [&] { return Save({MakeSubmission(2, "b")}).ok(); });
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kFailedPrecondition);
  old_primary.Resume();
  EXPECT_EQ(SaveOne(MakeSubmission(3, "c")).result, Result::kStored);
  EXPECT_EQ(PostgresShell(new_primary.Url("postgres")).Get(kCount), "3");
}

TEST_F(PostgresStoreTest, AnotherClusterAtTheSameAddressIsNotUsed) {
  PostgresServer server;
  url_ = UrlOf({&server});
  Open();
  SaveOne(MakeSubmission(1, "a"));
  server.StartAnotherCluster();
  const absl::Status status = Save({MakeSubmission(2, "b")});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another cluster"));
  Reopen();
  SaveOne(MakeSubmission(2, "b"));
}

TEST_F(PostgresStoreTest,
       WhoeverTakesTheNumberEndsTheSessionsThatWriteUnderIt) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  // The server loses its number while a batch is in work.
  PostgresShell shell(url_);
  shell.Run("BEGIN; LOCK TABLE submissions");
  absl::Status status;
  std::thread saving = SaveBehind(MakeSubmission(2, "b"), &status);
  PostgresShell watcher(url_);
  AwaitThat("the batch waits", [&] { return watcher.Get(kWaiting) == "1"; });
  watcher.Run(kEndNumberSession);
  auto second = TryOpen();
  EXPECT_TRUE(second.ok()) << second.status();
  saving.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  shell.Run("ROLLBACK");
  EXPECT_EQ(Find("b"), std::nullopt);
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(PostgresStoreTest, AnErrorOfTheNumbersLockIsReportedAsWhatItIs) {
  Open();
  // The second store waits up to half a second for the lock of the number.
  // Cancel this wait.
  PostgresShell shell(url_);
  AwaitThat("the wait was cancelled in time", [&] {
    absl::Status status;
    std::atomic<bool> ended{false};
    std::thread opening([&] {
      status = TryOpen().status();
      ended = true;
    });
    bool cancelled = false;
    while (!ended && !cancelled) {
      cancelled = !shell
                       .Run(
                           "SELECT pg_cancel_backend(pid) FROM pg_locks"
                           " WHERE locktype = 'advisory' AND NOT granted")
                       .empty();
    }
    opening.join();
    if (absl::IsFailedPrecondition(status)) return false;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("57014"));
    return true;
  });
}

TEST_F(PostgresStoreTest, AServerThatHangsIsUnavailable) {
  OpenToBeOutOfPatienceSoon();
  PostgresShell shell(url_);
  shell.Run("BEGIN; LOCK TABLE submissions");
  EXPECT_EQ(Save({MakeSubmission(2, "b")}).code(),
            absl::StatusCode::kUnavailable);
  shell.Run("ROLLBACK");
  AwaitThat("the store saves again",
            [&] { return Save({MakeSubmission(2, "b")}).ok(); });
  EXPECT_EQ(Find("b")->sequence, 2);
}

TEST_F(PostgresStoreTest, AfterAFailureItIsReadyOnceItCanWrite) {
  Open();
  Sql("ALTER TABLE submissions RENAME TO renamed");
  EXPECT_EQ(Save({MakeSubmission(1, "a")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_FALSE(store_->Check().ok());
  Sql("ALTER TABLE renamed RENAME TO submissions");
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_EQ(SaveOne(MakeSubmission(1, "a")).result, Result::kStored);
}

TEST_F(PostgresStoreTest, ALookupInProgressDelaysNeitherCheckNorExport) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  PostgresShell shell(url_);
  shell.Run("BEGIN; LOCK TABLE submissions");
  std::thread lookup([this] { Find("a"); });
  PostgresShell watcher(url_);
  AwaitThat("the lookup waits for the table",
            [&] { return watcher.Get(kWaiting) == "1"; });
  EXPECT_TRUE(store_->Check().ok());
  std::thread reading([this] { EXPECT_TRUE(store_->Read(0, 1, 1).ok()); });
  AwaitThat("both wait for the table, each in a session of its own",
            [&] { return watcher.Get(kWaiting) == "2"; });
  shell.Run("ROLLBACK");
  lookup.join();
  reading.join();
}

TEST_F(PostgresStoreTest, AfterARejectedBatchItIsReady) {
  Open();
  SaveOne(MakeSubmission(1, "a"));
  Submission malformed = MakeSubmission(2, "b");
  malformed.answers_json = "not JSON";
  const absl::Status status = Save({malformed});
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(IsTransient(status)) << status;
  EXPECT_TRUE(store_->Check().ok());
}

// --- Several threads ---

TEST_F(PostgresStoreTest, SessionsAreAsManyAsCallersAtTheSameTime) {
  Open();
  constexpr int kThreads = 4;
  EXPECT_EQ(Get(kSessions), "1");
  for (int i = 1; i <= 10; ++i) SaveOne(MakeSubmission(i, absl::StrCat(i)));
  EXPECT_EQ(Get(kSessions), "2") << "the number's and the writer's";
  for (int round = 1; round <= 3; ++round) {
    PostgresShell shell(url_);
    shell.Run("BEGIN; LOCK TABLE submissions");
    std::vector<absl::Status> statuses(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      const int sequence = 100 * round + t;
      threads.push_back(
          SaveBehind(MakeSubmission(sequence, absl::StrCat(sequence)),
                     &statuses[static_cast<std::size_t>(t)]));
    }
    AwaitThat("all batches wait", [&] { return Get(kBusy) == "4"; });
    EXPECT_EQ(Get(kSessions), "5");
    shell.Run("ROLLBACK");
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok());
  }
  Find("1");
  EXPECT_TRUE(store_->Check().ok());
  EXPECT_EQ(Get(kSessions), "7") << "and those for reading and for Check";
}

TEST_F(PostgresStoreTest, BatchesWithTheSameIdsWaitForEachOtherInOneOrder) {
  Open();
  auto other = TryOpen(1);
  ASSERT_TRUE(other.ok()) << other.status();
  SaveOne(MakeSubmission(1, "first"));
  // Both batches block at the id `b`, in the middle of the batch.
  PostgresShell shell(url_);
  shell.Run(
      "BEGIN; INSERT INTO submissions SELECT 100, kind, study_id, 'b',"
      " NULL, NULL, NULL, NULL, NULL, NULL, NULL, received_at, NULL,"
      " NULL, content_sha256, '[]', '' FROM submissions");
  std::vector<absl::Status> statuses(2);
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::vector<Saved> saved(3);
    statuses[0] =
        store_->SaveBatch({MakeSubmission(2, "a"), MakeSubmission(3, "b"),
                           MakeSubmission(4, "c")},
                          absl::MakeSpan(saved));
  });
  threads.emplace_back([&] {
    std::vector<Saved> saved(3);
    const std::int64_t first = std::int64_t{1} << 40;
    statuses[1] = (*other)->SaveBatch(
        {MakeSubmission(first + 1, "c"), MakeSubmission(first + 2, "b"),
         MakeSubmission(first + 3, "a")},
        absl::MakeSpan(saved));
  });
  PostgresShell watcher(url_);
  AwaitThat("both batches wait", [&] { return watcher.Get(kWaiting) == "2"; });
  shell.Run("ROLLBACK");
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
  EXPECT_TRUE(statuses[1].ok()) << statuses[1];
}

TEST_F(PostgresStoreTest, ThreadsOfTwoServersWithTheSameIdsStoreEachOnce) {
  Open();
  auto other = TryOpen(1);
  ASSERT_TRUE(other.ok()) << other.status();
  std::atomic<std::int64_t> sequences[] = {0, std::int64_t{1} << 40};
  std::atomic<int> stored{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      SaveTheSameIds(t % 2 == 0 ? *store_ : **other, 200, t % 3 == 0,
                     sequences[t % 2], stored);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, 200);
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT submission_id)"
                " FROM submissions"),
            (Shell::Rows{{"200", "200"}}));
  EXPECT_EQ(Get("SELECT count(*) FROM gaps"), "1000");
}

// --- The view for people who read answers with SQL ---

TEST_F(PostgresStoreTest, AnswersAreOneRowEach) {
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
       "display": "Confused", "system": "http://loinc.org"},
      {"link_id": "3", "type": "boolean", "value": true},
      {"link_id": "4", "type": "decimal", "value": "37.50"},
      {"link_id": "5", "type": "quantity", "value": "1e3", "unit": "mg"},
      {"link_id": "6", "type": "string", "value": "it's \"so\"\n\u00e9"},
      {"link_id": "7", "type": "string", "value": ""},
      {"link_id": "8", "type": "reference"}])";
  // A submission without answers has no rows.
  ASSERT_TRUE(Save({s, MakeSubmission(2, "id-2")}).ok());
  EXPECT_EQ(Sql("SELECT DISTINCT sequence, study_id, site_id, submission_id,"
                " subject, questionnaire, status, authored, received_at"
                " FROM answers"),
            (Shell::Rows{{"1", "study", "site-1", "id-1", "Patient/7",
                          "http://example.org/q|1.0", "completed",
                          "2024-03-01T20:15:30+01:00",
                          "2023-11-14 22:13:20.001+00"}}));
  EXPECT_EQ(Sql("SELECT position, link_id, type, value, unit, system, display"
                " FROM answers ORDER BY sequence, position"),
            (Shell::Rows{
                {"0", "1", "integer", "7", "NULL", "NULL", "NULL"},
                {"1", "2.1", "coding", "LA6560-2", "NULL", "http://loinc.org",
                 "Confused"},
                {"2", "3", "boolean", "true", "NULL", "NULL", "NULL"},
                {"3", "4", "decimal", "37.50", "NULL", "NULL", "NULL"},
                {"4", "5", "quantity", "1e3", "mg", "NULL", "NULL"},
                {"5", "6", "string", "it's \"so\"\né", "NULL", "NULL", "NULL"},
                {"6", "7", "string", "", "NULL", "NULL", "NULL"},
                {"7", "8", "reference", "NULL", "NULL", "NULL", "NULL"}}));
}

// A role that may read and not write the tables.
class PostgresPrivileges : public PostgresStoreTest {
 protected:
  PostgresPrivileges() {
    Open();
    store_.reset();
    Sql("DROP ROLE IF EXISTS sluice_writer");
    Sql("CREATE ROLE sluice_writer LOGIN");
    const std::string schema = PostgresShell(url_).Get("SELECT current_schema");
    Sql("GRANT USAGE ON SCHEMA " + schema + " TO sluice_writer");
    Sql("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA " + schema +
        " TO sluice_writer");
    owner_url_ = url_;
    url_ = absl::StrReplaceAll(url_, {{"user=sluice&", "user=sluice_writer&"}});
  }
  ~PostgresPrivileges() override {
    store_.reset();
    PostgresShell(owner_url_)
        .Run("DROP OWNED BY sluice_writer; DROP ROLE sluice_writer");
  }

  void AsOwner(const std::string& sql) { PostgresShell(owner_url_).Run(sql); }

  std::string owner_url_;
};

TEST_F(PostgresPrivileges, AreNeededToOpen) {
  AsOwner("REVOKE INSERT ON submissions FROM sluice_writer");
  AsOwner("REVOKE SELECT ON gaps FROM sluice_writer");
  const auto opened = TryOpen();
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition)
      << opened.status();
  EXPECT_THAT(
      std::string(opened.status().message()),
      testing::AllOf(HasSubstr("lacks "), HasSubstr("INSERT on submissions"),
                     HasSubstr("SELECT on gaps")));
}

TEST_F(PostgresPrivileges, AreCheckedWhileTheServerRuns) {
  Open();
  ASSERT_TRUE(Save({MakeSubmission(1, "a")}).ok());
  ASSERT_TRUE(store_->Check().ok());
  AsOwner("REVOKE INSERT ON submissions FROM sluice_writer");
  const absl::Status check = store_->Check();
  EXPECT_TRUE(absl::IsUnavailable(check)) << check;
  EXPECT_THAT(std::string(check.message()),
              HasSubstr("lacks INSERT on submissions"));
  AsOwner("GRANT INSERT ON submissions TO sluice_writer");
  EXPECT_TRUE(store_->Check().ok());
  ASSERT_TRUE(Save({MakeSubmission(2, "b")}).ok());
}

}  // namespace
}  // namespace sluice

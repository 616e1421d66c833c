// Tests the promises of stores/server_registry.h, for every kind of store that
// has a registry.

#include "stores/server_registry.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/datastore_store.h"
#include "stores/discard_store.h"
#include "stores/postgres_store.h"
#include "stores/recording_store.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/postgres_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSqlite[] = "sqlite";
constexpr char kPostgres[] = "postgres";

RegisteredJournal Journal(const std::string& id, std::int64_t server = 0) {
  return {.id = id,
          .server = server,
          .pool = "clinical",
          .host = "machine-1",
          .path = absl::StrCat("/data/", id, ".db")};
}

std::string KindOf(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

// The parameter is the kind of store.
class ServerRegistryTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == kPostgres) url_ = PostgresServer::Shared().NewSchema();
    Reopen();
  }

  absl::StatusOr<std::unique_ptr<Store>> TryOpen(std::int64_t server = 0) {
    if (GetParam() == kSqlite) {
      return SqliteStore::Open({.path = path_}, SameInLowerCase);
    }
    return PostgresStore::Open({.url = url_, .server = server},
                               SameInLowerCase);
  }
  void Reopen() {
    store_.reset();
    auto store = TryOpen();
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  ServerRegistry& registry() { return *store_->registry(); }

  std::vector<std::string> Ids() {
    std::vector<std::string> ids;
    const auto journals = registry().Journals();
    EXPECT_TRUE(journals.ok()) << journals.status();
    for (const RegisteredJournal& journal : *journals) {
      ids.push_back(journal.id);
    }
    return ids;
  }
  Shell::Rows Sql(const std::string& sql) {
    return GetParam() == kSqlite ? Shell(path_).Run(sql)
                                 : PostgresShell(url_).Run(sql);
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
  std::string url_;
  FaultyDisk disk_;  // of SQLite
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, ServerRegistryTest,
                         testing::Values(kSqlite, kPostgres), KindOf);

TEST_P(ServerRegistryTest, ANewStoreKnowsNothing) {
  EXPECT_EQ(registry().server(), 0);
  EXPECT_THAT(*registry().Journals(), IsEmpty());
  EXPECT_EQ(*registry().Reserved(), 0);
}

TEST_P(ServerRegistryTest, KeepsJournalsSortedById) {
  ASSERT_TRUE(registry().Register({}).ok());
  ASSERT_TRUE(registry().Register({Journal("c"), Journal("a", 7)}).ok());
  ASSERT_TRUE(registry().Register({Journal("b")}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(*registry().Journals(),
                ElementsAre(Journal("a", 7), Journal("b"), Journal("c")));
    Reopen();
  }
}

TEST_P(ServerRegistryTest, AJournalThatIsRegisteredAgainGetsTheNewValues) {
  ASSERT_TRUE(registry().Register({Journal("a"), Journal("b")}).ok());
  const RegisteredJournal moved = {.id = "a",
                                   .server = 3,
                                   .pool = "telemetry",
                                   .host = "machine-2",
                                   .path = "/other folder/é.db"};
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(registry().Register({moved}).ok());
    EXPECT_THAT(*registry().Journals(), ElementsAre(moved, Journal("b")));
  }
}

TEST_P(ServerRegistryTest, ARetiredJournalIsKeptButNotReturned) {
  const absl::Time now = absl::FromUnixMicros(1709320532000001);
  ASSERT_TRUE(registry().Register({Journal("a"), Journal("b")}).ok());
  ASSERT_TRUE(registry().Retire("a", "it is lost", now).ok());
  ASSERT_TRUE(registry().Retire("a", "again", now + absl::Hours(1)).ok());
  ASSERT_TRUE(registry().Retire("unknown", "?", now).ok());
  Reopen();
  EXPECT_THAT(Ids(), ElementsAre("b"));
  const Shell::Rows rows =
      Sql("SELECT id, path, retired_because, retired_at FROM journals"
          " ORDER BY id");
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_THAT(
      rows[0],
      ElementsAre("a", "/data/a.db", "it is lost",
                  testing::MatchesRegex("2024-03-01[ T]19:15:32.000001.*")));
  EXPECT_THAT(rows[1], ElementsAre("b", "/data/b.db", "NULL", "NULL"));

  ASSERT_TRUE(registry().Register({Journal("a")}).ok());
  EXPECT_THAT(Ids(), ElementsAre("a", "b"));
  EXPECT_THAT(Sql("SELECT 1 FROM journals WHERE retired_at IS NOT NULL"
                  " OR retired_because IS NOT NULL"),
              IsEmpty());
}

TEST_P(ServerRegistryTest, NumbersThatAreReservedStayReserved) {
  ASSERT_TRUE(registry().Reserve(1000).ok());
  EXPECT_EQ(*registry().Reserved(), 1000);
  ASSERT_TRUE(registry().Reserve(10).ok());
  EXPECT_EQ(*registry().Reserved(), 1000);
  ASSERT_TRUE(registry().Reserve(std::int64_t{1} << 41).ok());
  Reopen();
  EXPECT_EQ(*registry().Reserved(), std::int64_t{1} << 41);
}

TEST_P(ServerRegistryTest, ReservedNumbersAreNotUsedNumbers) {
  ASSERT_TRUE(registry().Reserve(1000).ok());
  EXPECT_EQ(*store_->LastSequence(), 0);
}

TEST_P(ServerRegistryTest, SavesAndRegistersAtTheSameTime) {
  constexpr int kRounds = 50;
  std::thread saving([&] {
    for (int i = 1; i <= kRounds; ++i) {
      Saved saved;
      const absl::Status status = store_->SaveBatch(
          {MakeSubmission(i, absl::StrCat(i))}, absl::MakeSpan(&saved, 1));
      ASSERT_TRUE(status.ok()) << status;
    }
  });
  for (int i = 1; i <= kRounds; ++i) {
    EXPECT_TRUE(registry().Reserve(i).ok());
    EXPECT_TRUE(registry().Register({Journal(absl::StrCat(i))}).ok());
    EXPECT_EQ(*registry().Reserved(), i);
  }
  saving.join();
  EXPECT_THAT(Ids(), SizeIs(kRounds));
  EXPECT_EQ(*store_->LastSequence(), kRounds);
}

TEST_P(ServerRegistryTest, AStoreThatRecordsItsHighestNumberHasTheRegistry) {
  auto recording =
      RecordingStore::Open(std::move(store_), {folder_ / "sequence"});
  ASSERT_TRUE(recording.ok()) << recording.status();
  store_ = *std::move(recording);
  ASSERT_TRUE(registry().Reserve(5).ok());
  EXPECT_EQ(*registry().Reserved(), 5);
}

TEST(StoresWithoutARegistry, HaveNone) {
  EXPECT_EQ(DiscardStore(DiscardStoreOptions{}).registry(), nullptr);
  const auto datastore =
      DatastoreStore::Open({.target = "127.0.0.1:1"}, SameInLowerCase);
  ASSERT_TRUE(datastore.ok()) << datastore.status();
  EXPECT_EQ((*datastore)->registry(), nullptr);
}

// --- SQLite ---

class SqliteRegistryTest : public ServerRegistryTest {};

INSTANTIATE_TEST_SUITE_P(Stores, SqliteRegistryTest, testing::Values(kSqlite),
                         KindOf);

TEST_P(SqliteRegistryTest, AFullDiskIsATransientErrorThatChangesNothing) {
  ASSERT_TRUE(registry().Register({Journal("a")}).ok());
  disk_.SetFull(true);
  for (const absl::Status& status :
       {registry().Register({Journal("b")}), registry().Reserve(100),
        registry().Retire("a", "lost", absl::UnixEpoch())}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  disk_.SetFull(false);
  EXPECT_THAT(Ids(), ElementsAre("a"));
  EXPECT_EQ(*registry().Reserved(), 0);
  EXPECT_TRUE(registry().Reserve(100).ok());
}

TEST_P(SqliteRegistryTest, ReadsDoNotWaitForASave) {
  ASSERT_TRUE(registry().Register({Journal("a")}).ok());
  disk_.HoldSyncs();
  std::thread saving([&] {
    Saved saved;
    EXPECT_TRUE(
        store_->SaveBatch({MakeSubmission(1, "x")}, absl::MakeSpan(&saved, 1))
            .ok());
  });
  EXPECT_TRUE(disk_.WaitForHeldSync());
  EXPECT_THAT(Ids(), ElementsAre("a"));
  EXPECT_EQ(*registry().Reserved(), 0);
  EXPECT_EQ(*store_->LastSequence(), 0) << "the batch is still being saved";
  disk_.ReleaseSyncs();
  saving.join();
}

TEST_P(SqliteRegistryTest, ARemovedFileIsAnError) {
  std::filesystem::remove(path_ + "-wal");
  EXPECT_EQ(registry().Reserve(100).code(), absl::StatusCode::kUnavailable);
}

// --- PostgreSQL ---

class PostgresRegistryTest : public ServerRegistryTest {};

INSTANTIATE_TEST_SUITE_P(Stores, PostgresRegistryTest,
                         testing::Values(kPostgres), KindOf);

TEST_P(PostgresRegistryTest, EachServerHasItsOwnNumbers) {
  auto other = TryOpen(4);
  ASSERT_TRUE(other.ok()) << other.status();
  ServerRegistry& others = *(*other)->registry();
  EXPECT_EQ(others.server(), 4);
  ASSERT_TRUE(registry().Reserve(1000).ok());
  EXPECT_EQ(*others.Reserved(), 0);
  ASSERT_TRUE(others.Reserve(std::int64_t{4} << 40 | 7).ok());
  EXPECT_EQ(*registry().Reserved(), 1000);
  EXPECT_EQ(*others.Reserved(), std::int64_t{4} << 40 | 7);
  ASSERT_TRUE(others.Register({Journal("b", 4)}).ok());
  ASSERT_TRUE(registry().Register({Journal("a")}).ok());
  EXPECT_THAT(*registry().Journals(),
              ElementsAre(Journal("a"), Journal("b", 4)));
}

TEST_P(PostgresRegistryTest, ServersRegisterTheSameJournalsAtTheSameTime) {
  constexpr int kServers = 4;
  constexpr int kRounds = 20;
  std::vector<std::thread> threads;
  for (int server = 1; server <= kServers; ++server) {
    threads.emplace_back([&, server] {
      auto store = TryOpen(server);
      ASSERT_TRUE(store.ok()) << store.status();
      std::vector<RegisteredJournal> journals;
      for (int i = 0; i < 10; ++i) {
        journals.push_back(
            Journal(absl::StrCat(server % 2 == 0 ? i : 9 - i), server));
      }
      for (int round = 0; round < kRounds; ++round) {
        const absl::Status status = (*store)->registry()->Register(journals);
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto journals = registry().Journals();
  ASSERT_TRUE(journals.ok()) << journals.status();
  ASSERT_THAT(*journals, SizeIs(10));
  for (const RegisteredJournal& journal : *journals) {
    EXPECT_EQ(journal.server, journals->front().server)
        << "each call is one transaction";
  }
}

// Without the number, another server may use it.
TEST_P(PostgresRegistryTest, OnlyTheHolderOfTheNumberWrites) {
  ASSERT_TRUE(registry().Reserve(10).ok());
  PostgresShell thief(url_);
  thief.Run(
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype ="
      " 'advisory' AND classid = 1399616873 AND pid <> pg_backend_pid();"
      " SELECT pg_advisory_lock(1399616873, 0)");
  EXPECT_EQ(registry().Reserve(20).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(registry().Register({Journal("a")}).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(registry().Retire("a", "lost", absl::UnixEpoch()).code(),
            absl::StatusCode::kUnavailable);
  thief.Run("SELECT pg_advisory_unlock(1399616873, 0)");
  EXPECT_EQ(*registry().Reserved(), 10);
  EXPECT_TRUE(registry().Reserve(30).ok());
}

// Until a standby has the row, the row may be lost with the machine. A wait
// that is cancelled ends with a warning and the report of success.
TEST_P(PostgresRegistryTest, ACommitWhoseWaitIsCancelledIsNotReportedAsDone) {
  ASSERT_TRUE(registry().Reserve(10).ok());
  MissingStandby standby(url_);
  // Calls that find their values recorded already and write nothing must wait
  // as well: the standbys may not have what they found.
  const std::function<absl::Status()> calls[] = {
      [&] { return registry().Reserve(20); },
      [&] { return registry().Reserve(5); },
      [&] { return registry().Register({Journal("a")}); },
      [&] { return registry().Retire("a", "lost", absl::UnixEpoch()); },
      [&] { return registry().Retire("a", "lost", absl::UnixEpoch()); },
  };
  for (const auto& call : calls) {
    absl::Status status;
    std::thread calling([&] { status = call(); });
    standby.AwaitWaitingCommits(1);
    standby.EndWaits("pg_cancel_backend");
    calling.join();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  }
  absl::Status status;
  std::thread reading([&] { status = registry().Reserved().status(); });
  standby.AwaitWaitingCommits(1);
  standby.EndWaits("pg_cancel_backend");
  reading.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  standby.Return();
  EXPECT_EQ(*registry().Reserved(), 20);
}

}  // namespace
}  // namespace sluice

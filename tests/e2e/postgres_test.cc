// Tests a whole server whose store is PostgreSQL.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/submissions/decode.h"
#include "stores/registry.h"
#include "tests/fakes/postgres_server.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using v1::Receipt;

std::unique_ptr<Store> OpenStore(const std::string& url,
                                 const std::string& timeout = "1m") {
  auto store = OpenStore("postgres",
                         {{"url", url}, {"server", "3"}, {"timeout", timeout}},
                         SameContentOfKind);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

grpc::Status Submit(TestServer& server, const std::string& id,
                    Receipt* receipt) {
  grpc::ClientContext context;
  return server.stub().Submit(&context, MakeSubmit(id), receipt);
}

TEST(PostgresServerTest, StoredSubmissionsCanBeReadInSqlEvenAfterARestart) {
  PostgresServer& postgres = PostgresServer::Shared();
  const std::string url = postgres.NewSchema();
  TestServer server(SmallConfig("block", 16), OpenStore(url));

  Receipt receipt;
  ASSERT_TRUE(Submit(server, "first", &receipt).ok());
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  EXPECT_EQ(receipt.sequence(), (std::int64_t{3} << 40) + 1);
  EXPECT_EQ(PostgresShell(url).Run(
                "SELECT submission_id, link_id, value FROM answers"),
            (Shell::Rows{{"first", "44250-9", "LA6569-3"}}));
  server.AwaitReady();

  postgres.Stop();
  EXPECT_EQ(Submit(server, "second", &receipt).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  server.AwaitDegraded("the store");
  postgres.Start();
  server.AwaitReady();
  ASSERT_TRUE(Submit(server, "second", &receipt).ok());
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  ASSERT_TRUE(Submit(server, "first", &receipt).ok());
  EXPECT_EQ(receipt.disposition(), Receipt::DUPLICATE);
  EXPECT_EQ(PostgresShell(url).Get("SELECT count(*) FROM submissions"), "2");
}

TEST(PostgresServerTest, AMissingTableIsReportedWithTheKeyOfTheStore) {
  const std::string url = PostgresServer::Shared().NewSchema();
  const TempFolder folder;
  const std::string config =
      absl::StrCat("store: {kind: postgres, url: \"", url,
                   "\"}\npools: {clinical: {queue: {kind: journal, path: ",
                   folder / "journal.db",
                   "}}}\nmethods: {default: {pool: clinical, on_full: block,"
                   " ack: queued, allow_loss: true}}\n");
  {
    Sluice sluice(config);
    sluice.port();
    sluice.program().Signal(SIGTERM);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0);
  }
  PostgresShell shell(url);
  for (const char* table : {"journals", "servers", "gaps"}) {
    shell.Run(absl::StrCat("ALTER TABLE ", table, " RENAME TO gone"));
    Sluice sluice(config);
    EXPECT_EQ(sluice.program().Wait().exit_code, 1) << table;
    EXPECT_THAT(sluice.program().err(),
                testing::AllOf(testing::HasSubstr("cannot start: store.url: "),
                               testing::HasSubstr("42P01")))
        << table;
    shell.Run(absl::StrCat("ALTER TABLE gone RENAME TO ", table));
  }
}

TEST(PostgresServerTest, WhileNoStandbyAnswersNothingIsStoredAndItIsNotReady) {
  const std::string url = PostgresServer::Shared().NewSchema();
  TestServer server(SmallConfig("block", 16), OpenStore(url, "1s"));
  Receipt receipt;
  ASSERT_TRUE(Submit(server, "first", &receipt).ok());

  MissingStandby missing(url);
  EXPECT_EQ(Submit(server, "second", &receipt).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  server.AwaitDegraded("standby");
  AwaitThat("probes and the batch leave at most one commit waiting",
            [&] { return missing.WaitingCommits() == "1"; });

  missing.Return();
  server.AwaitReady();
  ASSERT_TRUE(Submit(server, "second", &receipt).ok());
}

// Probes in a row once occupied every thread of the endpoint.
TEST(PostgresServerTest, ProbesAndMetricsAreAnsweredWhileItHangs) {
  PostgresServer& postgres = PostgresServer::Shared();
  TestServer server(SmallConfig("block", 16), OpenStore(postgres.NewSchema()));
  server.AwaitReady();
  postgres.Pause();
  std::atomic<bool> over{false};
  std::vector<std::thread> probers;
  for (int i = 0; i < 20; ++i) {
    probers.emplace_back([&] {
      while (!over) server.Get("/readyz");
    });
  }
  server.AwaitDegraded("the store");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(server.Get("/healthz"), "ok\n");
    EXPECT_THAT(server.Get("/metrics"),
                testing::HasSubstr("sluice_build_info"));
    EXPECT_THAT(server.Get("/readyz"),
                testing::StartsWith("no method can acknowledge\n"));
  }
  over = true;
  for (std::thread& prober : probers) prober.join();
  postgres.Resume();
  server.AwaitReady();
}

v1::ImportPatientsRequest MakeImport(int records) {
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  for (int i = 0; i < records; ++i) {
    v1::PatientRecord* record = request.add_records();
    record->set_record_id(absl::StrCat("record ", i));
    record->set_patient_id(absl::StrCat("Patient/", i));
    record->set_data(absl::StrCat("baseline of ", i));
  }
  return request;
}

int GetCount(PostgresShell& shell, const std::string& sql) {
  int count = -1;
  EXPECT_TRUE(absl::SimpleAtoi(shell.Get(sql), &count));
  return count;
}

TEST(PostgresServerTest, AnImportKeepsNoMoreSessionsBusyThanThereAreWorkers) {
  constexpr int kRecords = 2000;
  constexpr int kWorkers = 4;
  // Counts sessions that run a statement or have an open transaction.
  const std::string busy =
      "SELECT count(*) FROM pg_stat_activity"
      " WHERE application_name = 'sluice' AND state <> 'idle'";
  const std::string url = PostgresServer::Shared().NewSchema();
  Config config = SmallConfig("block", 64);
  config.pools["clinical"].workers = {.min = kWorkers, .max = kWorkers};
  config.pools["clinical"].batch_max = 16;
  TestServer server(config, OpenStore(url));

  PostgresShell holder(url);
  holder.Run("BEGIN; LOCK TABLE submissions");
  v1::ImportPatientsResponse response;
  grpc::Status status;
  std::atomic<bool> ended{false};
  std::thread import([&] {
    grpc::ClientContext context;
    status =
        server.stub().ImportPatients(&context, MakeImport(kRecords), &response);
    ended = true;
  });
  // The server is as busy as possible: all workers are busy, the queue is full,
  // and calls are parked.
  PostgresShell shell(url);
  AwaitThat("all workers wait for PostgreSQL",
            [&] { return GetCount(shell, busy) == kWorkers; });
  server.AwaitQueued(64);
  server.AwaitWaiting(1);
  int most = GetCount(shell, busy);
  holder.Run("ROLLBACK");
  while (!ended) most = std::max(most, GetCount(shell, busy));
  import.join();

  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.counts().stored(), kRecords);
  // A check of readiness may run at the same moment.
  EXPECT_LE(most, kWorkers + 1);
  EXPECT_EQ(GetCount(shell, "SELECT count(*) FROM submissions"), kRecords);
  // Expect one session for each worker, one for reads, one for checks, and one
  // that holds the server's number.
  EXPECT_LE(GetCount(shell,
                     "SELECT count(*) FROM pg_stat_activity"
                     " WHERE application_name = 'sluice'"),
            kWorkers + 3);
}

}  // namespace
}  // namespace sluice

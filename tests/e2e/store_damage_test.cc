// Starts the program on a SQLite store that is missing, empty or older than
// what other files know, and removes files of a running program.

#include <signal.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/postgres_server.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using v1::Receipt;

constexpr int kSubmissions = 5;

void AwaitReason(Sluice& sluice, const std::string& reason) {
  const int port = sluice.metrics_port();
  AwaitThat("/readyz tells the reason", [&] {
    return HttpGet(port, "/readyz").find(reason) != std::string::npos;
  });
}

class StoreDamage : public testing::Test {
 protected:
  std::string Config(const std::string& ack) const {
    return absl::StrCat(
        "store: {kind: sqlite, path: ", store_,
        "}\npools: {clinical: {queue: {kind: journal, path: ", journal_,
        "}}}\nmethods: {default: {pool: clinical, on_full: block, ack: ", ack,
        "}}\n");
  }

  static grpc::Status Submit(Sluice& sluice, const std::string& id,
                             Receipt* receipt) {
    grpc::ClientContext context;
    return v1::Ingestion::NewStub(sluice.Connect())
        ->Submit(&context, MakeSubmit(id), receipt);
  }

  static std::int64_t SequenceOf(Sluice& sluice, const std::string& id) {
    Receipt receipt;
    const grpc::Status status = Submit(sluice, id, &receipt);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return receipt.sequence();
  }

  static void Stop(Sluice& sluice) {
    sluice.program().Signal(SIGTERM);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0) << sluice.program().err();
  }

  // Leaves the files of a server that stored kSubmissions submissions.
  void StoreSome(const std::string& ack) const {
    Sluice sluice(Config(ack));
    for (int i = 1; i <= kSubmissions; ++i) {
      EXPECT_EQ(SequenceOf(sluice, absl::StrCat(i)), i);
    }
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr("a new store was created"),
                      HasSubstr("a new journal was created")));
  }

  void ExpectRefused(const std::string& text) const {
    Sluice sluice(Config("stored"));
    EXPECT_EQ(sluice.program().Wait().exit_code, 1);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr("store.path: "), HasSubstr(store_),
                      HasSubstr(text), HasSubstr("up to sequence number 5"),
                      HasSubstr("--accept-damage")));
  }

  const TempFolder folder_;
  const std::string store_ = folder_ / "sluice.db";
  const std::string journal_ = folder_ / "journal.db";
};

TEST_F(StoreDamage, AMissingOrEmptyStoreStopsTheStart) {
  StoreSome("stored");
  std::filesystem::remove(store_);
  ExpectRefused("the file is missing");
  ExpectRefused("the file is missing");
  std::ofstream(store_).close();
  ExpectRefused("the file is empty");
  {
    Sluice sluice(Config("stored"), {"--accept-damage"});
    // No number is used a second time.
    EXPECT_EQ(SequenceOf(sluice, "new"), kSubmissions + 1);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr("store missing: accepted"),
                      HasSubstr("acknowledged numbers 1 to 5 are missing")));
    Stop(sluice);
  }
  Sluice sluice(Config("stored"));
  sluice.program().AwaitErr("serving: ");
  EXPECT_THAT(sluice.program().err(),
              AllOf(Not(HasSubstr("missing")), Not(HasSubstr("created"))));
}

TEST_F(StoreDamage, AJournalAloneKnowsTheStore) {
  StoreSome("queued");
  std::filesystem::remove(store_);
  std::filesystem::remove(store_ + ".sequence");
  ExpectRefused(journal_);
}

TEST_F(StoreDamage, AnOlderStoreIsNamedAndNoNumberIsUsedAgain) {
  StoreSome("stored");
  const std::string older = FileBytes(store_);
  {
    Sluice sluice(Config("stored"));
    EXPECT_EQ(SequenceOf(sluice, "6"), 6);
    EXPECT_EQ(SequenceOf(sluice, "7"), 7);
    Stop(sluice);
  }
  std::ofstream(store_, std::ios::binary) << older;
  Sluice sluice(Config("stored"));
  EXPECT_EQ(SequenceOf(sluice, "7"), 8);
  EXPECT_THAT(sluice.program().err(),
              HasSubstr("acknowledged numbers 6 to 7 are missing"));
}

TEST_F(StoreDamage, AnotherDatabaseWithoutTablesIsNotTakenForTheStore) {
  const auto config = [this](const std::string& url) {
    return absl::StrCat(
        "store: {kind: postgres, url: \"", url,
        "\"}\npools: {clinical: {queue: {kind: journal, path: ", journal_,
        "}}}\nmethods: {default: {pool: clinical, on_full: block, ack: "
        "stored}}\n");
  };
  {
    Sluice sluice(config(PostgresServer::Shared().NewSchema()));
    EXPECT_EQ(SequenceOf(sluice, "1"), 1);
    Stop(sluice);
  }
  const std::string other = PostgresServer::Shared().NewSchema();
  {
    Sluice sluice(config(other));
    EXPECT_EQ(sluice.program().Wait().exit_code, 1);
    EXPECT_THAT(
        sluice.program().err(),
        AllOf(HasSubstr("store.url: the database has no tables, but"),
              HasSubstr("sequence number 1."), HasSubstr("--accept-damage")));
  }
  Sluice sluice(config(other), {"--accept-damage"});
  EXPECT_EQ(SequenceOf(sluice, "2"), 2);
}

TEST_F(StoreDamage, ALogThatIsCutWhileTheServerRunsHarmsNoOtherSubmission) {
  StoreSome("stored");
  {
    Sluice sluice(Config("stored"));
    EXPECT_EQ(SequenceOf(sluice, "6"), 6);
    std::filesystem::resize_file(store_ + "-wal", 0);
    Receipt receipt;
    EXPECT_EQ(Submit(sluice, "7", &receipt).error_code(),
              grpc::StatusCode::UNAVAILABLE);
    AwaitReason(sluice, "sluice.db-wal was cut while the server runs");
    sluice.program().Signal(SIGTERM);
    sluice.program().Wait();
  }
  EXPECT_EQ(Shell(store_).Run("PRAGMA integrity_check").front().front(), "ok");
  EXPECT_EQ(Shell(store_).Run("SELECT * FROM submissions").size(), 5u);
  Sluice sluice(Config("stored"));
  EXPECT_EQ(SequenceOf(sluice, "7"), 7);
  EXPECT_THAT(sluice.program().err(),
              HasSubstr("acknowledged numbers 6 to 6 are missing"));
}

struct Removed {
  std::string name;
  std::string ack;
  std::string file;
};

void PrintTo(const Removed& removed, std::ostream* out) {
  *out << removed.name;
}

class RemovedWhileRunning : public StoreDamage,
                            public testing::WithParamInterface<Removed> {};

TEST_P(RemovedWhileRunning, EndsAcknowledgementsUntilARestart) {
  const std::string path = folder_ / GetParam().file;
  {
    Sluice sluice(Config(GetParam().ack));
    EXPECT_EQ(SequenceOf(sluice, "1"), 1);
    std::filesystem::remove(path);
    Receipt receipt;
    EXPECT_EQ(Submit(sluice, "2", &receipt).error_code(),
              grpc::StatusCode::UNAVAILABLE);
    AwaitReason(sluice, GetParam().file + " was removed while the server runs");
    sluice.program().AwaitErr("Stop the server with SIGTERM");
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
  }
  // The submission that was acknowledged before is not lost.
  Sluice sluice(Config(GetParam().ack));
  sluice.program().AwaitErr("serving: ");
  AwaitThat("the submission is stored", [&] {
    return Shell(store_)
               .Run("SELECT 1 FROM submissions WHERE submission_id = '1'")
               .size() == 1;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Files, RemovedWhileRunning,
    testing::Values(Removed{"LogOfStore", "stored", "sluice.db-wal"},
                    Removed{"LockOfStore", "stored", "sluice.db.lock"},
                    Removed{"LockOfJournal", "queued", "journal.db.lock"},
                    Removed{"LogOfJournal", "queued", "journal.db-wal"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sluice

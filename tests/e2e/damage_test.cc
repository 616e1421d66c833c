// Starts the program on a journal that was damaged after the program was
// killed. The start stops and names the missing entries. With --accept-damage
// the start continues.

#include <signal.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "stores/journal.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using v1::Receipt;

constexpr int kStored = 5;   // in a first run, which shuts down normally
constexpr int kQueued = 40;  // in a second run, which is killed

class Damage : public testing::Test {
 protected:
  // Leaves the files of a server that was killed with submissions 6 to 45 in
  // its journal.
  void SetUp() override {
    {
      Sluice sluice(Config());
      for (int i = 1; i <= kStored; ++i) Submit(sluice, i);
      AwaitThat("the submissions are stored", [&] { return Stored() == 5; });
      sluice.program().Signal(SIGTERM);
      EXPECT_EQ(sluice.program().Wait().exit_code, 0);
    }
    older_ = FileBytes(journal_);
    Sluice sluice(Config());
    sluice.port();
    // Lock the store, so that all submissions stay in the journal.
    Shell holder(store_);
    holder.Run("BEGIN IMMEDIATE");
    for (int i = kStored + 1; i <= kStored + kQueued; ++i) Submit(sluice, i);
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
    holder.Run("ROLLBACK");
  }

  std::string Config() const {
    return absl::StrCat(
        "admin: 127.0.0.1:0\n"
        "store: {kind: sqlite, path: ",
        store_, "}\npools: {clinical: {queue: {kind: journal, path: ", journal_,
        "}, workers: {min: 1, max: 1}}}\n"
        "methods: {default: {pool: clinical, on_full: block, ack: queued}}\n");
  }

  static void Submit(Sluice& sluice, int number) {
    const auto stub = v1::Ingestion::NewStub(sluice.Connect());
    grpc::ClientContext context;
    Receipt receipt;
    const grpc::Status status =
        stub->Submit(&context, MakeSubmit(absl::StrCat(number)), &receipt);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(receipt.disposition(), Receipt::QUEUED);
    EXPECT_EQ(receipt.sequence(), number);
  }

  std::size_t Stored() const {
    return Shell(store_).Run("SELECT sequence FROM submissions").size();
  }

  // Expects that the program does not start and logs an error that contains
  // `text`.
  void ExpectRefused(const std::string& text) const {
    Sluice sluice(Config());
    EXPECT_EQ(sluice.program().Wait().exit_code, 1);
    EXPECT_THAT(sluice.program().err(),
                testing::AllOf(HasSubstr("pools.clinical.queue.path: "),
                               HasSubstr(journal_), HasSubstr(text),
                               HasSubstr("--accept-damage")));
  }

  const TempFolder folder_;
  const std::string store_ = folder_ / "sluice.db";
  const std::string journal_ = folder_ / "journal.db";
  // The journal's file after the first run.
  std::string older_;
};

struct DamageCase {
  std::string name;
  std::function<void(const std::string& journal, const std::string& older)>
      damage;
  std::string message;
  std::size_t stored;  // stored submissions after the damage was accepted
};

void PrintTo(const DamageCase& damage, std::ostream* out) {
  *out << damage.name;
}

class DamagedFile : public Damage,
                    public testing::WithParamInterface<DamageCase> {};

TEST_P(DamagedFile, StopsTheStartUntilItIsAccepted) {
  GetParam().damage(journal_, older_);
  ExpectRefused(GetParam().message);
  ExpectRefused(GetParam().message);
  {
    Sluice sluice(Config(), {"--accept-damage"});
    sluice.program().AwaitErr("serving: ");
    EXPECT_THAT(sluice.program().err(), HasSubstr("journal damaged: accepted"));
    EXPECT_THAT(sluice.program().err(), HasSubstr(GetParam().message));
    AwaitThat("the rest is stored",
              [&] { return Stored() == GetParam().stored; });
    sluice.program().Signal(SIGTERM);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0);
  }
  Sluice sluice(Config());
  sluice.program().AwaitErr("serving: ");
}

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Writes the pages of the write-ahead log into the file.
void FoldLog(const std::string& journal) {
  Shell(journal).Run("PRAGMA wal_checkpoint(TRUNCATE)");
}

INSTANTIATE_TEST_SUITE_P(
    Means, DamagedFile,
    testing::Values(
        DamageCase{"FileRemoved",
                   [](const std::string& journal, const std::string&) {
                     std::filesystem::remove(journal);
                   },
                   "entries 1 to 45 were acknowledged", kStored},
        DamageCase{"FileEmptied",
                   [](const std::string& journal, const std::string&) {
                     Write(journal, "");
                   },
                   "entries 1 to 45 were acknowledged", kStored},
        DamageCase{"LogRemoved",
                   [](const std::string& journal, const std::string&) {
                     std::filesystem::remove(journal + "-wal");
                   },
                   "entries 6 to 45 were acknowledged and are not in the file "
                   "(40 entries)",
                   kStored},
        DamageCase{"LogCut",
                   [](const std::string& journal, const std::string&) {
                     std::filesystem::resize_file(journal + "-wal", 0);
                   },
                   "entries 6 to 45 were acknowledged", kStored},
        DamageCase{"LogFlipped",
                   [](const std::string& journal, const std::string&) {
                     std::string log = FileBytes(journal + "-wal");
                     log[100] = static_cast<char>(log[100] ^ 4);
                     Write(journal + "-wal", log);
                   },
                   "entries 6 to 45 were acknowledged", kStored},
        // The first page has the schema, so nothing can be read.
        DamageCase{"FileFlipped",
                   [](const std::string& journal, const std::string&) {
                     FoldLog(journal);
                     std::string file = FileBytes(journal);
                     file[100] = static_cast<char>(file[100] ^ 4);
                     Write(journal, file);
                   },
                   "malformed", kStored},
        DamageCase{"FileTruncated",
                   [](const std::string& journal, const std::string&) {
                     FoldLog(journal);
                     std::filesystem::resize_file(journal, 4096);
                   },
                   "malformed", kStored},
        DamageCase{"OlderCopy",
                   [](const std::string& journal, const std::string& older) {
                     std::filesystem::remove(journal + "-wal");
                     Write(journal, older);
                   },
                   "entries 6 to 45 were acknowledged", kStored},
        DamageCase{"AnotherJournal",
                   [](const std::string& journal, const std::string&) {
                     std::filesystem::remove(journal + "-wal");
                     std::filesystem::remove(journal);
                     const std::string other = journal + ".other";
                     ASSERT_TRUE(Journal::Open(other).ok());
                     std::filesystem::rename(other, journal);
                   },
                   "the file is another journal", kStored},
        DamageCase{"StateFileRemoved",
                   [](const std::string& journal, const std::string&) {
                     std::filesystem::remove(journal + ".state");
                   },
                   "its state file is missing", kStored + kQueued}),
    [](const auto& test) { return test.param.name; });

TEST_F(Damage, OfOneEntryQuarantinesTheEntry) {
  Shell(journal_).Run(
      "UPDATE entries SET content = x'00' WHERE submission_id = '10'");
  Sluice sluice(Config());
  sluice.program().AwaitErr("serving: ");
  EXPECT_THAT(sluice.program().err(),
              HasSubstr("damaged in the journal's file: pool=clinical "
                        "entries=1"));
  AwaitThat("the others are stored",
            [&] { return Stored() == kStored + kQueued - 1; });
  const auto admin = v1::Admin::NewStub(sluice.ConnectToAdmin());
  v1::ListQuarantineResponse listed;
  {
    grpc::ClientContext context;
    const grpc::Status status = admin->ListQuarantine(&context, {}, &listed);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  ASSERT_EQ(listed.entries_size(), 1);
  EXPECT_EQ(listed.entries(0).sequence(), 10);
  EXPECT_EQ(listed.entries(0).reason(),
            "damaged in the journal's file: its content does not match its "
            "SHA-256");
  v1::RetryQuarantinedRequest retry;
  retry.add_sequences(10);
  v1::RetryQuarantinedResponse retried;
  grpc::ClientContext context;
  ASSERT_TRUE(admin->RetryQuarantined(&context, retry, &retried).ok());
  ASSERT_EQ(retried.left_size(), 1);
  EXPECT_THAT(retried.left_reason(),
              HasSubstr("cannot be retried, because it is not what was "
                        "acknowledged"));
}

TEST_F(Damage, AcceptingItChangesNothingWithoutDamage) {
  Sluice sluice(Config(), {"--accept-damage"});
  sluice.program().AwaitErr("serving: ");
  AwaitThat("everything is stored",
            [&] { return Stored() == kStored + kQueued; });
  EXPECT_THAT(sluice.program().err(), testing::Not(HasSubstr("damage")));
}

}  // namespace
}  // namespace sluice

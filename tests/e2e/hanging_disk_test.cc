// Tests that the program ends after SIGTERM although a disk hangs, and that its
// report accounts for every admitted submission. The disks hang for ever, so a
// program that waits for one never ends.

#include "tests/fakes/hanging_disk.h"

#include <signal.h>
#include <stdlib.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

#ifdef HANGING_DISK

namespace sluice {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class HangingDisk : public testing::Test {
 protected:
  HangingDisk() { Hang(""); }

  std::string Config(std::string_view ack, int capacity = 100) const {
    return absl::StrCat(
        "store: {kind: sqlite, path: ", folder_ / "store.db",
        "}\npools: {clinical: {queue: {kind: journal, path: ",
        folder_ / "journal.db", ", capacity: ", capacity,
        "}, workers: {min: 1, max: 1}, batch: {max: 1}}}\n"
        "methods: {default: {pool: clinical, on_full: fail_fast, ack: ",
        std::string(ack), "}}\ndrain: {timeout: 1s}\n");
  }

  std::unique_ptr<Sluice> Start(const std::string& config) const {
    setenv("LD_PRELOAD", HANGING_DISK, 1);
    setenv(kHangVariable, (folder_ / "hangs").c_str(), 1);
    auto sluice = std::make_unique<Sluice>(config);
    unsetenv("LD_PRELOAD");
    unsetenv(kHangVariable);
    return sluice;
  }

  // Lets the files hang whose paths contain `text`.
  void Hang(std::string_view text) const {
    const std::string path = folder_ / "hangs";
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }

  static void AwaitMetric(Sluice& sluice, std::string_view line) {
    AwaitThat(line, [&] {
      return absl::StrContains(HttpGet(sluice.metrics_port(), "/metrics"),
                               absl::StrCat("\n", std::string(line), "\n"));
    });
  }

  const TempFolder folder_;
};

TEST_F(HangingDisk, OfAJournalLeavesSubmissionsThatAreNamed) {
  auto sluice = Start(Config("queued"));
  AsyncCaller caller(sluice->Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("before")).status.ok());
  // The report of a drain that is not clean is an error.
  sluice->Replace(absl::StrCat(Config("queued"), "log: {level: error}\n"));
  AwaitMetric(*sluice, "sluice_config_reloads_total{result=\"success\"} 1");
  AwaitMetric(*sluice,
              "sluice_completed_total{method=\"Submit\",outcome=\"stored\"} 1");
  Hang("journal.db");
  caller.Submit(MakeSubmit("waits"));
  AwaitMetric(*sluice, "sluice_queue_depth{pool=\"clinical\"} 1");
  sluice->program().Signal(SIGTERM);
  EXPECT_EQ(sluice->program().Wait().exit_code, 3);
  EXPECT_THAT(sluice->program().err(),
              AllOf(HasSubstr("hangs: a worker or a journal"),
                    HasSubstr("left=1 journaled=0 "),
                    HasSubstr("submission_id=waits\n"),
                    Not(HasSubstr("submission_id=before\n"))));
}

int NumberAfter(std::string_view text, std::string_view before) {
  const std::size_t at = text.find(before);
  return at == std::string_view::npos
             ? -1
             : std::stoi(std::string(text.substr(at + before.size(), 10)));
}

TEST_F(HangingDisk, OfAStoreLeavesEntriesInTheJournal) {
  constexpr int kEntries = 20;
  {
    auto sluice = Start(Config("queued"));
    AsyncCaller caller(sluice->Connect());
    Hang("store.db");
    for (int i = 0; i < kEntries; ++i) {
      EXPECT_TRUE(
          caller.SubmitAndWait(MakeSubmit(absl::StrCat(i))).status.ok());
    }
    sluice->program().Signal(SIGKILL);
    sluice->program().Wait();
  }
  Hang("");
  // The queue has room for some of the entries only. The others are not read.
  auto sluice = Start(Config("queued", /*capacity=*/4));
  sluice->port();
  Hang("store.db");
  sluice->program().Signal(SIGTERM);
  sluice->program().Wait();
  const std::string err = sluice->program().err();
  EXPECT_THAT(err, HasSubstr(" left=0 "));
  // The worker may have stored some entries before the disk hung. The entry in
  // work is in the journal, and may be in the store, too.
  const auto stored =
      Shell(folder_ / "store.db").Run("SELECT 1 FROM submissions");
  const int accounted =
      NumberAfter(err, " journaled=") + static_cast<int>(stored.size());
  EXPECT_GE(accounted, kEntries) << err;
  EXPECT_LE(accounted, kEntries + 1) << err;
}

class HangingDiskAtTheEnd : public HangingDisk,
                            public testing::WithParamInterface<const char*> {};

TEST_P(HangingDiskAtTheEnd, DoesNotHoldUpTheEnd) {
  auto sluice = Start(Config("stored"));
  AsyncCaller caller(sluice->Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
  Hang(GetParam());
  sluice->program().Signal(SIGTERM);
  EXPECT_EQ(sluice->program().Wait().exit_code, 3);
  EXPECT_THAT(sluice->program().err(),
              AllOf(HasSubstr("hangs: "), HasSubstr("left=0 journaled=0 ")));
}

// While a write hangs, checks cannot use the file.
TEST_P(HangingDiskAtTheEnd, OfAWriteInProgressMakesTheServerUnready) {
  const bool journal = GetParam() == std::string_view("journal.db");
  auto sluice = Start(Config(journal ? "queued" : "stored"));
  AsyncCaller caller(sluice->Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
  Hang(GetParam());
  caller.Submit(MakeSubmit("waits"));
  AwaitThat("the server is not ready", [&] {
    return absl::StrContains(HttpGet(sluice->metrics_port(), "/readyz"),
                             "a read or write has not ended for");
  });
  sluice->program().Signal(SIGTERM);
  EXPECT_EQ(sluice->program().Wait().exit_code, 3);
}

INSTANTIATE_TEST_SUITE_P(Files, HangingDiskAtTheEnd,
                         testing::Values("store.db", "journal.db"));

}  // namespace
}  // namespace sluice

#endif  // HANGING_DISK

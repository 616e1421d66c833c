// Sets the wall clock of a running server, as an operator or a time service
// may. Retries, waits and the drain take as long as before, and the times in
// receipts follow the wall clock.

#include "tests/fakes/stepped_clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

#ifdef STEPPED_CLOCK

namespace sluice {
namespace {

using v1::Receipt;

class SteppedClock : public testing::TestWithParam<absl::Duration> {
 protected:
  SteppedClock() { Set(absl::ZeroDuration()); }

  // Starts the server on the stepped clock.
  void Start(std::string_view config) {
    setenv("LD_PRELOAD", STEPPED_CLOCK, 1);
    setenv(kClockStepVariable, step_file_.c_str(), 1);
    sluice_ = std::make_unique<Sluice>(config);
    unsetenv("LD_PRELOAD");
    unsetenv(kClockStepVariable);
    channel_ = sluice_->Connect();
    stub_ = v1::Ingestion::NewStub(channel_);
  }

  void Step() { Set(GetParam()); }

  grpc::Status Submit(const std::string& id, Receipt* receipt) {
    grpc::ClientContext context;
    return stub_->Submit(&context, MakeSubmit(id), receipt);
  }

  bool IsStored(int id) {
    grpc::ClientContext context;
    v1::GetReceiptsRequest request;
    v1::GetReceiptsResponse response;
    request.set_study_id("study");
    request.add_submission_ids(absl::StrCat(id));
    return stub_->GetReceipts(&context, request, &response).ok() &&
           response.receipts(0).disposition() == Receipt::STORED;
  }

  // Waits until the metrics have this line.
  void AwaitMetric(std::string_view line) {
    AwaitThat(line, [&] {
      return absl::StrContains(HttpGet(sluice_->metrics_port(), "/metrics"),
                               absl::StrCat(std::string(line), "\n"));
    });
  }

  void ExpectEnd(int exit_code) {
    sluice_->program().Signal(SIGTERM);
    EXPECT_EQ(sluice_->program().Wait().exit_code, exit_code)
        << sluice_->program().err();
  }

  const TempFolder folder_;
  const std::string step_file_ = folder_ / "step";
  std::unique_ptr<Sluice> sluice_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;

 private:
  // Does not truncate the file, because the server has mapped it.
  void Set(absl::Duration step) {
    const std::int64_t nanos = absl::ToInt64Nanoseconds(step);
    const int file =
        open(step_file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(pwrite(file, &nanos, sizeof(nanos), 0),
              static_cast<ssize_t>(sizeof(nanos)));
    close(file);
  }
};

// The store is locked by another program until the clock was set.
TEST_P(SteppedClock, RetriesGoOnAndTheCircuitCloses) {
  const std::string store = folder_ / "store.db";
  Start(
      absl::StrCat("store: {kind: sqlite, path: ", store,
                   "}\npools: {clinical: {queue: {kind: journal, path: ",
                   folder_ / "journal.db",
                   "}}}\nmethods: {default: {pool: clinical, ack: queued}}\n"));
  Receipt receipt;
  {
    Shell shell(store);
    shell.Run("BEGIN IMMEDIATE");
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(Submit(absl::StrCat(i), &receipt).ok());
    }
    sluice_->program().AwaitErr("store failed");
    // Nothing wakes the pool from now on but its timer.
    Step();
    shell.Run("ROLLBACK");
  }
  for (int i = 0; i < 3; ++i) {
    AwaitThat("a submission is stored", [&] { return IsStored(i); });
  }
  ExpectEnd(0);
}

TEST_P(SteppedClock, ParkedCallsAreAnsweredInTime) {
  Start(
      "store: {kind: discard, delay: 5s, allow_loss: true}\n"
      "pools: {clinical: {queue: {kind: memory, capacity: 1}, "
      "workers: {min: 1, max: 1}, batch: {max: 1}}}\n"
      "methods: {default: {pool: clinical, on_full: timed_wait, "
      "max_wait: 2s, ack: stored}}\n");
  AsyncCaller caller(channel_);
  std::vector<AsyncSubmit*> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(&caller.Submit(MakeSubmit(absl::StrCat(i))));
  }
  // One is in work and one queued.
  AwaitMetric("sluice_waiting{pool=\"clinical\"} 3");
  Step();
  // The waits of the others end before the work.
  caller.AwaitEnded(3);
  int refused = 0;
  for (const AsyncSubmit* call : calls) {
    if (caller.Ended(*call) && !call->status.ok()) ++refused;
  }
  EXPECT_EQ(refused, 3);
}

TEST_P(SteppedClock, TheDrainEndsInTime) {
  Start(
      "store: {kind: discard, delay: 1m, allow_loss: true}\n"
      "pools: {clinical: {queue: {kind: memory}, workers: {min: 1, max: 1}, "
      "batch: {max: 1}}}\n"
      "methods: {default: {pool: clinical, ack: stored}}\n"
      "drain: {timeout: 2s}\n");
  AsyncCaller caller(channel_);
  for (int i = 0; i < 3; ++i) caller.Submit(MakeSubmit(absl::StrCat(i)));
  AwaitMetric("sluice_queue_depth{pool=\"clinical\"} 2");
  sluice_->program().Signal(SIGTERM);
  sluice_->program().AwaitErr("draining");
  Step();
  const absl::Time begun = absl::Now();
  EXPECT_EQ(sluice_->program().Wait().exit_code, 3);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(20));
}

TEST_P(SteppedClock, ReceiptsFollowTheWallClock) {
  Start(absl::StrCat("store: {kind: sqlite, path: ", folder_ / "store.db",
                     "}\npools: {clinical: {queue: {kind: memory}}}\n"
                     "methods: {default: {pool: clinical, ack: stored}}\n"));
  Step();
  // The server notices the step within a few seconds.
  int id = 0;
  AwaitThat("receipts have the new time", [&] {
    Receipt receipt;
    EXPECT_TRUE(Submit(absl::StrCat(++id), &receipt).ok());
    const absl::Time received =
        absl::FromUnixSeconds(receipt.received_at().seconds());
    return absl::AbsDuration(received - (absl::Now() + GetParam())) < kPatience;
  });
  ExpectEnd(0);
}

INSTANTIATE_TEST_SUITE_P(Steps, SteppedClock,
                         testing::Values(absl::Hours(-1), absl::Hours(1),
                                         absl::Hours(-24 * 3652),
                                         absl::Hours(24 * 3652)));

}  // namespace
}  // namespace sluice

#endif  // STEPPED_CLOCK

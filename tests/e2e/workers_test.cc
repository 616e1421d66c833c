// Tests that the number of workers follows the load, and that hung workers are
// reported.

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/discard_store.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/log_capture.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::Not;

// True if /metrics has this line.
bool Shows(const TestServer& server, const std::string& line) {
  return absl::StrContains(server.Get("/metrics"), absl::StrCat(line, "\n"));
}

TEST(Workers, BecomeMoreUnderLoadAndNeverMoreThanTheMost) {
  constexpr std::size_t kQueued = 100;
  Config config = SmallConfig("block", 10 * kQueued);
  config.pools["clinical"].workers = {.min = 1, .max = 3};
  auto owned = std::make_unique<DiscardStore>(
      DiscardStoreOptions{.delay = absl::Milliseconds(10)});
  const DiscardStore& store = *owned;
  TestServer server(config, std::move(owned));
  EXPECT_TRUE(
      Shows(server, "sluice_workers_limit{pool=\"clinical\",bound=\"max\"} 3"));
  EXPECT_TRUE(
      Shows(server, "sluice_workers{pool=\"clinical\",state=\"idle\"} 1"));

  AsyncCaller caller(server.NewChannel());
  std::size_t sent = 0;
  AwaitThat("all workers are busy", [&] {
    const PoolView view = server.view();
    for (std::size_t i = view.depth + view.waiting; i < kQueued; ++i) {
      caller.Submit(MakeSubmit(absl::StrCat(++sent)));
    }
    return Shows(server, "sluice_workers{pool=\"clinical\",state=\"busy\"} 3");
  });
  EXPECT_EQ(caller.AwaitEnded(sent), sent);
  EXPECT_EQ(store.peak_in_flight(), 3);
}

TEST(Workers, ThatHangAreReportedAndReplaced) {
  LogCapture log;
  FakeClock clock;
  {
    Config config = SmallConfig("block", 4);
    config.pools["clinical"].workers = {
        .min = 1, .max = 2, .task_timeout = absl::Seconds(7)};
    TestServer server(config, {}, &clock);
    server.store().Hold();
    AsyncCaller caller(server.NewChannel());
    caller.Submit(MakeSubmit("first of all"));
    server.store().AwaitInFlight(1);
    caller.Submit(MakeSubmit("the next"));
    server.AwaitQueued(1);

    clock.Advance(std::chrono::seconds(7));
    server.store().AwaitInFlight(2);
    EXPECT_TRUE(
        Shows(server, "sluice_workers{pool=\"clinical\",state=\"hung\"} 1"));
    EXPECT_TRUE(
        Shows(server, "sluice_worker_hangs_total{pool=\"clinical\"} 1"));

    server.store().Release();
    EXPECT_EQ(caller.AwaitEnded(2), 2u);
    AwaitThat("the surplus worker has ended", [&] {
      return Shows(server,
                   "sluice_workers{pool=\"clinical\",state=\"idle\"} 1") &&
             Shows(server,
                   "sluice_workers{pool=\"clinical\",state=\"hung\"} 0");
    });
    EXPECT_EQ(server.counters(Method::kSubmit).completed[TaskResult::kStored],
              2u);
  }
  EXPECT_THAT(log.text(),
              HasSubstr("a worker hangs: pool=clinical age_seconds=7.0 "
                        "tasks=1"));
  EXPECT_THAT(log.text(), Not(HasSubstr("first of all")));
}

}  // namespace
}  // namespace sluice

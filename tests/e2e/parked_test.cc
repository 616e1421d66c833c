// Many parked calls on many connections: callers may cancel in any order, and
// the remaining calls are answered when the server shuts down. bench/parked
// makes a hundred times as many calls, and measures their memory.

#include <csignal>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "loadgen/server_metrics.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"
#include "tests/fakes/sluice_program.h"

namespace sluice {
namespace {

// The store is so slow that hardly any call ends.
constexpr char kServer[] =
    "store: {kind: discard, delay: 1s, allow_loss: true}\n"
    "pools:\n"
    "  clinical:\n"
    "    queue: {kind: memory, capacity: 1}\n"
    "    waiting: {max: 2000}\n"
    "    workers: {min: 1, max: 1}\n"
    "    batch: {max: 1}\n"
    "methods: {default: {pool: clinical, on_full: block, ack: stored}}\n";

double Waiting(int metrics_port) {
  const auto text = FetchMetrics(metrics_port, kPatience);
  return text.ok() ? SumOfSamples(*text, "sluice_waiting") : -1;
}

TEST(Parked, CallsLeaveInAnyOrderAndTheOthersAreAnsweredAtTheEnd) {
  Sluice server(kServer);
  const int metrics_port = server.metrics_port();
  Program load(SLUICE_LOAD,
               {absl::StrCat("127.0.0.1:", server.port()), "--connections=10",
                "--outstanding=100", "--duration=1h", "--abandon=0.5",
                "--grace=10m", "--json"});
  // One submission is in work, one is queued.
  AwaitThat("all are parked", [&] { return Waiting(metrics_port) == 998; });

  load.Signal(SIGINT);
  AwaitThat("about half of the calls have left", [&] {
    const double waiting = Waiting(metrics_port);
    return waiting > 0 && waiting < 600;
  });
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait().exit_code, 0) << server.program().err();
  ASSERT_EQ(load.Wait().exit_code, 0) << load.err();

  const auto report = nlohmann::json::parse(load.out());
  EXPECT_EQ(report["unanswered"], 0);
  EXPECT_EQ(report["lost"], 0);
  const auto& statuses = report["statuses"];
  EXPECT_GT(statuses["CANCELLED"], 400);
  EXPECT_GT(statuses["UNAVAILABLE"], 400);
  EXPECT_EQ(report["reasons"]["DRAINING"], statuses["UNAVAILABLE"]);
}

}  // namespace
}  // namespace sluice

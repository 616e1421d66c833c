// Runs sluice-load, which replays the curve of a day against the server, from
// the command line.

#include <csignal>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/program.h"
#include "tests/fakes/sluice_program.h"

namespace sluice {
namespace {

using testing::HasSubstr;

constexpr char kServer[] =
    "store: {kind: discard, delay: 5ms, allow_loss: true}\n"
    "pools:\n"
    "  clinical:\n"
    "    queue: {kind: memory, capacity: 64}\n"
    "    workers: {min: 3, max: 3}\n"
    "    batch: {max: 1}\n"
    "methods: {default: {pool: clinical, on_full: fail_fast, ack: stored}}\n";

// Three workers that need 5 ms for each submission process 600 submissions per
// second.
constexpr char kTraffic[] =
    "duration: 2h\n"
    "store: {per_batch: 5ms, per_submission: 0}\n"
    "arrivals:\n"
    "  diaries: {method: Submit, deadline: 1m,\n"
    "            curve: {\"00:00\": 0, \"01:00\": 4000, \"02:00\": 0}}\n";

TEST(Profile, OfADayIsPlayedAgainstTheServerWithItsOwnSideOfIt) {
  Sluice server(kServer);
  const std::string traffic = server.path("traffic.yaml");
  const std::string page = server.path("load.html");
  std::ofstream(traffic) << kTraffic;
  Program load(SLUICE_LOAD, {absl::StrCat("127.0.0.1:", server.port()),
                             "--profile=" + traffic, "--duration=2s",
                             "--output=" + page, "--json", "--pool=clinical",
                             absl::StrCat("--metrics=http://127.0.0.1:",
                                          server.metrics_port(), "/metrics")});
  ASSERT_EQ(load.Wait().exit_code, 0) << load.err();

  const auto report = nlohmann::json::parse(load.out());
  const auto& timeline = report["timeline"];
  ASSERT_EQ(timeline.size(), 2U);
  std::int64_t offered = 0;
  for (const auto& interval : timeline) {
    offered += interval["offered"].get<std::int64_t>();
    EXPECT_EQ(interval["failed"], 0);
  }
  // The tolerance allows for the variation of a Poisson process.
  EXPECT_NEAR(static_cast<double>(offered), 4000, 400);
  EXPECT_EQ(report["calls"].get<std::int64_t>() +
                report["not_sent"].get<std::int64_t>(),
            offered);
  EXPECT_GT(report["statuses"]["OK"], 0);
  EXPECT_GT(report["statuses"]["RESOURCE_EXHAUSTED"], 0);
  EXPECT_EQ(timeline[1]["workers"], 3);

  std::ifstream file(page);
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(file), {}),
              HasSubstr("<th>Workers</th>"));
}

}  // namespace
}  // namespace sluice

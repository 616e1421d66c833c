// Runs the program from the command line: output, exit codes, bad usage.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/run_tool.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kConfig[] =
    "store: {kind: discard, allow_loss: true}\n"
    "pools: {main: {}}\n"
    "methods: {default: {pool: main}}\n";
constexpr char kTraffic[] =
    "duration: 10s\n"
    "store: {per_batch: 5ms, per_submission: 0}\n"
    "arrivals: {diaries: {method: Submit, rate: 100}}\n";

class SluiceSim : public testing::Test {
 protected:
  ToolRun RunSim(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {absl::StrCat("--config=", config_),
                                          absl::StrCat("--output=", output_)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunTool(SLUICE_SIM, arguments);
  }

  const std::string config_ = WriteTempFile("config.yaml", kConfig);
  const std::string traffic_ = WriteTempFile("traffic.yaml", kTraffic);
  const std::string output_ = WriteTempFile("report.html", "");
};

TEST_F(SluiceSim, WritesAReportAndPrintsTheSummary) {
  const ToolRun run = RunSim({traffic_});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.err, "");
  EXPECT_THAT(run.out, AllOf(StartsWith("In 10 s, "),
                             HasSubstr("Pool main: at the peak"),
                             HasSubstr(absl::StrCat("is in ", output_))));
  EXPECT_THAT(ReadTempFile("report.html"),
              AllOf(StartsWith("<!DOCTYPE html>"),
                    HasSubstr("<title>traffic.yaml on config.yaml</title>"),
                    HasSubstr("\"source\":\"diaries\"")));
}

TEST_F(SluiceSim, PrintsTheNumbersAsJson) {
  const ToolRun run = RunSim({"--json", "--output=", traffic_});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const auto report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["balanced"], true);
  EXPECT_EQ(report["methods"][0]["method"], "sluice.v1.Ingestion/Submit");
  EXPECT_EQ(report["methods"][0]["submissions"],
            report["pools"][0]["total"]["submissions"]);
  EXPECT_EQ(report["sources"][0]["source"], "diaries");
  EXPECT_EQ(report["sources"][0]["submissions"],
            report["methods"][0]["submissions"]);
}

TEST_F(SluiceSim, ErrorsInItsFilesAreToldWithKeyAndLine) {
  const std::string bad_traffic =
      WriteTempFile("bad-traffic.yaml", absl::StrCat(kTraffic, "sede: 3\n"));
  const ToolRun traffic = RunSim({bad_traffic});
  EXPECT_EQ(traffic.exit_code, 2);
  EXPECT_THAT(traffic.err,
              HasSubstr(absl::StrCat(bad_traffic,
                                     ":4: sede: unknown key \"sede\": did you "
                                     "mean seed?")));
  const std::string bad_config = WriteTempFile("bad-config.yaml", "pools: 1\n");
  const ToolRun config =
      RunSim({absl::StrCat("--config=", bad_config), traffic_});
  EXPECT_EQ(config.exit_code, 2);
  EXPECT_THAT(config.err, HasSubstr(absl::StrCat(bad_config, ":1: pools: ")));
}

TEST_F(SluiceSim, BadUsageIsTold) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {traffic_, traffic_},
                                             {"--no_such_flag", traffic_},
                                             {traffic_ + ".not"}}) {
    // Add a valid configuration, so that nothing else is wrong with the command
    // line.
    std::vector<std::string> all = {absl::StrCat("--config=", config_),
                                    absl::StrCat("--output=", output_)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    ExpectBadUsage(SLUICE_SIM, all);
  }
}

TEST_F(SluiceSim, FailsWhereTheReportCannotBeWritten) {
  const ToolRun run =
      RunSim({absl::StrCat("--output=", output_, "/none"), traffic_});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("cannot write"));
}

TEST_F(SluiceSim, HelpTellsFlagsAndExitCodes) {
  const ToolRun run = RunTool(SLUICE_SIM, {"--help"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out,
              AllOf(StartsWith("usage: sluice-sim"),
                    HasSubstr("page with charts"), HasSubstr("exit codes")));
}

TEST_F(SluiceSim, TheShippedTrafficIsRight) {
  for (const char* name : {"evening-peak", "site-storm", "one-site-storm"}) {
    const ToolRun run = RunTool(
        SLUICE_SIM,
        {"--config=" SLUICE_SOURCE_DIR "/config.yaml", "--output=", "--json",
         absl::StrCat(SLUICE_SOURCE_DIR "/samples/traffic/", name, ".yaml")});
    EXPECT_EQ(run.exit_code, 0) << name << run.err;
    EXPECT_EQ(nlohmann::json::parse(run.out)["balanced"], true);
  }
}

}  // namespace
}  // namespace sluice

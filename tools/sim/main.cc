// sluice-sim: simulates a day of traffic against a configuration in seconds.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/progress_bar.h"
#include "config/config.h"
#include "loadgen/traffic/traffic.h"
#include "loadgen/traffic/yaml_file.h"
#include "tools/flags.h"
#include "tools/sim/html_report.h"
#include "tools/sim/json_report.h"
#include "tools/sim/simulation.h"
#include "tools/sim/summary.h"

ABSL_FLAG(std::string, config, "config.yaml",
          "the server's configuration, of which pools and methods are used");
ABSL_FLAG(std::string, output, "sluice-sim.html",
          "file for a page with charts (empty: none)");
ABSL_FLAG(bool, json, false,
          "print all results as JSON instead of the summary");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluice-sim [flags] TRAFFIC.yaml\n"
    "\n"
    "Plays a description of traffic (docs/simulation.md) against a\n"
    "configuration: the server's own queues and policies on virtual time.\n"
    "Prints a summary and writes a page with charts, which needs no network.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 the simulation ran, whatever its results; 1 it could not "
    "run\n"
    "or the counters do not balance; 2 bad usage, or an error in a file\n";

int Complain(const absl::Status& status) {
  std::cerr << "sluice-sim: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : EXIT_FAILURE;
}

absl::StatusOr<SimulationResult> Run(const Config& config,
                                     const Traffic& traffic) {
  ProgressBar bar(STDERR_FILENO);
  return Simulate(config, traffic, [&](double fraction) {
    const double clock =
        absl::ToDoubleSeconds(traffic.start + traffic.duration * fraction);
    bar.Show(fraction, FormatClockTime(clock));
  });
}

void PrintSummary(const SimulationResult& result, double seconds) {
  for (const std::string& paragraph : Summarize(result)) {
    std::cout << paragraph << "\n\n";
  }
  const std::string output = absl::GetFlag(FLAGS_output);
  std::cout << "Simulated in " << FormatSeconds(seconds)
            << (output.empty() ? "" : "; the report is in " + output) << "\n";
}

absl::Status SimulateFiles(const std::string& traffic_path) {
  const std::string config_path = absl::GetFlag(FLAGS_config);
  const auto config = ReadYamlFile(config_path, ParseConfig);
  const auto traffic = ReadYamlFile(traffic_path, ParseTraffic);
  if (!config.ok() && !traffic.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.status().message(), "\n", traffic.status().message()));
  }
  if (!config.ok()) return config.status();
  if (!traffic.ok()) return traffic.status();

  const auto begin = std::chrono::steady_clock::now();
  const auto result = Run(*config, *traffic);
  if (!result.ok()) return result.status();
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;

  const std::string output = absl::GetFlag(FLAGS_output);
  if (!output.empty()) {
    const auto name = [](const std::string& path) {
      return std::filesystem::path(path).filename().string();
    };
    const absl::Status written = WriteFile(
        output, HtmlReport(*result, absl::StrCat(name(traffic_path), " on ",
                                                 name(config_path))));
    if (!written.ok()) return written;
  }
  if (absl::GetFlag(FLAGS_json)) {
    std::cout << JsonReport(*result);
  } else {
    PrintSummary(*result, took.count());
  }
  if (result->Balanced()) return absl::OkStatus();
  return absl::InternalError("the counters do not balance");
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tools/sim/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  if (!line.ok()) return Complain(line.status());
  if (line->positional.size() != 1) {
    return Complain(absl::InvalidArgumentError(
        "one file that describes the traffic is required (see --help)"));
  }
  const absl::Status status = SimulateFiles(line->positional.front());
  return status.ok() ? EXIT_SUCCESS : Complain(status);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  sluice::OpenStandardDescriptors();
  return sluice::Main(argc, argv);
}

// sluice-load: a load generator for sluice.v1.Ingestion.

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/progress_bar.h"
#include "loadgen/load_generator.h"
#include "loadgen/load_options.h"
#include "loadgen/metrics_scraper.h"
#include "loadgen/profile.h"
#include "loadgen/report.h"
#include "loadgen/traffic/traffic.h"
#include "loadgen/traffic/yaml_file.h"
#include "tools/flags.h"
#include "tools/load/picture.h"

ABSL_FLAG(std::string, target, "127.0.0.1:50051", "host:port of the server");
ABSL_FLAG(std::string, method, "submit",
          "submit, stream, import, events or receipts");
ABSL_FLAG(int, connections, 1, "connections to make");
ABSL_FLAG(int, streams, 1, "with --method=stream: streams on each connection");
ABSL_FLAG(int, outstanding, 0,
          "closed loop: calls in flight on each connection (1 unless --rate)");
ABSL_FLAG(double, rate, 0, "open loop: calls a second, whatever comes back");
ABSL_FLAG(std::string, arrivals, "",
          "constant (unless told otherwise) or poisson, with --rate");
ABSL_FLAG(int, max_in_flight, 10000,
          "with --rate: a call that would exceed it is not sent, but counted");
ABSL_FLAG(absl::Duration, warmup, absl::ZeroDuration(),
          "calls that start so early are not measured");
ABSL_FLAG(absl::Duration, duration, absl::InfiniteDuration(),
          "how long calls start after that (10s unless --requests)");
ABSL_FLAG(std::int64_t, requests, 0, "stop after so many measured calls");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(10),
          "how long to wait for answers that are out at the end");
ABSL_FLAG(double, abandon, 0,
          "at the end, give up this share of the calls in flight, at random");
ABSL_FLAG(absl::Duration, deadline, absl::InfiniteDuration(),
          "of each call, sent as grpc-timeout and kept by the client too");
ABSL_FLAG(int, items, 0, "answers in a response (as many as the form has)");
ABSL_FLAG(int, size, 0, "bytes of a request (of a record), filled with text");
ABSL_FLAG(int, records, 1,
          "records, events or ids in a call of import, events or receipts");
ABSL_FLAG(std::string, study, "STUDY-001", "study_id");
ABSL_FLAG(std::uint64_t, seed, 0,
          "makes requests that follow from it; with --ids=v4 the ids too, so "
          "that they can be sent, or asked for, again (random)");
ABSL_FLAG(std::string, ids, "v7", "v7 (grow with time) or v4 (random)");
ABSL_FLAG(bool, json, false, "report as JSON");
ABSL_FLAG(std::string, profile, "",
          "open loop: a description of traffic; its sources that call --method "
          "are played, in --duration (2m), with its deadline and bytes");
ABSL_FLAG(double, compress, 0,
          "with --profile, instead of --duration: how many seconds of it are "
          "played in one");
ABSL_FLAG(double, scale, 1,
          "with --profile: how many times its rates, which --compress does not "
          "change");
ABSL_FLAG(std::string, picture, "sluice-load.svg",
          "with --profile: where a picture of the run goes, an SVG file "
          "(nowhere if empty)");
ABSL_FLAG(std::string, metrics, "",
          "with --profile: the server's, as http://127.0.0.1:9464/metrics; "
          "workers and queue are in the picture then");
ABSL_FLAG(std::string, pool, "",
          "with --metrics: the pool whose are shown (all together)");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluice-load [flags] [host:port]\n"
    "\n"
    "Sends real-looking requests and reports rates, latencies and outcomes.\n"
    "In a closed loop (--outstanding) each answer starts the next call. In an\n"
    "open loop (--rate) calls start on time whatever comes back, and latency\n"
    "counts from the intended start, so that a stalled server shows. A "
    "profile\n"
    "(--profile) is an open loop whose rate follows a day's curve, in less "
    "time.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 it ran, whatever the statuses; 1 the server could not be\n"
    "reached; 2 bad usage\n";

std::atomic<bool> stop = false;

// So that responses look as fresh as they are; those of a given seed must be
// the same whenever they are made.
absl::Time Evening(bool seeded) {
  return seeded ? absl::FromUnixSeconds(1'772'395'200)  // 2026-03-01 20:00 UTC
                : absl::Now() - absl::Hours(1);
}

absl::Status ReadSampleFlags(SampleOptions& samples) {
  const std::string ids = absl::GetFlag(FLAGS_ids);
  if (ids != "v4" && ids != "v7") {
    return absl::InvalidArgumentError("--ids must be v7 or v4");
  }
  samples.id_version =
      ids == "v4" ? UuidVersion::kRandom : UuidVersion::kTimeOrdered;
  const std::uint64_t seed = absl::GetFlag(FLAGS_seed);
  samples.seed = seed != 0 ? seed : std::random_device()();
  samples.entries = absl::GetFlag(FLAGS_records);
  samples.form.study_id = absl::GetFlag(FLAGS_study);
  samples.form.answers = absl::GetFlag(FLAGS_items);
  samples.form.evening = Evening(seed != 0);
  if (absl::GetFlag(FLAGS_size) < 0) {
    return absl::InvalidArgumentError("--size must not be negative");
  }
  samples.form.bytes_min = static_cast<std::size_t>(absl::GetFlag(FLAGS_size));
  return absl::OkStatus();
}

absl::Status ReadLoopFlags(LoadOptions& options) {
  options.rate = absl::GetFlag(FLAGS_rate);
  options.outstanding = absl::GetFlag(FLAGS_outstanding);
  options.in_flight_max = absl::GetFlag(FLAGS_max_in_flight);
  const std::string arrivals = absl::GetFlag(FLAGS_arrivals);
  if (options.rate != 0 && options.outstanding != 0) {
    return absl::InvalidArgumentError(
        "--rate (open loop) and --outstanding (closed loop) exclude each "
        "other");
  }
  if (!absl::GetFlag(FLAGS_profile).empty()) {
    if (arrivals.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError("--arrivals has no place in a profile");
  }
  if (options.rate == 0 && options.outstanding == 0) options.outstanding = 1;
  if (options.rate == 0 && !arrivals.empty()) {
    return absl::InvalidArgumentError("--arrivals needs --rate");
  }
  if (arrivals == "poisson") {
    options.arrivals = Arrivals::kPoisson;
  } else if (!arrivals.empty() && arrivals != "constant") {
    return absl::InvalidArgumentError("--arrivals must be constant or poisson");
  }
  return absl::OkStatus();
}

void ReadTimeFlags(LoadOptions& options) {
  options.warmup = absl::GetFlag(FLAGS_warmup);
  options.duration = absl::GetFlag(FLAGS_duration);
  options.requests = absl::GetFlag(FLAGS_requests);
  options.grace = absl::GetFlag(FLAGS_grace);
  options.abandon = absl::GetFlag(FLAGS_abandon);
  options.deadline = absl::GetFlag(FLAGS_deadline);
  if (options.duration == absl::InfiniteDuration()) {
    options.duration =
        options.requests > 0 ? absl::Hours(24 * 7) : absl::Seconds(10);
  }
}

// How long the curve is played.
absl::StatusOr<absl::Duration> ProfileDuration(const Traffic& traffic) {
  const double compress = absl::GetFlag(FLAGS_compress);
  const absl::Duration duration = absl::GetFlag(FLAGS_duration);
  const bool has_duration = duration != absl::InfiniteDuration();
  if (compress == 0) return has_duration ? duration : absl::Minutes(2);
  if (has_duration) {
    return absl::InvalidArgumentError(
        "--compress and --duration exclude each other");
  }
  // Written so that NaN is refused too.
  if (!(compress >= 0.001 && compress <= 1e6)) {
    return absl::InvalidArgumentError(
        "--compress must be between 0.001 and 1000000");
  }
  return traffic.duration / compress;
}

// What all sources of a profile have in common, unless a flag says otherwise.
template <typename T>
absl::Status ReadCommon(const LoadProfile& profile, T TrafficSource::*field,
                        absl::string_view flag, T* out) {
  *out = profile.sources.front().*field;
  for (const TrafficSource& source : profile.sources) {
    if (source.*field == *out) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the sources of the profile differ: say --", flag));
  }
  return absl::OkStatus();
}

absl::Status ReadProfileFlags(LoadOptions& options) {
  const std::string path = absl::GetFlag(FLAGS_profile);
  if (path.empty()) return absl::OkStatus();
  const double scale = absl::GetFlag(FLAGS_scale);
  if (!(scale >= 1e-6 && scale <= 1e6)) {
    return absl::InvalidArgumentError("--scale must be between 1e-6 and 1e6");
  }
  const auto traffic = ReadYamlFile(path, ParseTraffic);
  if (!traffic.ok()) return traffic.status();
  const auto duration = ProfileDuration(*traffic);
  if (!duration.ok()) return duration.status();
  options.duration = *duration;
  const absl::string_view method = RpcName(options.method);
  auto profile = CompressTraffic(*traffic, {method.data(), method.size()},
                                 *duration, scale);
  if (!profile.ok()) return profile.status();
  profile->name = std::filesystem::path(path).filename().string();
  absl::Status status;
  if (options.deadline == absl::InfiniteDuration()) {
    status.Update(ReadCommon(*profile, &TrafficSource::deadline, "deadline",
                             &options.deadline));
  }
  if (options.samples.form.bytes_min == 0) {
    status.Update(ReadCommon(*profile, &TrafficSource::bytes, "size",
                             &options.samples.form.bytes_min));
  }
  options.profile = *std::move(profile);
  return status;
}

absl::StatusOr<LoadOptions> ReadFlags(const CommandLine& line) {
  LoadOptions options;
  options.target = absl::GetFlag(FLAGS_target);
  if (line.positional.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("what is ", line.positional[1], "? One target at most"));
  }
  if (!line.positional.empty()) options.target = line.positional.front();
  options.connections = absl::GetFlag(FLAGS_connections);
  const auto method = FindLoadMethod(absl::GetFlag(FLAGS_method));
  if (!method) {
    return absl::InvalidArgumentError(
        "--method must be submit, stream, import, events or receipts");
  }
  options.method = *method;
  options.streams = absl::GetFlag(FLAGS_streams);
  absl::Status status = ReadSampleFlags(options.samples);
  status.Update(ReadLoopFlags(options));
  ReadTimeFlags(options);
  status.Update(ReadProfileFlags(options));
  if (status.ok()) status = Validate(options);
  if (!status.ok()) return status;
  return options;
}

// Each connection takes a file descriptor.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

absl::StatusOr<std::unique_ptr<MetricsScraper>> StartScraper() {
  const std::string url = absl::GetFlag(FLAGS_metrics);
  if (url.empty()) return nullptr;
  const auto host_port = MetricsScraper::HostPort(url);
  if (!host_port.ok()) return host_port.status();
  const auto target = H2Target::Resolve(*host_port);
  if (!target.ok()) return target.status();
  return std::make_unique<MetricsScraper>(*target, absl::GetFlag(FLAGS_pool));
}

absl::StatusOr<LoadResult> Run(const LoadOptions& options) {
  ProgressBar progress(STDERR_FILENO);
  const auto scraper = StartScraper();
  if (!scraper.ok()) return scraper.status();
  auto result = RunLoad(options, progress, stop);
  if (result.ok() && *scraper != nullptr) result->samples = (*scraper)->Stop();
  return result;
}

absl::Status WritePicture(const LoadOptions& options,
                          const LoadResult& result) {
  const std::string path = absl::GetFlag(FLAGS_picture);
  if (!options.profile || path.empty()) return absl::OkStatus();
  return WriteFile(path, LoadPicture(*options.profile, result));
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tools/load/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  const auto options = line.ok() ? ReadFlags(*line) : line.status();
  if (!options.ok()) {
    std::cerr << "sluice-load: " << options.status().message()
              << " (see --help)\n";
    return absl::IsInvalidArgument(options.status()) ? kExitUsage
                                                     : EXIT_FAILURE;
  }

  RaiseFileLimit();
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGTERM, [](int) { stop = true; });
  const auto result = Run(*options);
  if (!result.ok()) {
    std::cerr << "sluice-load: " << result.status().message() << "\n";
    return absl::IsInvalidArgument(result.status()) ? kExitUsage : EXIT_FAILURE;
  }
  std::cout << (absl::GetFlag(FLAGS_json) ? JsonReport(*options, *result)
                                          : TextReport(*options, *result));
  if (const auto written = WritePicture(*options, *result); !written.ok()) {
    std::cerr << "sluice-load: " << written.message() << "\n";
    return EXIT_FAILURE;
  }
  if (result->unreachable()) {
    std::cerr << "sluice-load: no call was answered: "
              << result->tally.first_loss().message() << "\n";
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

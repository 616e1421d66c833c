// sluice-load: a load generator for sluice.v1.Ingestion.

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
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
#include "base/process.h"
#include "base/progress_bar.h"
#include "loadgen/loadgen.h"
#include "loadgen/traffic/traffic.h"
#include "loadgen/traffic/yaml_file.h"
#include "tools/flags.h"
#include "tools/load/load_page.h"

ABSL_FLAG(std::string, target, "127.0.0.1:50051", "host:port of the server");
ABSL_FLAG(std::string, method, "submit",
          "submit, stream, import, events or receipts");
ABSL_FLAG(int, connections, 1, "number of connections");
ABSL_FLAG(int, streams, 1, "streams on each connection (--method=stream)");
ABSL_FLAG(int, outstanding, 0,
          "closed loop: calls in flight on each connection (default: 1 without "
          "--rate or --profile)");
ABSL_FLAG(double, rate, 0, "open loop: calls per second");
ABSL_FLAG(std::string, arrivals, "",
          "with --rate: constant or poisson (default: constant)");
ABSL_FLAG(int, max_in_flight, 10000,
          "open loop: limit of calls in flight; calls beyond the limit are not "
          "sent, but counted");
ABSL_FLAG(
    absl::Duration, warmup, absl::ZeroDuration(),
    "time before the measurement; calls that start during the warm-up are "
    "not counted");
ABSL_FLAG(absl::Duration, duration, absl::InfiniteDuration(),
          "time in which calls start, after the warm-up (default: 10s; with "
          "--requests: no limit; with --profile: 2m)");
ABSL_FLAG(std::int64_t, requests, 0,
          "number of measured calls after which the run ends (default: no "
          "limit)");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(10),
          "longest wait for outstanding answers at the end");
ABSL_FLAG(
    double, abandon, 0,
    "share (0 to 1) of the calls in flight that are cancelled at the end");
ABSL_FLAG(absl::Duration, deadline, absl::InfiniteDuration(),
          "deadline of each call, sent as grpc-timeout and enforced by the "
          "client too (default: none; with --profile: the deadline of its "
          "sources)");
ABSL_FLAG(int, items, 0,
          "answers in a response (default: as many as the form has questions)");
ABSL_FLAG(int, size, 0,
          "minimum bytes of a request, or of a record, filled with text "
          "(default: no filling; with --profile: the size of its sources)");
ABSL_FLAG(int, records, 1,
          "records, events or ids in a call of import, events or receipts");
ABSL_FLAG(std::string, study, "STUDY-001", "study_id of all requests");
ABSL_FLAG(
    std::uint64_t, seed, 0,
    "seed of the requests; with --ids=v4 also of the ids, so that the same "
    "requests can be sent again, or their receipts fetched (default: "
    "random)");
ABSL_FLAG(std::string, ids, "v7",
          "UUID version of ids: v7 (ordered by time) or v4 (random)");
ABSL_FLAG(bool, json, false, "print the report as JSON");
ABSL_FLAG(
    std::string, profile, "",
    "open loop: a description of traffic (docs/simulation.md); its sources "
    "that call --method are replayed within --duration");
ABSL_FLAG(double, compress, 0,
          "with --profile, instead of --duration: seconds of the profile that "
          "are replayed in one second");
ABSL_FLAG(double, scale, 1,
          "with --profile: factor for its rates (--compress does not change "
          "rates)");
ABSL_FLAG(
    std::string, output, "sluice-load.html",
    "with --profile: file for a page with charts of the run (empty: none)");
ABSL_FLAG(std::string, metrics, "",
          "with --profile: URL of the server's metrics, e.g. "
          "http://127.0.0.1:9464/metrics; adds workers and queue to the page");
ABSL_FLAG(std::string, pool, "",
          "with --metrics: pool to show (default: the sum of all pools)");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluice-load [flags] [host:port]\n"
    "\n"
    "Sends requests that look real and reports rates, latencies and outcomes.\n"
    "Closed loop (--outstanding): each answer starts the next call. Open loop\n"
    "(--rate): calls start on time whatever comes back, and latency counts "
    "from\n"
    "the intended start, so that a stalled server shows in it. Profile\n"
    "(--profile): an open loop whose rate follows a day's curve in less time.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 the load ran, whatever the statuses; 1 the server could "
    "not\n"
    "be reached, or the page not be written; 2 bad usage\n";

std::atomic<bool> stop = false;

// Returns the time of the made-up responses: an hour ago, or a fixed time if
// the requests must depend on the seed only.
absl::Time Evening(bool seeded) {
  return seeded ? absl::FromUnixSeconds(
                      1'772'395'200)             // that is 2026-03-01 20:00 UTC
                : absl::Now() - absl::Hours(1);  // wall clock
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
        "--rate (open loop) and --outstanding (closed loop) cannot be "
        "combined");
  }
  if (!absl::GetFlag(FLAGS_profile).empty()) {
    if (arrivals.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--arrivals cannot be combined with --profile");
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

// Returns the time in which the profile is replayed.
absl::StatusOr<absl::Duration> ProfileDuration(const Traffic& traffic) {
  const double compress = absl::GetFlag(FLAGS_compress);
  const absl::Duration duration = absl::GetFlag(FLAGS_duration);
  const bool has_duration = duration != absl::InfiniteDuration();
  if (compress == 0) return has_duration ? duration : absl::Minutes(2);
  if (has_duration) {
    return absl::InvalidArgumentError(
        "--compress and --duration cannot be combined");
  }
  // The negated form rejects NaN too.
  if (!(compress >= 0.001 && compress <= 1e6)) {
    return absl::InvalidArgumentError(
        "--compress must be between 0.001 and 1000000");
  }
  return traffic.duration / compress;
}

// Reads a value that must be the same for all sources of a profile.
template <typename T>
absl::Status ReadCommon(const LoadProfile& profile, T TrafficSource::*field,
                        absl::string_view flag, T* out) {
  *out = profile.sources.front().*field;
  for (const TrafficSource& source : profile.sources) {
    if (source.*field == *out) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the sources of the profile have different values: give --", flag));
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
        absl::StrCat("unexpected argument ", line.positional[1],
                     "; at most one target is allowed"));
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
  options.metrics_url = absl::GetFlag(FLAGS_metrics);
  options.pool = absl::GetFlag(FLAGS_pool);
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

absl::Status WritePage(const LoadOptions& options, const LoadResult& result) {
  const std::string path = absl::GetFlag(FLAGS_output);
  if (!options.profile || path.empty()) return absl::OkStatus();
  return WriteFile(path, LoadPage(options, result));
}

int Complain(const absl::Status& status, absl::string_view hint = "") {
  std::cerr << "sluice-load: " << status.message() << hint << "\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : EXIT_FAILURE;
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tools/load/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  const auto options = line.ok() ? ReadFlags(*line) : line.status();
  if (!options.ok()) return Complain(options.status(), " (see --help)");

  RaiseFileLimit();
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGTERM, [](int) { stop = true; });
  ProgressBar progress(STDERR_FILENO);
  const auto result = RunLoad(*options, progress, stop);
  if (!result.ok()) return Complain(result.status());
  std::cout << (absl::GetFlag(FLAGS_json) ? JsonReport(*options, *result)
                                          : TextReport(*options, *result));
  if (const auto written = WritePage(*options, *result); !written.ok()) {
    return Complain(written);
  }
  if (result->unreachable()) {
    std::cerr << "sluice-load: no call was answered: "
              << result->counts.first_loss.message() << "\n";
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  sluice::OpenStandardDescriptors();
  return sluice::Main(argc, argv);
}

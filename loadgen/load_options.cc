#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "loadgen/internal/metrics_scraper.h"
#include "loadgen/loadgen.h"

namespace sluice {
namespace {

struct MethodNames {
  LoadMethod method;
  absl::string_view flag;
  absl::string_view rpc;
};

constexpr std::array<MethodNames, 5> kLoadMethods = {{
    {LoadMethod::kSubmit, "submit", "Submit"},
    {LoadMethod::kStream, "stream", "SubmitStream"},
    {LoadMethod::kImport, "import", "ImportPatients"},
    {LoadMethod::kEvents, "events", "RecordEvents"},
    {LoadMethod::kReceipts, "receipts", "GetReceipts"},
}};

constexpr double kRateMin = 0.001;
constexpr double kRateMax = 10e6;
constexpr int kConnectionsMax = 50'000;
constexpr int kStreamsMax = 1000;
constexpr int kInFlightMax = 1'000'000;
constexpr int kAnswersMax = 10'000;
constexpr int kEntriesMax = 100'000;
constexpr std::size_t kBytesMax = std::size_t{64} << 20;
constexpr absl::Duration kTimeMax = absl::Hours(24 * 7);

absl::Status Wrong(absl::string_view flag, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " ", why));
}

absl::Status CheckTime(absl::string_view flag, absl::Duration time,
                       absl::Duration min) {
  if (time < min || time > kTimeMax) {
    return Wrong(flag,
                 absl::StrCat("must be between ", absl::FormatDuration(min),
                              " and ", absl::FormatDuration(kTimeMax)));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view flag, std::int64_t count,
                        std::int64_t min, std::int64_t max) {
  if (count < min || count > max) {
    return Wrong(flag, absl::StrCat("must be between ", min, " and ", max));
  }
  return absl::OkStatus();
}

absl::Status CheckProfile(const LoadOptions& options) {
  if (options.rate != 0 || options.outstanding != 0) {
    return Wrong("profile", "cannot be combined with --rate or --outstanding");
  }
  if (options.warmup != absl::ZeroDuration()) {
    return Wrong("warmup", "cannot be combined with --profile");
  }
  if (!(options.profile->peak() <= kRateMax)) {
    return Wrong("scale", absl::StrCat("must keep the peak at or below ",
                                       kRateMax, " calls a second"));
  }
  return CheckCount("max_in_flight", options.in_flight_max, 1, kInFlightMax);
}

absl::Status CheckLoop(const LoadOptions& options) {
  if (options.profile) return CheckProfile(options);
  if (options.rate == 0) {
    return CheckCount("outstanding", options.outstanding, 1,
                      kInFlightMax / options.connections);
  }
  // The negated form rejects NaN too.
  if (!(options.rate >= kRateMin && options.rate <= kRateMax)) {
    return Wrong("rate", absl::StrCat("must be between ", kRateMin, " and ",
                                      kRateMax, " calls a second"));
  }
  return CheckCount("max_in_flight", options.in_flight_max, 1, kInFlightMax);
}

absl::Status CheckStreams(const LoadOptions& options) {
  if (options.streams != 1 && options.method != LoadMethod::kStream) {
    return Wrong("streams", "needs --method=stream");
  }
  return CheckCount("streams", options.streams, 1, kStreamsMax);
}

absl::Status CheckTimes(const LoadOptions& options) {
  const absl::Duration zero = absl::ZeroDuration();
  absl::Status status = CheckTime("warmup", options.warmup, zero);
  status.Update(CheckTime("duration", options.duration, absl::Milliseconds(1)));
  status.Update(CheckTime("grace", options.grace, zero));
  if (!(options.abandon >= 0 && options.abandon <= 1)) {
    status.Update(Wrong("abandon", "must be between 0 and 1"));
  }
  if (options.abandon > 0 && options.method == LoadMethod::kStream) {
    status.Update(Wrong("abandon", "cannot be combined with --method=stream"));
  }
  if (options.deadline != absl::InfiniteDuration()) {
    if (options.method == LoadMethod::kStream) {
      status.Update(Wrong("deadline",
                          "cannot be combined with --method=stream: it would "
                          "end a stream, not a message"));
    }
    status.Update(
        CheckTime("deadline", options.deadline, absl::Microseconds(1)));
  }
  return status;
}

absl::Status CheckSamples(const SampleOptions& samples) {
  absl::Status status =
      CheckCount("items", samples.form.answers, 0, kAnswersMax);
  status.Update(CheckCount("records", samples.entries, 1, kEntriesMax));
  if (samples.form.bytes_min > kBytesMax) {
    status.Update(Wrong("size", absl::StrCat("must be at most ", kBytesMax)));
  }
  if (samples.form.bytes_min * static_cast<std::size_t>(samples.entries) >
      4 * kBytesMax) {
    status.Update(Wrong("size", absl::StrCat("times --records must be at most ",
                                             4 * kBytesMax)));
  }
  return status;
}

}  // namespace

std::optional<LoadMethod> FindLoadMethod(absl::string_view name) {
  const auto* found = std::ranges::find(kLoadMethods, name, &MethodNames::flag);
  if (found == kLoadMethods.end()) return std::nullopt;
  return found->method;
}

absl::string_view RpcName(LoadMethod method) {
  return std::ranges::find(kLoadMethods, method, &MethodNames::method)->rpc;
}

absl::Status Validate(const LoadOptions& options) {
  absl::Status status =
      CheckCount("connections", options.connections, 1, kConnectionsMax);
  if (!status.ok()) return status;
  status.Update(CheckLoop(options));
  status.Update(CheckStreams(options));
  status.Update(CheckCount("requests", options.requests, 0,
                           std::int64_t{1'000'000'000'000}));
  status.Update(CheckTimes(options));
  status.Update(CheckSamples(options.samples));
  if (!options.metrics_url.empty()) {
    if (!options.profile.has_value()) {
      status.Update(Wrong("metrics", "needs --profile"));
    }
    status.Update(MetricsScraper::HostPort(options.metrics_url).status());
  }
  return status;
}

}  // namespace sluice

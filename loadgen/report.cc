#include "loadgen/report.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "loadgen/pacing.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

using Count = std::pair<std::string, std::int64_t>;
using Json = nlohmann::ordered_json;

struct Quantile {
  absl::string_view name;
  double percent;
};
constexpr std::array<Quantile, 4> kQuantiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}};

double Micros(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::string FormatLatency(std::chrono::nanoseconds time) {
  const double micros = Micros(time);
  if (micros < 1e3) return absl::StrFormat("%.0f us", micros);
  if (micros < 1e6) return absl::StrFormat("%.2f ms", micros / 1e3);
  return absl::StrFormat("%.2f s", micros / 1e6);
}

std::string FormatBytes(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1 << 10) return absl::StrCat(bytes, " B");
  if (bytes < 1 << 20) return absl::StrFormat("%.1f KiB", value / (1 << 10));
  return absl::StrFormat("%.1f MiB", value / (1 << 20));
}

std::vector<Count> Statuses(const Tally& tally) {
  std::vector<Count> counts;
  for (std::size_t i = 0; i < kStatusCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (tally.of(code) > 0) {
      counts.emplace_back(absl::StatusCodeToString(code), tally.of(code));
    }
  }
  return counts;
}

std::vector<Count> Dispositions(const Tally& tally) {
  std::vector<Count> counts;
  for (int i = 0; i < v1::Receipt::Disposition_ARRAYSIZE; ++i) {
    if (tally.dispositions().of(i) > 0) {
      counts.emplace_back(v1::Receipt::Disposition_Name(
                              static_cast<v1::Receipt::Disposition>(i)),
                          tally.dispositions().of(i));
    }
  }
  return counts;
}

std::string JoinCounts(const std::vector<Count>& counts) {
  return absl::StrJoin(counts, ", ", absl::PairFormatter(" "));
}

// The load as it was asked for.
std::string DescribeLoop(const LoadOptions& options) {
  std::string connections =
      absl::StrCat(options.connections,
                   options.connections == 1 ? " connection" : " connections");
  if (options.streams > 1) {
    absl::StrAppend(&connections, " of ", options.streams, " streams");
  }
  if (options.profile) {
    return absl::StrFormat("%s in %s, at most %.0f/s over %s",
                           options.profile->name,
                           absl::FormatDuration(options.duration),
                           options.profile->peak(), connections);
  }
  if (options.rate > 0) {
    return absl::StrCat(
        options.rate, "/s ",
        options.arrivals == Arrivals::kPoisson ? "(poisson)" : "(constant)",
        " over ", connections);
  }
  return absl::StrCat(connections, " x ", options.outstanding, " in flight");
}

class Lines {
 public:
  void Add(absl::string_view name, absl::string_view text) {
    if (!text.empty()) absl::StrAppendFormat(&text_, "%-13s%s\n", name, text);
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string LatencyText(const LatencyHistogram& latency) {
  if (latency.count() == 0) return "";
  std::string text = absl::StrCat("min ", FormatLatency(latency.min()));
  for (const auto& [name, percent] : kQuantiles) {
    absl::StrAppend(&text, ", ", name, " ",
                    FormatLatency(latency.Percentile(percent)));
  }
  return absl::StrCat(text, ", max ", FormatLatency(latency.max()));
}

std::string PushbackText(const Tally& tally) {
  if (!tally.pushback_ms()) return "";
  return absl::StrCat("retry after ", tally.pushback_ms()->min, " to ",
                      tally.pushback_ms()->max, " ms");
}

std::string ConnectionsText(const Tally& tally) {
  if (tally.connections_lost() == 0) return "";
  return absl::StrCat(tally.connections_lost(),
                      " lost, first: ", tally.first_loss().message());
}

// Calls that have no latency in the report, or one that is the deadline's.
std::string MissingText(const LoadOptions& options, const Tally& tally) {
  std::vector<std::string> parts;
  const auto add = [&parts](std::int64_t count, absl::string_view what) {
    if (count > 0) parts.push_back(absl::StrCat(count, " ", what));
  };
  add(tally.past_deadline(),
      absl::StrCat("past the deadline of ",
                   absl::FormatDuration(options.deadline)));
  add(tally.lost_calls(), "with a lost connection");
  add(tally.unfinished(), "unanswered at the end");
  add(tally.not_sent(), "not sent (no connection, or too many in flight)");
  return absl::StrJoin(parts, ", ");
}

// An entry an interval, with what the server said of itself in it.
Json TimelineJson(const LoadResult& result) {
  const Timeline& timeline = *result.tally.timeline();
  const std::vector<Timeline::Interval> intervals = timeline.intervals();
  const std::vector<PoolSample> samples = ByInterval(
      result.samples, timeline.start(), timeline.length(), intervals.size());
  Json entries = Json::array();
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    const Timeline::Interval& interval = intervals[i];
    Json& entry = entries.emplace_back();
    entry["seconds"] = Seconds(timeline.length()) * static_cast<double>(i);
    entry["offered"] = interval.offered;
    entry["in_time"] = interval.in_time;
    entry["late"] = interval.late;
    entry["refused"] = interval.refused;
    entry["failed"] = interval.failed;
    entry["p50_us"] = Micros(interval.p50);
    entry["p99_us"] = Micros(interval.p99);
    if (result.samples.empty()) continue;
    entry["workers"] = samples[i].workers;
    entry["busy"] = samples[i].busy;
    entry["depth"] = samples[i].depth;
    entry["waiting"] = samples[i].waiting;
  }
  return entries;
}

}  // namespace

std::string TextReport(const LoadOptions& options, const LoadResult& result) {
  const Tally& tally = result.tally;
  Lines lines;
  lines.Add("load", absl::StrCat(RpcName(options.method), " to ",
                                 options.target, ", ", DescribeLoop(options)));
  lines.Add("calls", absl::StrFormat("%d ended, %.1f/s", tally.ended(),
                                     tally.Rate(result.end)));
  lines.Add("latency", LatencyText(tally.latency()));
  lines.Add("status", JoinCounts(Statuses(tally)));
  lines.Add("disposition", JoinCounts(Dispositions(tally)));
  lines.Add("reason",
            JoinCounts({tally.reasons().begin(), tally.reasons().end()}));
  lines.Add("pushback", PushbackText(tally));
  lines.Add("missing", MissingText(options, tally));
  lines.Add("connections", ConnectionsText(tally));
  lines.Add("bytes",
            absl::StrCat("sent ", FormatBytes(result.bytes_sent), ", received ",
                         FormatBytes(result.bytes_received)));
  for (std::size_t i = 1; i < kStatusCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (tally.first_message(code).empty()) continue;
    lines.Add("message", absl::StrCat(absl::StatusCodeToString(code), ": ",
                                      tally.first_message(code)));
  }
  return lines.Take();
}

std::string JsonReport(const LoadOptions& options, const LoadResult& result) {
  const Tally& tally = result.tally;
  Json report;
  report["target"] = options.target;
  report["rpc"] = RpcName(options.method);
  report["connections"] = options.connections;
  if (options.method == LoadMethod::kStream) {
    report["streams"] = options.streams;
  }
  report["outstanding"] = options.open_loop() ? 0 : options.outstanding;
  report["rate"] = options.rate;
  report["seed"] = options.samples.seed;
  report["seconds"] = std::max(0.0, Seconds(result.end - tally.window().begin));
  report["calls"] = tally.ended();
  report["calls_per_second"] = tally.Rate(result.end);

  Json& latency = report["latency_us"];
  latency["min"] = Micros(tally.latency().min());
  for (const auto& [name, percent] : kQuantiles) {
    latency[std::string(name)] = Micros(tally.latency().Percentile(percent));
  }
  latency["max"] = Micros(tally.latency().max());

  const auto put_counts = [&report](const char* name, const auto& counts) {
    Json& object = report[name] = Json::object();
    for (const auto& [key, count] : counts) object[key] = count;
  };
  put_counts("statuses", Statuses(tally));
  put_counts("dispositions", Dispositions(tally));
  put_counts("reasons", tally.reasons());
  if (tally.pushback_ms()) {
    report["pushback_ms"] = {{"min", tally.pushback_ms()->min},
                             {"max", tally.pushback_ms()->max}};
  }
  report["past_deadline"] = tally.past_deadline();
  report["lost"] = tally.lost_calls();
  report["unanswered"] = tally.unfinished();
  report["not_sent"] = tally.not_sent();
  report["connections_lost"] = tally.connections_lost();
  report["bytes_sent"] = result.bytes_sent;
  report["bytes_received"] = result.bytes_received;
  if (tally.timeline()) report["timeline"] = TimelineJson(result);
  // What came from the server may be no UTF-8.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ProgressText(const Tally& tally, LoadClock::duration elapsed,
                         LoadClock::time_point now, std::size_t in_flight) {
  return absl::StrFormat("%.1f s  %.0f/s  %d in flight  p99 %s",
                         Seconds(elapsed), tally.Rate(now), in_flight,
                         FormatLatency(tally.latency().Percentile(99)));
}

}  // namespace sluice

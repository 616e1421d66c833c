#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/format.h"
#include "loadgen/loadgen.h"
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
  return FormatSeconds(ToSeconds(time));
}

std::vector<Count> Statuses(const LoadCounts& counts) {
  std::vector<Count> named;
  for (std::size_t i = 0; i < kStatusCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (counts.of(code) > 0) {
      named.emplace_back(absl::StatusCodeToString(code), counts.of(code));
    }
  }
  return named;
}

std::vector<Count> Dispositions(const LoadCounts& counts) {
  std::vector<Count> named;
  for (int i = 0; i < v1::Receipt::Disposition_ARRAYSIZE; ++i) {
    if (counts.dispositions.of(i) > 0) {
      named.emplace_back(v1::Receipt::Disposition_Name(
                             static_cast<v1::Receipt::Disposition>(i)),
                         counts.dispositions.of(i));
    }
  }
  return named;
}

std::string JoinCounts(const std::vector<Count>& counts) {
  return absl::StrJoin(counts, ", ", absl::PairFormatter(" "));
}

// Describes the load that was requested.
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

std::string PushbackText(const LoadCounts& counts) {
  if (!counts.pushback_ms) return "";
  return absl::StrCat("retry after ", counts.pushback_ms->min, " to ",
                      counts.pushback_ms->max, " ms");
}

std::string ConnectionsText(const LoadCounts& counts) {
  if (counts.connections_lost == 0) return "";
  return absl::StrCat(counts.connections_lost,
                      " lost, first: ", counts.first_loss.message());
}

// Describes calls that have no latency in the report, or whose latency is the
// deadline.
std::string MissingText(const LoadOptions& options, const LoadCounts& counts) {
  std::vector<std::string> parts;
  const auto add = [&parts](std::int64_t count, absl::string_view what) {
    if (count > 0) parts.push_back(absl::StrCat(count, " ", what));
  };
  add(counts.past_deadline,
      absl::StrCat("past the deadline of ",
                   absl::FormatDuration(options.deadline)));
  add(counts.lost_calls, "with a lost connection");
  add(counts.unfinished(), "unanswered at the end");
  add(counts.not_sent, "not sent (no connection, or too many in flight)");
  return absl::StrJoin(parts, ", ");
}

// Returns one entry per interval. With metrics, an entry also has the sizes of
// the pool.
Json TimelineJson(const LoadResult& result) {
  Json entries = Json::array();
  double start = 0;
  for (const LoadInterval& interval : result.timeline) {
    Json& entry = entries.emplace_back();
    entry["seconds"] = start;
    start += ToSeconds(result.interval_length);
    entry["offered"] = interval.offered;
    entry["in_time"] = interval.in_time;
    entry["late"] = interval.late;
    entry["refused"] = interval.refused;
    entry["failed"] = interval.failed;
    entry["p50_us"] = Micros(interval.p50);
    entry["p99_us"] = Micros(interval.p99);
    if (!interval.pool) continue;
    entry["workers"] = interval.pool->workers;
    entry["busy"] = interval.pool->busy;
    entry["depth"] = interval.pool->depth;
    entry["waiting"] = interval.pool->waiting;
  }
  return entries;
}

}  // namespace

std::string TextReport(const LoadOptions& options, const LoadResult& result) {
  const LoadCounts& counts = result.counts;
  Lines lines;
  lines.Add("load", absl::StrCat(RpcName(options.method), " to ",
                                 options.target, ", ", DescribeLoop(options)));
  lines.Add("calls", absl::StrFormat("%d ended, %.1f/s", counts.ended(),
                                     result.calls_per_second));
  lines.Add("latency", LatencyText(counts.latency));
  lines.Add("status", JoinCounts(Statuses(counts)));
  lines.Add("disposition", JoinCounts(Dispositions(counts)));
  lines.Add("reason",
            JoinCounts({counts.reasons.begin(), counts.reasons.end()}));
  lines.Add("pushback", PushbackText(counts));
  lines.Add("missing", MissingText(options, counts));
  lines.Add("connections", ConnectionsText(counts));
  lines.Add(
      "bytes",
      absl::StrCat("sent ", FormatSize(static_cast<double>(result.bytes_sent)),
                   ", received ",
                   FormatSize(static_cast<double>(result.bytes_received))));
  for (std::size_t i = 1; i < kStatusCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (counts.first_message(code).empty()) continue;
    lines.Add("message", absl::StrCat(absl::StatusCodeToString(code), ": ",
                                      counts.first_message(code)));
  }
  return lines.Take();
}

std::string JsonReport(const LoadOptions& options, const LoadResult& result) {
  const LoadCounts& counts = result.counts;
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
  report["seconds"] = result.seconds;
  report["calls"] = counts.ended();
  report["calls_per_second"] = result.calls_per_second;

  Json& latency = report["latency_us"];
  latency["min"] = Micros(counts.latency.min());
  for (const auto& [name, percent] : kQuantiles) {
    latency[std::string(name)] = Micros(counts.latency.Percentile(percent));
  }
  latency["max"] = Micros(counts.latency.max());

  const auto put_counts = [&report](const char* name, const auto& named) {
    Json& object = report[name] = Json::object();
    for (const auto& [key, count] : named) object[key] = count;
  };
  put_counts("statuses", Statuses(counts));
  put_counts("dispositions", Dispositions(counts));
  put_counts("reasons", counts.reasons);
  if (counts.pushback_ms) {
    report["pushback_ms"] = {{"min", counts.pushback_ms->min},
                             {"max", counts.pushback_ms->max}};
  }
  report["past_deadline"] = counts.past_deadline;
  report["lost"] = counts.lost_calls;
  report["unanswered"] = counts.unfinished();
  report["not_sent"] = counts.not_sent;
  report["connections_lost"] = counts.connections_lost;
  report["bytes_sent"] = result.bytes_sent;
  report["bytes_received"] = result.bytes_received;
  if (options.profile) {
    report["profile"] = {
        {"name", options.profile->name},
        {"start_seconds", absl::ToDoubleSeconds(options.profile->start)},
        {"compress", options.profile->compress},
        {"seconds", absl::ToDoubleSeconds(options.profile->duration)}};
    report["interval_seconds"] = ToSeconds(result.interval_length);
    report["timeline"] = TimelineJson(result);
  }
  // Texts from the server may not be valid UTF-8.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice

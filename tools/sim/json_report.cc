#include "tools/sim/json_report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/sim/summary.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

Json Number(double number) {
  if (std::isinf(number)) return nullptr;
  return number;
}

Json Times(const TimeSummary& times) {
  return {{"count", times.count},
          {"mean", times.mean},
          {"p50", times.p50},
          {"p99", times.p99},
          {"max", times.max}};
}

Json Level(const LevelSummary& level) {
  return {{"mean", level.mean}, {"max", level.max}};
}

Json Rejected(const ResultCounts& rejected) {
  Json counts = Json::object();
  for (const TaskResult reason : kRefusals) {
    if (rejected[reason] == 0) continue;
    counts[std::string(RefusalReasonName(reason))] = rejected[reason];
  }
  return counts;
}

Json Window(const PoolWindow& window) {
  return {{"submissions", window.submissions},
          {"arrivals", window.arrivals},
          {"admitted", window.admitted},
          {"rejected", Rejected(window.rejected)},
          {"dropped", window.dropped},
          {"left", window.left},
          {"answered_in_time", window.answered},
          {"answered_late", window.late},
          {"stored", window.stored},
          {"capacity_per_second", Number(window.capacity_per_second)},
          {"depth", Level(window.depth)},
          {"waiting", Level(window.waiting)},
          {"workers", Level(window.workers)},
          {"workers_busy", Level(window.busy)},
          {"bytes", Level(window.bytes)},
          {"lanes", Level(window.lanes)},
          {"wait_seconds", Times(window.wait)},
          {"answer_seconds", Times(window.answer)}};
}

Json Callers(const CallersResult& callers) {
  return {{"method", std::string(FullMethodName(callers.method))},
          {"pool", callers.pool},
          {"submissions", callers.submissions},
          {"attempts", callers.attempts},
          {"refused_attempts", callers.refusals},
          {"answered_in_time", callers.answered},
          {"answered_late", callers.late},
          {"refused", callers.refused},
          {"dropped", callers.dropped},
          {"left", callers.left},
          {"pending", callers.pending()},
          {"answer_seconds", Times(callers.answer)},
          {"refusal_seconds", Times(callers.refusal)},
          {"ending_seconds", Times(callers.ending)},
          {"wait_seconds", Times(callers.wait)}};
}

Json SourceJson(const SourceResult& source) {
  Json json = {{"source", source.name}};
  json.update(Callers(source));
  return json;
}

Json MethodJson(const MethodResult& method) {
  Json json = Callers(method);
  json["rejected_attempts"] = Rejected(RefusalsOf(method.counters));
  return json;
}

Json PoolJson(const SimulationResult& result, const PoolResult& pool) {
  const PoolNeeds needs = NeedsOf(result, pool);
  Json windows = Json::array();
  double start = 0;
  for (const PoolWindow& window : pool.windows) {
    Json json = {{"start", start}};
    json.update(Window(window));
    windows.push_back(std::move(json));
    start += result.window_seconds;
  }
  return {{"pool", pool.name},
          {"workers", pool.workers},
          {"batch_max", pool.config.batch_max},
          {"queue_capacity", pool.config.queue_capacity},
          {"queue_capacity_bytes", pool.config.queue_capacity_bytes},
          {"waiting_max", pool.config.waiting_max},
          {"fair", pool.config.fair_by != FairBy::kNone},
          {"needs",
           {{"workers", needs.workers},
            {"backlog", needs.backlog},
            {"backlog_seconds", Number(needs.backlog_seconds)}}},
          {"total", Window(pool.total)},
          {"windows", std::move(windows)}};
}

}  // namespace

std::string JsonReport(const SimulationResult& result, JsonStyle style) {
  Json report = {{"seconds", result.seconds},
                 {"start_seconds", result.start_seconds},
                 {"window_seconds", result.window_seconds},
                 {"seed", result.seed},
                 {"balanced", result.Balanced()},
                 {"summary", Summarize(result)},
                 {"sources", Json::array()},
                 {"methods", Json::array()},
                 {"pools", Json::array()}};
  for (const SourceResult& source : result.sources) {
    report["sources"].push_back(SourceJson(source));
  }
  for (const MethodResult& method : result.methods) {
    report["methods"].push_back(MethodJson(method));
  }
  for (const PoolResult& pool : result.pools) {
    report["pools"].push_back(PoolJson(result, pool));
  }
  // Names come from YAML files, which may not be valid UTF-8.
  return report.dump(style == JsonStyle::kCompact ? -1 : 2, ' ', false,
                     Json::error_handler_t::replace) +
         "\n";
}

}  // namespace sluice

#include "tools/sim/html_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/format.h"
#include "tools/charts/page.h"
#include "tools/sim/json_report.h"
#include "tools/sim/summary.h"

namespace sluice {

// simulation.js, embedded at build time.
extern const std::string_view kSimulationScript;

namespace {

std::vector<std::pair<std::string, std::string>> KeyFigures(
    const SimulationResult& result) {
  SubmissionCounts sum;
  for (const MethodResult& method : result.methods) sum += method;
  double peak = 0;
  double slowest = 0;
  double bytes = 0;
  for (const PoolResult& pool : result.pools) {
    const PoolWindow& window = pool.windows[PeakOf(pool)];
    peak = std::max(
        peak, static_cast<double>(window.submissions) / result.window_seconds);
    slowest = std::max(slowest, pool.total.answer.p99);
    bytes += pool.total.bytes.max;
  }
  return {{FormatCount(sum.submissions), "submissions"},
          {absl::StrCat(FormatNumber(peak), "/s"), "arrived at the peak"},
          {FormatShare(sum.answered, sum.submissions), "answered in time"},
          {FormatShare(sum.refused + sum.dropped, sum.submissions),
           "refused for good or dropped"},
          {FormatSeconds(slowest), "99 % of the answers within"},
          {FormatSize(bytes), "memory of submissions at most"}};
}

std::vector<std::string> CallersRow(std::string name,
                                    const CallersResult& callers) {
  const auto count = [&](std::uint64_t part) {
    return part == 0
               ? std::string("0")
               : absl::StrCat(FormatCount(part), " (",
                              FormatShare(part, callers.submissions), ")");
  };
  return {std::move(name),
          callers.pool,
          FormatCount(callers.submissions),
          count(callers.answered),
          count(callers.late),
          count(callers.refused),
          count(callers.dropped),
          count(callers.left),
          FormatCount(callers.pending()),
          FormatCount(callers.attempts),
          FormatCount(callers.refusals),
          FormatSeconds(callers.answer.p50),
          FormatSeconds(callers.answer.p99),
          FormatSeconds(callers.wait.p50),
          FormatSeconds(callers.wait.p99)};
}

PageTable CallersTable(std::string what) {
  PageTable table;
  table.caption = absl::StrCat(what, "s");
  table.columns = {
      std::move(what), "Pool",       "Submissions",   "In time",
      "Too late",      "Refused",    "Dropped",       "Deadline passed",
      "Unfinished",    "Attempts",   "Refused (all)", "Answer, 50 %",
      "Answer, 99 %",  "Wait, 50 %", "Wait, 99 %"};
  return table;
}

PageTable SourcesTable(const SimulationResult& result) {
  PageTable table = CallersTable("Source");
  for (const SourceResult& source : result.sources) {
    table.rows.push_back(
        CallersRow(absl::StrCat(source.name, " (",
                                std::string(MethodName(source.method)), ")"),
                   source));
  }
  return table;
}

PageTable MethodsTable(const SimulationResult& result) {
  PageTable table = CallersTable("Method");
  for (const MethodResult& method : result.methods) {
    table.rows.push_back(
        CallersRow(std::string(MethodName(method.method)), method));
  }
  return table;
}

// The values that the charts of a pool show.
PageTable ValuesTable(const SimulationResult& result, const PoolResult& pool) {
  PageTable table;
  table.caption = absl::StrCat("Values of pool ", pool.name);
  table.columns = {
      "From",          "Attempts/s", "New/s",        "In time/s",
      "Too late/s",    "Refused/s",  "Dropped/s",    "Deadline passed/s",
      "Answer, 50 %",  "99 %",       "Wait, 50 %",   "99 %",
      "Queue",         "Most",       "Waiting room", "Most",
      "Workers, busy", "All",        "Memory",       "Lanes"};
  table.folded = true;
  const auto rate = [&](std::uint64_t count) {
    return FormatNumber(static_cast<double>(count) / result.window_seconds);
  };
  double start = result.start_seconds;
  for (const PoolWindow& window : pool.windows) {
    table.rows.push_back({FormatClockTime(start),
                          rate(window.arrivals),
                          rate(window.submissions),
                          rate(window.answered),
                          rate(window.late),
                          rate(window.refused()),
                          rate(window.dropped),
                          rate(window.left),
                          FormatSeconds(window.answer.p50),
                          FormatSeconds(window.answer.p99),
                          FormatSeconds(window.wait.p50),
                          FormatSeconds(window.wait.p99),
                          FormatNumber(window.depth.mean),
                          FormatNumber(window.depth.max),
                          FormatNumber(window.waiting.mean),
                          FormatNumber(window.waiting.max),
                          FormatNumber(window.busy.mean),
                          FormatNumber(window.workers.mean),
                          FormatSize(window.bytes.max),
                          FormatNumber(window.lanes.max)});
    start += result.window_seconds;
  }
  return table;
}

}  // namespace

std::string HtmlReport(const SimulationResult& result, std::string_view title) {
  Page page;
  page.title = title;
  page.about = absl::StrCat(
      FormatClockTime(result.start_seconds), " to ",
      FormatClockTime(result.start_seconds + result.seconds), ", seed ",
      result.seed, ". Each point of a chart stands for ",
      FormatSeconds(result.window_seconds),
      ". Point at a chart for its values, drag to zoom in, double-click to "
      "zoom out.");
  page.summary = Summarize(result);
  page.figures = KeyFigures(result);
  page.tables = {SourcesTable(result), MethodsTable(result)};
  for (const PoolResult& pool : result.pools) {
    page.tables.push_back(ValuesTable(result, pool));
  }
  page.footer =
      "Queue, waiting room, policies and scaler are the server's own code. "
      "Arrivals and the times of the store follow the description of the "
      "traffic. The journal's disk, the network and the processor are not "
      "simulated.";
  page.json = JsonReport(result, JsonStyle::kCompact);
  page.script = kSimulationScript;
  return RenderPage(page);
}

}  // namespace sluice

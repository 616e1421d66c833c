#include "tools/sim/html_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/charts/format.h"
#include "tools/charts/svg_chart.h"
#include "tools/sim/summary.h"

namespace sluice {
namespace {

constexpr absl::string_view kStyle = R"css(
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 20px 60px; max-width: 1360px;
  background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 18px; margin: 34px 0 10px; }
.about { color: var(--soft); margin: 2px 0 18px; }
.summary, figure, .table { background: var(--card); border-radius: 10px;
  border: 1px solid var(--grid); }
.summary { padding: 6px 20px; } .summary p { margin: 10px 0; max-width: 110ch; }
.summary p:first-child { font-size: 17px; }
.tiles { display: grid; gap: 12px; margin: 14px 0;
  grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--grid);
  border-radius: 10px; padding: 10px 16px; }
.tile b { display: block; font-size: 23px; font-weight: 600; }
.tile span { color: var(--soft); font-size: 13px; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%;
  font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 7px 9px; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
.charts { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); }
figure { margin: 0; padding: 12px 14px 6px; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 14px;
  align-items: baseline; margin-bottom: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 14px; color: var(--soft);
  font-size: 12.5px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.key { width: 14px; height: 4px; border-radius: 2px; }
.dash { width: 14px; border-top: 2px dashed; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
.tick { fill: var(--soft); font-size: 11px; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round;
  stroke-linecap: round; }
.dashed { stroke-dasharray: 5 4; stroke-width: 1.4; }
.strip { fill: var(--ink); fill-opacity: 0; }
.strip:hover { fill-opacity: .07; }
.none { color: var(--soft); font-size: 13px; margin: 6px 0 12px; }
footer { color: var(--soft); font-size: 13px; margin-top: 28px; max-width: 110ch; }
)css";

// --- Charts ---

using ValueOf = std::function<double(const PoolWindow&)>;

// The charts of one pool.
class PoolCharts {
 public:
  PoolCharts(const SimulationResult& result, const PoolResult& pool)
      : result_(result), pool_(pool) {}

  std::string Render() const {
    return absl::StrCat(
        "<div class=\"charts\">\n", RenderChart(Rates()),
        RenderChart(Refusals()), RenderChart(Answers()), RenderChart(Waits()),
        RenderChart(Depth()), RenderChart(Waiting()), RenderChart(Workers()),
        RenderChart(Memory()),
        pool_.config.fair_by == FairBy::kNone ? "" : RenderChart(Lanes()),
        "</div>\n");
  }

 private:
  Chart Empty(std::string title, Chart::Unit unit) const {
    return {.title = std::move(title),
            .unit = unit,
            .start_seconds = result_.start_seconds,
            .window_seconds = result_.window_seconds};
  }

  std::vector<double> Values(const ValueOf& value_of) const {
    std::vector<double> values;
    values.reserve(pool_.windows.size());
    for (const PoolWindow& window : pool_.windows) {
      values.push_back(value_of(window));
    }
    return values;
  }

  // A count of each window as a rate.
  std::vector<double> PerSecond(
      const std::function<std::uint64_t(const PoolWindow&)>& count_of) const {
    return Values([&](const PoolWindow& window) {
      return static_cast<double>(count_of(window)) / result_.window_seconds;
    });
  }

  // A limit is shown where it is near enough to matter.
  void AddLimit(const std::string& name, std::vector<double> limits,
                Chart* chart) const {
    double most = 0;
    for (const ChartSeries& series : chart->series) {
      for (const double value : series.values) most = std::max(most, value);
    }
    const double highest = *std::ranges::max_element(limits);
    if (std::isinf(highest) || highest > 4 * most) return;
    chart->series.push_back({.name = name,
                             .color = 6,
                             .style = ChartSeries::Style::kDashed,
                             .values = std::move(limits)});
  }

  std::vector<double> Always(double value) const {
    return std::vector<double>(pool_.windows.size(), value);
  }

  Chart Rates() const {
    Chart chart =
        Empty("Arrivals and what came of them", Chart::Unit::kPerSecond);
    chart.series = {
        {.name = "attempts",
         .color = 0,
         .values = PerSecond([](const PoolWindow& w) { return w.arrivals; })},
        {.name = "new submissions",
         .color = 4,
         .values =
             PerSecond([](const PoolWindow& w) { return w.submissions; })},
        {.name = "answered in time",
         .color = 1,
         .style = ChartSeries::Style::kArea,
         .values = PerSecond([](const PoolWindow& w) { return w.answered; })},
        {.name = "answered too late",
         .color = 3,
         .values = PerSecond([](const PoolWindow& w) { return w.late; })}};
    std::erase_if(chart.series, [](const ChartSeries& series) {
      return series.name == "answered too late" &&
             *std::ranges::max_element(series.values) <= 0;
    });
    AddLimit("the store bears",
             Values([](const PoolWindow& w) { return w.capacity_per_second; }),
             &chart);
    return chart;
  }

  Chart Refusals() const {
    Chart chart = Empty("Turned away, and gone", Chart::Unit::kPerSecond);
    chart.stacked = true;
    constexpr std::array<int, 6> kColors = {3, 2, 5, 4, 7, 0};
    const auto add = [&](std::string name, int color, auto count_of) {
      std::vector<double> values = PerSecond(count_of);
      if (*std::ranges::max_element(values) <= 0) return;
      chart.series.push_back({.name = std::move(name),
                              .color = color,
                              .values = std::move(values)});
    };
    for (std::size_t i = 0; i < kRefusals.size(); ++i) {
      const TaskResult reason = kRefusals[i];
      add(std::string(RefusalReasonName(reason)), kColors[i % kColors.size()],
          [reason](const PoolWindow& w) { return w.rejected[reason]; });
    }
    add("dropped", 1, [](const PoolWindow& w) { return w.dropped; });
    add("gone at the deadline", 6, [](const PoolWindow& w) { return w.left; });
    return chart;
  }

  Chart Times(std::string title, TimeSummary PoolWindow::*times) const {
    Chart chart = Empty(std::move(title), Chart::Unit::kSeconds);
    chart.logarithmic = true;
    chart.series = {
        {.name = "50 % within",
         .color = 0,
         .values = Values([&](const PoolWindow& w) { return (w.*times).p50; })},
        {.name = "99 % within",
         .color = 3,
         .values =
             Values([&](const PoolWindow& w) { return (w.*times).p99; })}};
    return chart;
  }
  Chart Answers() const {
    return Times("Time to an answer, of those in time", &PoolWindow::answer);
  }
  Chart Waits() const { return Times("Wait for a worker", &PoolWindow::wait); }

  Chart Level(std::string title, Chart::Unit unit,
              LevelSummary PoolWindow::*level, int color) const {
    Chart chart = Empty(std::move(title), unit);
    chart.series = {
        {.name = "most",
         .color = color,
         .style = ChartSeries::Style::kLine,
         .values = Values([&](const PoolWindow& w) { return (w.*level).max; })},
        {.name = "on average",
         .color = 0,
         .style = ChartSeries::Style::kArea,
         .values =
             Values([&](const PoolWindow& w) { return (w.*level).mean; })}};
    return chart;
  }

  Chart Depth() const {
    Chart chart =
        Level("In the queue", Chart::Unit::kNumber, &PoolWindow::depth, 2);
    AddLimit("capacity",
             Always(static_cast<double>(pool_.config.queue_capacity)), &chart);
    return chart;
  }
  Chart Waiting() const {
    Chart chart = Level("In the waiting room", Chart::Unit::kNumber,
                        &PoolWindow::waiting, 2);
    AddLimit("waiting.max",
             Always(static_cast<double>(pool_.config.waiting_max)), &chart);
    return chart;
  }
  Chart Workers() const {
    Chart chart = Empty("Workers", Chart::Unit::kNumber);
    chart.series = {
        {.name = "there", .color = 4, .values = Values([](const PoolWindow& w) {
                                        return w.workers.mean;
                                      })},
        {.name = "busy",
         .color = 0,
         .style = ChartSeries::Style::kArea,
         .values = Values([](const PoolWindow& w) { return w.busy.mean; })},
        {.name = "workers.max",
         .color = 6,
         .style = ChartSeries::Style::kDashed,
         .values = Always(static_cast<double>(pool_.workers))}};
    return chart;
  }
  Chart Memory() const {
    Chart chart = Level("Memory held by submissions", Chart::Unit::kBytes,
                        &PoolWindow::bytes, 2);
    AddLimit("queue.capacity_bytes",
             Always(static_cast<double>(pool_.config.queue_capacity_bytes)),
             &chart);
    return chart;
  }

  Chart Lanes() const {
    return Level("Senders with something in the queue or the waiting room",
                 Chart::Unit::kNumber, &PoolWindow::lanes, 2);
  }

  const SimulationResult& result_;
  const PoolResult& pool_;
};

// --- Text ---

std::string Tile(const std::string& number, absl::string_view what) {
  return absl::StrCat("<div class=\"tile\"><b>", number, "</b><span>", what,
                      "</span></div>\n");
}

std::string Tiles(const SimulationResult& result) {
  std::uint64_t submissions = 0;
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  for (const MethodResult& method : result.methods) {
    submissions += method.submissions;
    answered += method.answered;
    refused += method.refused + method.dropped;
  }
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
  return absl::StrCat(
      "<div class=\"tiles\">\n", Tile(FormatCount(submissions), "submissions"),
      Tile(absl::StrCat(FormatNumber(peak), "/s"), "arrived at the peak"),
      Tile(FormatShare(answered, submissions), "answered in time"),
      Tile(FormatShare(refused, submissions), "refused for good or dropped"),
      Tile(FormatSeconds(slowest), "99 % of the answers within"),
      Tile(FormatSize(bytes), "held at most"), "</div>\n");
}

std::string Cell(const std::string& text) {
  return absl::StrCat("<td>", text, "</td>");
}

// What became of submissions, and how often attempts were turned away.
std::string CallersRow(std::string_view name, const CallersResult& callers) {
  const auto count = [&](std::uint64_t part) {
    return Cell(part == 0 ? "0"
                          : absl::StrCat(FormatCount(part), " (",
                                         FormatShare(part, callers.submissions),
                                         ")"));
  };
  return absl::StrCat(
      "<tr>", Cell(HtmlEscape(name)), Cell(HtmlEscape(callers.pool)),
      Cell(FormatCount(callers.submissions)), count(callers.answered),
      count(callers.late), count(callers.refused), count(callers.dropped),
      count(callers.left), Cell(FormatCount(callers.pending())),
      Cell(FormatCount(callers.attempts)), Cell(FormatCount(callers.refusals)),
      Cell(FormatSeconds(callers.answer.p50)),
      Cell(FormatSeconds(callers.answer.p99)),
      Cell(FormatSeconds(callers.wait.p50)),
      Cell(FormatSeconds(callers.wait.p99)), "</tr>\n");
}

std::string CallersTable(absl::string_view what, const std::string& rows) {
  return absl::StrCat(
      "<h2>", what, "s</h2>\n<div class=\"table\"><table><tr><th>", what,
      "</th><th>Pool</th><th>Submissions</th><th>In time</th><th>Too late</th>"
      "<th>Refused</th><th>Dropped</th><th>Gone</th><th>Still inside</th>"
      "<th>Attempts</th><th>of them refused</th><th>50 % in</th>"
      "<th>99 % in</th><th>Wait 50 %</th><th>99 %</th></tr>\n",
      rows, "</table></div>\n");
}

std::string Tables(const SimulationResult& result) {
  std::string sources;
  for (const SourceResult& source : result.sources) {
    absl::StrAppend(
        &sources,
        CallersRow(absl::StrCat(source.name, " (",
                                std::string(MethodName(source.method)), ")"),
                   source));
  }
  std::string methods;
  for (const MethodResult& method : result.methods) {
    absl::StrAppend(&methods, CallersRow(MethodName(method.method), method));
  }
  return CallersTable("Source", sources) + CallersTable("Method", methods);
}

std::string About(const SimulationResult& result) {
  return absl::StrCat(FormatClockTime(result.start_seconds), " to ",
                      FormatClockTime(result.start_seconds + result.seconds),
                      ", seed ", result.seed, "; each point of a chart is ",
                      FormatSeconds(result.window_seconds),
                      ". Point at a chart for its values.");
}

}  // namespace

std::string HtmlReport(const SimulationResult& result, std::string_view title) {
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>",
      HtmlEscape(title), "</title>\n<style>",
      absl::string_view(kColors.data(), kColors.size()), kStyle,
      "</style></head><body>\n", "<h1>", HtmlEscape(title),
      "</h1>\n<p class=\"about\">", About(result),
      "</p>\n<div class=\"summary\">\n");
  for (const std::string& paragraph : Summarize(result)) {
    absl::StrAppend(&html, "<p>", HtmlEscape(paragraph), "</p>\n");
  }
  absl::StrAppend(&html, "</div>\n", Tiles(result), Tables(result));
  for (const PoolResult& pool : result.pools) {
    absl::StrAppend(&html, "<h2>Pool ", HtmlEscape(pool.name), "</h2>\n",
                    PoolCharts(result, pool).Render());
  }
  absl::StrAppend(
      &html,
      "<footer>Queue, waiting room and policies are the server's own code; "
      "arrivals and the store's times are drawn from the description of the "
      "traffic. The journal's disk, the network and the processor are not "
      "simulated.</footer>\n</body></html>\n");
  return html;
}

}  // namespace sluice

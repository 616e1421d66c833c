#include "tools/load/picture.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "loadgen/metrics_scraper.h"
#include "loadgen/pacing.h"
#include "loadgen/timeline.h"
#include "tools/charts/format.h"
#include "tools/charts/svg_chart.h"

namespace sluice {
namespace {

class LoadCharts {
 public:
  LoadCharts(const LoadProfile& profile, const LoadResult& result)
      : profile_(profile),
        timeline_(*result.tally.timeline()),
        intervals_(timeline_.intervals()),
        samples_(ByInterval(result.samples, timeline_.start(),
                            timeline_.length(), intervals_.size())) {}

  Chart Calls() const {
    Chart chart = Empty("Calls", Chart::Unit::kPerSecond);
    chart.series = {{.name = "offered",
                     .color = 0,
                     .values = Rates(&Timeline::Interval::offered)},
                    {.name = "answered OK in time",
                     .color = 1,
                     .style = ChartSeries::Style::kArea,
                     .values = Rates(&Timeline::Interval::in_time)}};
    AddWhereAny("refused", 2, &Timeline::Interval::refused, &chart);
    AddWhereAny("too late", 3, &Timeline::Interval::late, &chart);
    AddWhereAny("failed", 5, &Timeline::Interval::failed, &chart);
    return chart;
  }

  Chart Latency() const {
    Chart chart = Empty("Time to an answer", Chart::Unit::kSeconds);
    chart.logarithmic = true;
    chart.series = {{.name = "50 % within",
                     .color = 0,
                     .values = Values([](const Timeline::Interval& i) {
                       return Seconds(i.p50);
                     })},
                    {.name = "99 % within",
                     .color = 3,
                     .values = Values([](const Timeline::Interval& i) {
                       return Seconds(i.p99);
                     })}};
    return chart;
  }

  Chart Workers() const {
    Chart chart = Empty("Workers", Chart::Unit::kNumber);
    chart.series = {
        {.name = "all", .color = 4, .values = Sampled(&PoolSample::workers)},
        {.name = "busy",
         .color = 1,
         .style = ChartSeries::Style::kArea,
         .values = Sampled(&PoolSample::busy)}};
    return chart;
  }

  Chart Queue() const {
    Chart chart = Empty("Queue", Chart::Unit::kNumber);
    chart.series = {{.name = "in the queue",
                     .color = 0,
                     .values = Sampled(&PoolSample::depth)},
                    {.name = "in the waiting room",
                     .color = 2,
                     .values = Sampled(&PoolSample::waiting)}};
    return chart;
  }

 private:
  Chart Empty(std::string title, Chart::Unit unit) const {
    return {.title = std::move(title),
            .unit = unit,
            .start_seconds = absl::ToDoubleSeconds(profile_.start),
            .window_seconds = Seconds(timeline_.length()) * profile_.compress};
  }

  template <typename ValueOf>
  std::vector<double> Values(ValueOf value_of) const {
    std::vector<double> values;
    values.reserve(intervals_.size());
    for (const Timeline::Interval& interval : intervals_) {
      values.push_back(value_of(interval));
    }
    return values;
  }

  std::vector<double> Rates(std::int64_t Timeline::Interval::*count) const {
    return Values([&](const Timeline::Interval& interval) {
      return static_cast<double>(interval.*count) / Seconds(timeline_.length());
    });
  }

  void AddWhereAny(std::string name, int color,
                   std::int64_t Timeline::Interval::*count,
                   Chart* chart) const {
    std::vector<double> rates = Rates(count);
    if (std::ranges::all_of(rates, [](double rate) { return rate == 0; })) {
      return;
    }
    chart->series.push_back(
        {.name = std::move(name), .color = color, .values = std::move(rates)});
  }

  std::vector<double> Sampled(double PoolSample::*value) const {
    std::vector<double> values;
    values.reserve(samples_.size());
    for (const PoolSample& sample : samples_) values.push_back(sample.*value);
    return values;
  }

  const LoadProfile& profile_;
  const Timeline& timeline_;
  const std::vector<Timeline::Interval> intervals_;
  const std::vector<PoolSample> samples_;
};

}  // namespace

std::string LoadPicture(const LoadProfile& profile, const LoadResult& result) {
  const LoadCharts charts(profile, result);
  std::vector<Chart> shown = {charts.Calls(), charts.Latency()};
  if (!result.samples.empty()) {
    shown.push_back(charts.Workers());
    shown.push_back(charts.Queue());
  }
  const double played = absl::ToDoubleSeconds(profile.duration);
  return RenderPicture(
      absl::StrCat(profile.name, ": ", FormatSeconds(played * profile.compress),
                   " played in ", FormatSeconds(played)),
      shown);
}

}  // namespace sluice

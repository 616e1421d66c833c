#include "tools/charts/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "tools/charts/format.h"

namespace sluice {
namespace {

// Of the picture; it scales to the width that it gets.
constexpr double kWidth = 640;
constexpr double kHeight = 230;
constexpr double kLeft = 62;
constexpr double kRight = 12;
constexpr double kTop = 10;
constexpr double kBottom = 26;
constexpr double kPlotWidth = kWidth - kLeft - kRight;
constexpr double kPlotHeight = kHeight - kTop - kBottom;

// Of a picture with several charts.
constexpr double kTitleHeight = 30;
constexpr double kCaptionHeight = 24;

constexpr absl::string_view kPictureStyle = R"css(
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  fill: var(--ink); font-size: 12.5px; }
.page { fill: var(--card); }
.title { font-size: 15px; font-weight: 600; } .caption { font-weight: 600; }
.name { fill: var(--soft); }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); }
.tick { fill: var(--soft); font-size: 11px; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round;
  stroke-linecap: round; }
.dashed { stroke-dasharray: 5 4; stroke-width: 1.4; }
)css";

// The least of 1, 2, 5, 10, 20... that is not less than `number`.
double RoundUp(double number) {
  const double power = std::pow(10, std::floor(std::log10(number)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (number <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Powers of two look round in bytes, of which there are kibi and mebi.
double RoundUpBytes(double number) {
  return std::exp2(std::ceil(std::log2(number) - 1e-9));
}

std::string FormatValue(double value, Chart::Unit unit) {
  switch (unit) {
    case Chart::Unit::kNumber:
      return FormatNumber(value);
    case Chart::Unit::kPerSecond:
      return absl::StrCat(FormatNumber(value), "/s");
    case Chart::Unit::kSeconds:
      return FormatSeconds(value);
    case Chart::Unit::kBytes:
      return FormatSize(value);
  }
  return "";
}

// --- The axes ---

class ValueAxis {
 public:
  ValueAxis(double min, double max, const Chart& chart)
      : logarithmic_(chart.logarithmic) {
    if (logarithmic_) {
      low_ = std::pow(10, std::floor(std::log10(min) + 1e-9));
      high_ = std::pow(10, std::ceil(std::log10(max) - 1e-9));
      if (high_ <= low_) high_ = low_ * 10;
      const double decades = std::log10(high_ / low_);
      const double step = std::pow(10, std::ceil(decades / 5 - 1e-9));
      for (double tick = low_; tick <= high_ * 1.001; tick *= step) {
        ticks_.push_back(tick);
      }
      return;
    }
    const double step = chart.unit == Chart::Unit::kBytes
                            ? RoundUpBytes(max / 5)
                            : RoundUp(max / 5);
    high_ = std::ceil(max / step - 1e-9) * step;
    const int steps = static_cast<int>(std::lround(high_ / step));
    for (int i = 0; i <= steps; ++i) ticks_.push_back(i * step);
  }

  const std::vector<double>& ticks() const { return ticks_; }
  double Y(double value) const {
    const double part = logarithmic_ ? std::log(std::max(value, low_) / low_) /
                                           std::log(high_ / low_)
                                     : value / high_;
    return kTop + kPlotHeight * (1 - std::clamp(part, 0.0, 1.0));
  }

 private:
  const bool logarithmic_;
  double low_ = 0;
  double high_ = 1;
  std::vector<double> ticks_;
};

// Round times of the clock, about eight of them.
std::vector<double> TimeTicks(double start, double length) {
  constexpr std::array<double, 20> kSteps = {
      0.01, 0.05, 0.1, 0.5, 1,   2,    5,    10,   15,    30,
      60,   120,  300, 600, 900, 1800, 3600, 7200, 10800, 86400};
  const auto* step =
      std::ranges::find_if(kSteps, [&](double s) { return length / s <= 8.5; });
  const double width = step == kSteps.end() ? kSteps.back() : *step;
  std::vector<double> ticks;
  for (double tick = std::ceil(start / width - 1e-9) * width;
       tick <= start + length * (1 + 1e-9); tick += width) {
    ticks.push_back(tick);
  }
  return ticks;
}

std::string RenderAxes(const Chart& chart, const ValueAxis& axis,
                       double length) {
  std::string svg;
  for (const double tick : axis.ticks()) {
    const double y = axis.Y(tick);
    absl::StrAppendFormat(
        &svg,
        "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>"
        "<text class=\"tick\" text-anchor=\"end\" x=\"%g\" y=\"%.1f\">%s</text>"
        "\n",
        kLeft, kWidth - kRight, y, y, kLeft - 6, y + 3.5,
        FormatValue(tick, chart.unit));
  }
  for (const double tick : TimeTicks(chart.start_seconds, length)) {
    const double x = kLeft + kPlotWidth * (tick - chart.start_seconds) / length;
    // The last label must not go beyond the picture.
    const bool at_edge = x > kWidth - kRight - 20;
    absl::StrAppendFormat(
        &svg,
        "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>"
        "<text class=\"tick\" text-anchor=\"%s\" x=\"%.1f\" y=\"%g\">%s"
        "</text>\n",
        x, x, kTop + kPlotHeight, kTop + kPlotHeight + 4,
        at_edge ? "end" : "middle", at_edge ? kWidth - 2 : x, kHeight - 8,
        FormatClockTime(tick));
  }
  absl::StrAppendFormat(
      &svg, "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>\n",
      kLeft, kWidth - kRight, kTop + kPlotHeight, kTop + kPlotHeight);
  return svg;
}

// --- The series ---

// Where an interval's value stands: in its middle.
double X(std::size_t index, std::size_t count) {
  return kLeft + kPlotWidth * (static_cast<double>(index) + 0.5) /
                     static_cast<double>(count);
}

std::string LinePath(const std::vector<double>& values, const ValueAxis& axis,
                     bool logarithmic) {
  std::string path;
  bool drawing = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (logarithmic && values[i] <= 0) {
      drawing = false;
      continue;
    }
    absl::StrAppendFormat(&path, "%c%.1f %.1f", drawing ? 'L' : 'M',
                          X(i, values.size()), axis.Y(values[i]));
    // A point between two pauses would not be seen.
    if (!drawing) path += "h.1";
    drawing = true;
  }
  return path;
}

std::string AreaPath(const std::vector<double>& top,
                     const std::vector<double>& bottom, const ValueAxis& axis) {
  std::string path;
  for (std::size_t i = 0; i < top.size(); ++i) {
    absl::StrAppendFormat(&path, "%c%.1f %.1f", i == 0 ? 'M' : 'L',
                          X(i, top.size()), axis.Y(top[i]));
  }
  for (std::size_t i = bottom.size(); i > 0; --i) {
    absl::StrAppendFormat(&path, "L%.1f %.1f", X(i - 1, bottom.size()),
                          axis.Y(bottom[i - 1]));
  }
  return path + "Z";
}

std::string RenderSeries(const ChartSeries& series,
                         const std::vector<double>& top,
                         const std::vector<double>& bottom,
                         const ValueAxis& axis, const Chart& chart) {
  if (top.empty()) return "";
  std::string svg;
  if (chart.stacked || series.style == ChartSeries::Style::kArea) {
    absl::StrAppendFormat(
        &svg, "<path d=\"%s\" style=\"fill:var(--s%d);fill-opacity:%s\"/>\n",
        AreaPath(top, bottom, axis), series.color,
        chart.stacked ? ".55" : ".18");
  }
  absl::StrAppendFormat(
      &svg, "<path class=\"line%s\" d=\"%s\" style=\"stroke:var(--s%d)\"/>\n",
      series.style == ChartSeries::Style::kDashed ? " dashed" : "",
      LinePath(top, axis, chart.logarithmic), series.color);
  return svg;
}

// A strip for each interval, whose title browsers show.
std::string RenderTitles(const Chart& chart, std::size_t count) {
  const double width = kPlotWidth / static_cast<double>(count);
  std::string svg;
  for (std::size_t i = 0; i < count; ++i) {
    std::string title = FormatClockTime(
        chart.start_seconds + chart.window_seconds * static_cast<double>(i));
    for (const ChartSeries& series : chart.series) {
      absl::StrAppend(&title, "\n", series.name, ": ",
                      FormatValue(series.values[i], chart.unit));
    }
    absl::StrAppendFormat(
        &svg,
        "<rect class=\"strip\" x=\"%.2f\" y=\"%g\" width=\"%.2f\" "
        "height=\"%g\"><title>%s</title></rect>\n",
        kLeft + width * static_cast<double>(i), kTop, width, kPlotHeight,
        HtmlEscape(title));
  }
  return svg;
}

std::string RenderLegend(const Chart& chart) {
  std::string html = "<span class=\"legend\">";
  for (const ChartSeries& series : chart.series) {
    absl::StrAppendFormat(
        &html, "<span><i class=\"%s\" style=\"%s:var(--s%d)\"></i>%s</span>",
        series.style == ChartSeries::Style::kDashed ? "dash" : "key",
        series.style == ChartSeries::Style::kDashed ? "border-color"
                                                    : "background",
        series.color, HtmlEscape(series.name));
  }
  return html + "</span>";
}

// The tops of the series: their values, or the sums that they stand on.
std::vector<std::vector<double>> Tops(const Chart& chart) {
  std::vector<std::vector<double>> tops;
  for (const ChartSeries& series : chart.series) {
    tops.push_back(series.values);
    if (!chart.stacked || tops.size() < 2) continue;
    const std::vector<double>& below = tops[tops.size() - 2];
    for (std::size_t i = 0; i < below.size(); ++i) tops.back()[i] += below[i];
  }
  return tops;
}

std::size_t Count(const Chart& chart) {
  return chart.series.empty() ? 0 : chart.series.front().values.size();
}

// Axes and series; nothing where all values are 0.
std::string RenderPlot(const Chart& chart) {
  const std::vector<std::vector<double>> tops = Tops(chart);
  double min = 0;
  double max = 0;
  for (const std::vector<double>& values : tops) {
    for (const double value : values) {
      max = std::max(max, value);
      if (value > 0) min = min > 0 ? std::min(min, value) : value;
    }
  }
  if (max <= 0) return "";
  const ValueAxis axis(min, max, chart);
  std::string svg = RenderAxes(
      chart, axis, chart.window_seconds * static_cast<double>(Count(chart)));
  for (std::size_t i = 0; i < tops.size(); ++i) {
    const std::vector<double> bottom =
        chart.stacked && i > 0 ? tops[i - 1]
                               : std::vector<double>(Count(chart), 0);
    svg += RenderSeries(chart.series[i], tops[i], bottom, axis, chart);
  }
  return svg;
}

// Title and legend of a chart in a picture. SVG does not flow: the width of a
// text is guessed from its letters.
std::string RenderCaption(const Chart& chart) {
  constexpr double kLetter = 6.6;
  std::string svg =
      absl::StrFormat("<text class=\"caption\" x=\"12\" y=\"18\">%s</text>\n",
                      HtmlEscape(chart.title));
  double x = 34 + 1.08 * kLetter * static_cast<double>(chart.title.size());
  for (const ChartSeries& series : chart.series) {
    absl::StrAppendFormat(
        &svg,
        "<path class=\"line%s\" style=\"stroke:var(--s%d);stroke-width:3\" "
        "d=\"M%.1f 14h14\"/><text class=\"name\" x=\"%.1f\" "
        "y=\"18\">%s</text>\n",
        series.style == ChartSeries::Style::kDashed ? " dashed" : "",
        series.color, x, x + 20, HtmlEscape(series.name));
    x += 36 + kLetter * static_cast<double>(series.name.size());
  }
  return svg;
}

}  // namespace

const std::string_view kColors = R"css(
:root { color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1c1c1a; --soft: #63625d;
  --grid: #e6e5e1; --axis: #b4b2ab;
  --s0: #2a78d6; --s1: #14966a; --s2: #c98500; --s3: #d64545;
  --s4: #6a51c8; --s5: #cf4f8b; --s6: #5d6b76; --s7: #8a6d3b; }
@media (prefers-color-scheme: dark) { :root {
  --page: #161615; --card: #20201f; --ink: #f1f0ec; --soft: #a3a19a;
  --grid: #343432; --axis: #63625d;
  --s0: #5b9ff0; --s1: #2fbf8c; --s2: #e8ac2e; --s3: #f07070;
  --s4: #9b85f2; --s5: #ec82b4; --s6: #9aa7b2; --s7: #c4a468; } }
)css";

std::string HtmlEscape(std::string_view text) {
  return absl::StrReplaceAll(
      absl::string_view(text.data(), text.size()),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string RenderChart(const Chart& chart) {
  const std::string plot = RenderPlot(chart);
  std::string html =
      absl::StrCat("<figure><figcaption><b>", HtmlEscape(chart.title), "</b>",
                   RenderLegend(chart), "</figcaption>\n");
  if (plot.empty()) {
    return absl::StrCat(html, "<p class=\"none\">none</p></figure>\n");
  }
  absl::StrAppendFormat(&html,
                        "<svg viewBox=\"0 0 %g %g\" role=\"img\" "
                        "aria-label=\"%s\">\n",
                        kWidth, kHeight, HtmlEscape(chart.title));
  return absl::StrCat(html, plot, RenderTitles(chart, Count(chart)),
                      "</svg></figure>\n");
}

std::string RenderPicture(std::string_view title,
                          const std::vector<Chart>& charts) {
  const double height = kTitleHeight + static_cast<double>(charts.size()) *
                                           (kCaptionHeight + kHeight);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" "
      "role=\"img\">\n<title>%s</title>\n<style>%s%s</style>\n"
      "<rect class=\"page\" width=\"%g\" height=\"%g\"/>\n"
      "<text class=\"title\" x=\"12\" y=\"21\">%s</text>\n",
      kWidth, height, HtmlEscape(title),
      absl::string_view(kColors.data(), kColors.size()), kPictureStyle, kWidth,
      height, HtmlEscape(title));
  double y = kTitleHeight;
  for (const Chart& chart : charts) {
    absl::StrAppendFormat(&svg, "<g transform=\"translate(0 %g)\">\n%s", y,
                          RenderCaption(chart));
    absl::StrAppendFormat(&svg,
                          "<g transform=\"translate(0 %g)\">\n%s</g></g>\n",
                          kCaptionHeight, RenderPlot(chart));
    y += kCaptionHeight + kHeight;
  }
  return svg + "</svg>\n";
}

}  // namespace sluice

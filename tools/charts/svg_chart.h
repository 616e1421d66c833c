// Charts over the time of a run, as SVG that needs no script and nothing from
// elsewhere: inline in a page of HTML, or as a picture of their own. In a page,
// colours are its CSS variables (--s0 to --s7, --grid, --ink...): kColors.

#ifndef SLUICE_TOOLS_CHARTS_SVG_CHART_H_
#define SLUICE_TOOLS_CHARTS_SVG_CHART_H_

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

struct ChartSeries {
  enum class Style { kLine, kArea, kDashed };

  std::string name;
  int color = 0;  // 0 to 7
  Style style = Style::kLine;
  std::vector<double> values = {};  // of each interval; not negative
};

struct Chart {
  enum class Unit { kNumber, kPerSecond, kSeconds, kBytes };

  std::string title;
  Unit unit = Unit::kNumber;
  bool stacked = false;      // each series stands on those before it
  bool logarithmic = false;  // 0 has no place: a line pauses there
  double start_seconds = 0;  // the clock's time at the first interval
  double window_seconds = 1;
  std::vector<ChartSeries> series = {};
};

// Lines of a stylesheet that set the variables, for light and dark.
extern const std::string_view kColors;

// `text` as it may stand in HTML, in an attribute as well.
std::string HtmlEscape(std::string_view text);

// A <figure>. Pointing at an interval shows its time and values.
std::string RenderChart(const Chart& chart);

// An SVG file with the charts one below the other.
std::string RenderPicture(std::string_view title,
                          const std::vector<Chart>& charts);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CHARTS_SVG_CHART_H_

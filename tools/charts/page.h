// A report as one HTML file: text and tables, and charts that dygraphs draws
// from the report's JSON. The file is self-contained and works from file://; a
// Content-Security-Policy prevents it from loading anything. Text and tables
// are visible without JavaScript, too.

#ifndef SLUICE_TOOLS_CHARTS_PAGE_H_
#define SLUICE_TOOLS_CHARTS_PAGE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

struct PageTable {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>>
      rows;             // each row has one cell per column
  bool folded = false;  // hidden until the reader opens it
};

// The content of a page, in plain text: RenderPage escapes it.
struct Page {
  std::string title;
  std::string about;                 // the line below the title
  std::vector<std::string> summary;  // the paragraphs of the summary
  // Key figures, as a value and its description.
  std::vector<std::pair<std::string, std::string>> figures;
  std::vector<PageTable> tables;
  std::string footer;

  // The report: one JSON value in UTF-8.
  std::string json;
  // JavaScript that defines chartsOf(report), which returns
  //   [{heading, charts: [{title, unit, start, step, stacked, logarithmic,
  //                        series: [{name, color, style, values}]}]}]
  // `unit` is number, per_second, seconds or bytes. `start` (time of day) and
  // `step` are in seconds, `color` is 0 to 7, `style` is line, area or dashed.
  // Values are numbers or null. The script is not escaped.
  std::string_view script;
};

// Returns `text` escaped for HTML, attributes included.
std::string HtmlEscape(std::string_view text);

// Renders the page as HTML. The same page gives the same bytes.
std::string RenderPage(const Page& page);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CHARTS_PAGE_H_

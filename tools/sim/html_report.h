// Shows a simulation as an HTML page with charts.

#ifndef SLUICE_TOOLS_SIM_HTML_REPORT_H_
#define SLUICE_TOOLS_SIM_HTML_REPORT_H_

#include <string>
#include <string_view>

#include "tools/sim/result.h"

namespace sluice {

// Returns one self-contained HTML file (tools/charts/page.h). `title` names the
// input, e.g. the two files. The same result gives the same bytes.
std::string HtmlReport(const SimulationResult& result, std::string_view title);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_HTML_REPORT_H_

// A run of a profile as a page with charts.

#ifndef SLUICE_TOOLS_LOAD_LOAD_PAGE_H_
#define SLUICE_TOOLS_LOAD_LOAD_PAGE_H_

#include <string>

#include "loadgen/loadgen.h"

namespace sluice {

// Returns one HTML file that needs nothing else (tools/charts/page.h): calls
// and their results, latency, and, if the server's metrics were scraped, its
// workers and queue. Times are by the clock of the profile. `options` must
// have a profile.
std::string LoadPage(const LoadOptions& options, const LoadResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_LOAD_LOAD_PAGE_H_

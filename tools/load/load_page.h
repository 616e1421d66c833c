// Shows a run of a profile as an HTML page with charts.

#ifndef SLUICE_TOOLS_LOAD_LOAD_PAGE_H_
#define SLUICE_TOOLS_LOAD_LOAD_PAGE_H_

#include <string>

#include "loadgen/loadgen.h"

namespace sluice {

// Returns one self-contained HTML file (tools/charts/page.h) with calls,
// results and latency. If the server's metrics were scraped, it also shows
// workers and queue. Times are in the time of the profile. `options` must have
// a profile.
std::string LoadPage(const LoadOptions& options, const LoadResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_LOAD_LOAD_PAGE_H_

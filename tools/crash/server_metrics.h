// What a server says of itself on /metrics.

#ifndef SLUICE_TOOLS_CRASH_SERVER_METRICS_H_
#define SLUICE_TOOLS_CRASH_SERVER_METRICS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// The text that 127.0.0.1:`port` answers for /metrics. UNAVAILABLE where it
// answers anything else, or not within `limit`.
absl::StatusOr<std::string> FetchMetrics(int port, absl::Duration limit);

// The sum of the samples of a metric, whatever their labels; 0 where there is
// none.
double SumOfSamples(absl::string_view text, absl::string_view metric);

// Whether the server has nothing to do: nothing waits, is queued, is in work or
// is in the journal.
bool IsWorkedOff(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CRASH_SERVER_METRICS_H_

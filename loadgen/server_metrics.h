// What a server says of itself on /metrics.

#ifndef SLUICE_LOADGEN_SERVER_METRICS_H_
#define SLUICE_LOADGEN_SERVER_METRICS_H_

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// The text that an address of `size` bytes answers for /metrics. UNAVAILABLE
// where it answers anything else, or not within `limit`.
absl::StatusOr<std::string> FetchMetrics(const sockaddr_storage& address,
                                         socklen_t size, absl::Duration limit);
// The same of 127.0.0.1:`port`.
absl::StatusOr<std::string> FetchMetrics(int port, absl::Duration limit);

// The sum of the samples of a metric that have all of `labels`, each as
// `pool="clinical"`; 0 where there is none.
double SumOfSamples(absl::string_view text, absl::string_view metric,
                    const std::vector<std::string>& labels = {});

// Whether the server has nothing to do: nothing waits, is queued, is in work or
// is in the journal.
bool IsWorkedOff(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_SERVER_METRICS_H_

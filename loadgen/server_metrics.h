// Reads a server's /metrics.

#ifndef SLUICE_LOADGEN_SERVER_METRICS_H_
#define SLUICE_LOADGEN_SERVER_METRICS_H_

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// Fetches /metrics from an address of `size` bytes. Returns UNAVAILABLE if the
// answer is not 200, or is not complete within `limit`.
absl::StatusOr<std::string> FetchMetrics(const sockaddr_storage& address,
                                         socklen_t size, absl::Duration limit);
// Fetches /metrics from 127.0.0.1:`port`, with the same errors.
absl::StatusOr<std::string> FetchMetrics(int port, absl::Duration limit);

// Returns the sum of the samples of a metric that have all of `labels`. A label
// has the form `pool="clinical"`. 0 if there are no such samples.
double SumOfSamples(absl::string_view text, absl::string_view metric,
                    const std::vector<std::string>& labels = {});

// True if the server has nothing to do: the waiting room, the queue and the
// journal are empty, and no submission is in work.
bool IsWorkedOff(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_SERVER_METRICS_H_

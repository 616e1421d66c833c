// Limits of the operating system that would stop the server later.

#ifndef SLUICE_SERVER_PROCESS_LIMITS_H_
#define SLUICE_SERVER_PROCESS_LIMITS_H_

#include "absl/status/status.h"
#include "config/config.h"

namespace sluice {

// Checks that the process may have the descriptors, the threads and the file
// sizes that a server with this configuration needs. RESOURCE_EXHAUSTED names
// the limit and what to do. Starts and ends as many threads as the server may
// have, because a thread may be refused for several reasons (RLIMIT_NPROC, the
// pids controller of a cgroup, memory), and only the attempt tells.
absl::Status CheckProcessLimits(const Config& config);

}  // namespace sluice

#endif  // SLUICE_SERVER_PROCESS_LIMITS_H_

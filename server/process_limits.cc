#include "server/process_limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"

namespace sluice {
namespace {

// Descriptors for the store, the journals, the metrics and gRPC itself.
constexpr std::size_t kOtherDescriptors = 128;
// Threads of gRPC, the metrics, the admin service and the timers.
constexpr std::size_t kOtherThreads = 32;
// Smallest file size limit of a server without a journal.
constexpr std::size_t kFileBytesMin = std::size_t{64} << 20;

std::size_t MostWorkers(const Config& config) {
  std::size_t workers = 0;
  for (const auto& [name, pool] : config.pools) workers += pool.workers.max;
  return workers;
}

absl::Status CheckDescriptors(const Config& config) {
  // With PostgreSQL each worker has a connection.
  const rlim_t needed =
      config.limits.connections + MostWorkers(config) + kOtherDescriptors;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= needed) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "limits.connections: ", config.limits.connections, " connections need ",
      needed, " descriptors, but the process may open only ", limit.rlim_max,
      "; raise the hard limit (ulimit -Hn, LimitNOFILE=) or set a smaller "
      "limits.connections"));
}

absl::Status CheckFileSize(const Config& config) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return absl::OkStatus();
  }
  std::size_t needed = kFileBytesMin;
  for (const auto& [name, pool] : config.pools) {
    if (pool.journal_path.empty()) continue;
    needed =
        std::max(needed, pool.queue_capacity_bytes + pool.quarantine.max_bytes);
  }
  if (limit.rlim_cur >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the process may write files of at most ", limit.rlim_cur,
                   " bytes, but the store and the journals may need ", needed,
                   "; raise the limit (ulimit -f, LimitFSIZE=)"));
}

absl::Status CheckThreads(const Config& config) {
  // Each pool has a timer, the writer of its journal, and a thread for replay.
  const std::size_t needed =
      MostWorkers(config) + 3 * config.pools.size() +
      std::max<std::size_t>(config.completion_queues,
                            std::thread::hardware_concurrency()) +
      kOtherThreads;
  absl::Notification end;
  std::vector<std::thread> threads;
  threads.reserve(needed);
  absl::Status status;
  try {
    while (threads.size() < needed) {
      threads.emplace_back([&end] { end.WaitForNotification(); });
    }
  } catch (const std::system_error& error) {
    status = absl::ResourceExhaustedError(absl::StrCat(
        "the server may need ", needed, " threads, but only ", threads.size(),
        " can be started (", error.code().message(),
        "); raise the limit (ulimit -u, TasksMax=, the pids limit of the "
        "container)"));
  }
  end.Notify();
  for (std::thread& thread : threads) thread.join();
  return status;
}

}  // namespace

absl::Status CheckProcessLimits(const Config& config) {
  absl::Status status = CheckDescriptors(config);
  if (status.ok()) status = CheckFileSize(config);
  if (status.ok()) status = CheckThreads(config);
  return status;
}

}  // namespace sluice

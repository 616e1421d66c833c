// Scrapes a server's metrics while it is under load.

#ifndef SLUICE_LOADGEN_INTERNAL_METRICS_SCRAPER_H_
#define SLUICE_LOADGEN_INTERNAL_METRICS_SCRAPER_H_

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "loadgen/internal/h2_connection.h"
#include "loadgen/loadgen.h"

namespace sluice {

// Reads the sizes of a pool from the text of /metrics. Returns the sum of all
// pools if `pool` is empty.
PoolSample ReadPoolSample(absl::string_view text, const std::string& pool);

// Returns, for each of `count` intervals, the last sample before the end of the
// interval, which may be from an earlier interval. All values are 0 before the
// first sample. `samples` must be in order of time.
std::vector<PoolSample> ByInterval(const std::vector<PoolSample>& samples,
                                   TimePoint start, Duration length,
                                   std::size_t count);

// Scrapes once a second on its own thread, so that a slow answer delays no
// call. A scrape without an answer is skipped.
class MetricsScraper {
 public:
  // Returns the host:port of a URL such as http://host:port/metrics. Scheme and
  // path are optional. Returns INVALID_ARGUMENT if there is no host:port.
  static absl::StatusOr<std::string> HostPort(absl::string_view url);

  MetricsScraper(const H2Target& target, std::string pool);
  // Stops the thread.
  ~MetricsScraper();

  MetricsScraper(const MetricsScraper&) = delete;
  MetricsScraper& operator=(const MetricsScraper&) = delete;

  // Stops the thread and returns the samples in order of time.
  std::vector<PoolSample> Stop();

 private:
  void Run();

  const H2Target target_;
  const std::string pool_;
  absl::Notification stopped_;
  std::vector<PoolSample> samples_;  // used by thread_ until joined
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_METRICS_SCRAPER_H_

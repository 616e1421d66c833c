// Watches a server's own metrics while it is under load.

#ifndef SLUICE_LOADGEN_METRICS_SCRAPER_H_
#define SLUICE_LOADGEN_METRICS_SCRAPER_H_

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "loadgen/h2_connection.h"
#include "loadgen/pacing.h"

namespace sluice {

// What a server said of a pool, or of all together.
struct PoolSample {
  LoadClock::time_point at{};
  double workers = 0;
  double busy = 0;
  double depth = 0;    // of the queue
  double waiting = 0;  // in the waiting room
};

// Of the text of /metrics; all pools together where `pool` is empty.
PoolSample ReadPoolSample(absl::string_view text, const std::string& pool);

// Of each of so many intervals the last sample that was taken before its end,
// be it in an earlier one; without one, all is 0. `samples` are in order.
std::vector<PoolSample> ByInterval(const std::vector<PoolSample>& samples,
                                   LoadClock::time_point start,
                                   LoadClock::duration length,
                                   std::size_t count);

// Asks each second, on a thread of its own, so that a slow answer delays no
// call. What is not answered is left out.
class MetricsScraper {
 public:
  // The host:port of `http://host:port/metrics`, path and scheme as one likes.
  // INVALID_ARGUMENT where it is nothing of the kind.
  static absl::StatusOr<std::string> HostPort(absl::string_view url);

  MetricsScraper(const H2Target& target, std::string pool);
  // Stops it.
  ~MetricsScraper();

  MetricsScraper(const MetricsScraper&) = delete;
  MetricsScraper& operator=(const MetricsScraper&) = delete;

  // Ends it; what it has seen, in order.
  std::vector<PoolSample> Stop();

 private:
  void Run();

  const H2Target target_;
  const std::string pool_;
  absl::Notification stopped_;
  std::vector<PoolSample> samples_;  // the thread's until it is joined
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_METRICS_SCRAPER_H_

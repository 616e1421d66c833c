// The process_* metrics, with the names and help texts that all client
// libraries of Prometheus share:
// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics

#ifndef SLUICE_SERVER_METRICS_PROCESS_METRICS_H_
#define SLUICE_SERVER_METRICS_PROCESS_METRICS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace sluice {

// The fields of /proc/<pid>/stat that Sluice uses; see proc(5).
struct ProcessStat {
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  // clock ticks since boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};

// Parses the content of /proc/<pid>/stat. Returns nullopt if `text` is
// malformed.
std::optional<ProcessStat> ParseProcessStat(const std::string& text);

// Reads /proc at each Collect. Metrics whose file cannot be read are left out.
// Thread-safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  ProcessMetrics();

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::optional<double> boot_time_s_;  // seconds since the Unix epoch
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_PROCESS_METRICS_H_

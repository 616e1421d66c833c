#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "loadgen/internal/h2_connection.h"
#include "loadgen/internal/load_loop.h"
#include "loadgen/internal/metrics_scraper.h"
#include "loadgen/loadgen.h"

namespace sluice {
namespace {

absl::StatusOr<std::unique_ptr<MetricsScraper>> StartScraper(
    const LoadOptions& options) {
  if (options.metrics_url.empty()) return nullptr;
  const auto host_port = MetricsScraper::HostPort(options.metrics_url);
  if (!host_port.ok()) return host_port.status();
  const auto target = H2Target::Resolve(*host_port);
  if (!target.ok()) return target.status();
  return std::make_unique<MetricsScraper>(*target, options.pool);
}

void AddSamples(const std::vector<PoolSample>& samples, TimePoint start,
                LoadResult* result) {
  if (samples.empty()) return;
  const std::vector<PoolSample> by_interval = ByInterval(
      samples, start, result->interval_length, result->timeline.size());
  for (std::size_t i = 0; i < by_interval.size(); ++i) {
    result->timeline[i].pool = by_interval[i];
  }
}

}  // namespace

absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options,
                                   ProgressBar& progress,
                                   const std::atomic<bool>& stop) {
  const auto target = H2Target::Resolve(options.target);
  if (!target.ok()) return target.status();
  const auto scraper = StartScraper(options);
  if (!scraper.ok()) return scraper.status();
  LoadLoop loop(options, *target, progress, stop);
  if (auto status = loop.Connect(); !status.ok()) return status;
  const TimePoint start = std::chrono::steady_clock::now();
  LoadResult result = loop.Run(start);
  if (*scraper != nullptr) AddSamples((*scraper)->Stop(), start, &result);
  return result;
}

}  // namespace sluice

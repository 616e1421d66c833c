// Latencies counted in buckets whose width grows with the value, after
// HdrHistogram (https://hdrhistogram.github.io/HdrHistogram): percentiles of
// any number of values, in bounded memory.

#ifndef SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_
#define SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

// Each power of two is cut into 128 equal buckets, so that a percentile is at
// most 1 % above the true value, and never below. About 40 KB. Not thread-safe.
class LatencyHistogram {
 public:
  using Nanos = std::chrono::nanoseconds;

  LatencyHistogram();

  // Negative values count as 0, those above an hour or so as the largest
  // bucket's; min and max are exact in every case.
  void Add(Nanos latency);
  // All that was added to the other.
  void Add(const LatencyHistogram& other);

  std::int64_t count() const { return count_; }
  Nanos min() const { return min_; }  // 0 where nothing was added
  Nanos max() const { return max_; }

  // The least value that `percent` (0 to 100) of the values do not exceed; 0
  // where nothing was added.
  Nanos Percentile(double percent) const;

 private:
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  Nanos min_{0};
  Nanos max_{0};
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_

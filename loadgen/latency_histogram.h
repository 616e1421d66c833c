// Percentiles of any number of latencies in bounded memory. Counts values in
// buckets whose width grows with the value, after HdrHistogram
// (https://hdrhistogram.github.io/HdrHistogram).

#ifndef SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_
#define SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

// Each power of two is cut into 128 equal buckets, so that a percentile is at
// most 1 % above the true value and never below. Takes about 40 KB. Not
// thread-safe.
class LatencyHistogram {
 public:
  using Nanos = std::chrono::nanoseconds;

  LatencyHistogram();

  // Counts negative values as 0, and values above about an hour in the largest
  // bucket. min() and max() are always exact.
  void Add(Nanos latency);
  // Adds all values of `other`.
  void Add(const LatencyHistogram& other);

  std::int64_t count() const { return count_; }
  Nanos min() const { return min_; }  // 0 if empty
  Nanos max() const { return max_; }

  // Returns the smallest value that at least `percent` (0 to 100) of the values
  // do not exceed. 0 if empty.
  Nanos Percentile(double percent) const;

 private:
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  Nanos min_{0};
  Nanos max_{0};
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LATENCY_HISTOGRAM_H_

#include "loadgen/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice {
namespace {

// Values below 2 * kSteps have one bucket each. Above, each power of two has
// kSteps buckets.
constexpr int kStepBits = 7;
constexpr std::uint64_t kSteps = 1U << kStepBits;
constexpr std::uint64_t kValueMax = (std::uint64_t{1} << 42U) - 1;  // 73 min

constexpr std::size_t BucketOf(std::uint64_t value) {
  const int shift =
      std::max(0, static_cast<int>(std::bit_width(value)) - kStepBits - 1);
  return static_cast<std::size_t>(shift) * kSteps + (value >> shift);
}

// Returns the largest value of a bucket.
constexpr std::uint64_t UpperBound(std::size_t bucket) {
  if (bucket < 2 * kSteps) return bucket;
  const std::size_t shift = bucket / kSteps - 1;
  const std::uint64_t step = bucket - shift * kSteps;
  return ((step + 1) << shift) - 1;
}

static_assert(UpperBound(BucketOf(255)) == 255);
static_assert(UpperBound(BucketOf(256)) == 257);
static_assert(UpperBound(BucketOf(kValueMax)) == kValueMax);

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(BucketOf(kValueMax) + 1) {}

void LatencyHistogram::Add(Nanos latency) {
  latency = std::max(latency, Nanos{0});
  min_ = count_ == 0 ? latency : std::min(min_, latency);
  max_ = std::max(max_, latency);
  ++count_;
  const auto value = static_cast<std::uint64_t>(latency.count());
  ++buckets_[BucketOf(std::min(value, kValueMax))];
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    buckets_[bucket] += other.buckets_[bucket];
  }
}

LatencyHistogram::Nanos LatencyHistogram::Percentile(double percent) const {
  if (count_ == 0) return Nanos{0};
  // Subtract a little, so that rounding does not turn 55 percent of 100 into
  // 56.
  const double exact_rank =
      percent / 100 * static_cast<double>(count_) * (1 - 1e-12);
  const auto rank = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(std::ceil(exact_rank)), 1, count_);
  std::int64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) {
      const Nanos bound(static_cast<std::int64_t>(UpperBound(bucket)));
      return std::clamp(bound, min_, max_);
    }
  }
  return max_;
}

}  // namespace sluice

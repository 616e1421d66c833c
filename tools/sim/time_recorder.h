// Records times and summarizes them.

#ifndef SLUICE_TOOLS_SIM_TIME_RECORDER_H_
#define SLUICE_TOOLS_SIM_TIME_RECORDER_H_

#include "base/time.h"
#include "loadgen/latency_histogram.h"
#include "loadgen/traffic/virtual_time.h"
#include "tools/sim/result.h"

namespace sluice {

class TimeRecorder {
 public:
  void Add(Duration time) {
    histogram_.Add(time);
    sum_seconds_ += ToSeconds(time);
  }
  void Add(const TimeRecorder& other) {
    histogram_.Add(other.histogram_);
    sum_seconds_ += other.sum_seconds_;
  }

  // Returns a summary, whose percentiles are at most 1 % above the exact
  // values.
  TimeSummary Summary() const {
    const auto count = histogram_.count();
    return {.count = count,
            .mean = count == 0 ? 0 : sum_seconds_ / static_cast<double>(count),
            .p50 = ToSeconds(histogram_.Percentile(50)),
            .p99 = ToSeconds(histogram_.Percentile(99)),
            .max = ToSeconds(histogram_.max())};
  }

  void Clear() {
    if (histogram_.count() > 0) *this = TimeRecorder();
  }

 private:
  LatencyHistogram histogram_;
  double sum_seconds_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_TIME_RECORDER_H_

// How long submissions spend at each stage of a pool.

#ifndef SLUICE_SERVER_METRICS_STAGE_METRICS_H_
#define SLUICE_SERVER_METRICS_STAGE_METRICS_H_

#include <cstddef>
#include <string>

#include "base/time.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace sluice {

// A histogram with the label `pool`; the registry owns it.
prometheus::Histogram* PoolHistogram(
    const char* name, const char* help, const std::string& pool,
    const prometheus::Histogram::BucketBoundaries& buckets,
    prometheus::Registry* registry);
const prometheus::Histogram::BucketBoundaries& SecondsBuckets();
const prometheus::Histogram::BucketBoundaries& SizeBuckets();

// Thread-safe; one for each pool. The registry owns the metrics and must
// outlive this.
class StageMetrics {
 public:
  StageMetrics(const std::string& pool, prometheus::Registry* registry);

  void ObserveQueueWait(Duration wait);
  // Of one batch: decoding and checking it.
  void ObserveProcessing(Duration time);
  void ObserveCommit(Duration time, std::size_t batch_size);

 private:
  prometheus::Histogram* queue_wait_seconds_;
  prometheus::Histogram* processing_seconds_;
  prometheus::Histogram* store_commit_seconds_;
  prometheus::Histogram* store_batch_size_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_STAGE_METRICS_H_

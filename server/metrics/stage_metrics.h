// Metrics of the time that submissions spend at each stage of a pool.

#ifndef SLUICE_SERVER_METRICS_STAGE_METRICS_H_
#define SLUICE_SERVER_METRICS_STAGE_METRICS_H_

#include <cstddef>
#include <string>

#include "base/time.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace sluice {

// Thread-safe. One object for each pool. The registry owns the metrics and must
// outlive this object.
class StageMetrics {
 public:
  StageMetrics(const std::string& pool, prometheus::Registry* registry);

  void ObserveQueueWait(Duration wait);
  // Records the time of decoding and checking one batch.
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

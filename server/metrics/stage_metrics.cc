#include "server/metrics/stage_metrics.h"

#include "server/metrics/families.h"

namespace sluice {

StageMetrics::StageMetrics(const std::string& pool,
                           prometheus::Registry* registry)
    : queue_wait_seconds_(
          AddHistogram("sluice_queue_wait_seconds",
                       "Time from admission until a worker takes it.",
                       {{"pool", pool}}, SecondsBuckets(), registry)),
      processing_seconds_(AddHistogram(
          "sluice_processing_seconds",
          "Time that a worker spends on a batch before it is stored.",
          {{"pool", pool}}, SecondsBuckets(), registry)),
      store_commit_seconds_(AddHistogram("sluice_store_commit_seconds",
                                         "Time that the store takes for a "
                                         "batch.",
                                         {{"pool", pool}}, SecondsBuckets(),
                                         registry)),
      store_batch_size_(AddHistogram("sluice_store_batch_size",
                                     "Submissions in a batch given to the "
                                     "store.",
                                     {{"pool", pool}}, SizeBuckets(),
                                     registry)) {}

void StageMetrics::ObserveQueueWait(Duration wait) {
  queue_wait_seconds_->Observe(ToSeconds(wait));
}

void StageMetrics::ObserveProcessing(Duration time) {
  processing_seconds_->Observe(ToSeconds(time));
}

void StageMetrics::ObserveCommit(Duration time, std::size_t batch_size) {
  store_commit_seconds_->Observe(ToSeconds(time));
  store_batch_size_->Observe(static_cast<double>(batch_size));
}

}  // namespace sluice

#include "server/metrics/stage_metrics.h"

#include <chrono>

namespace sluice {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets kSeconds = {.0001, .00025, .0005, .001, .0025, .005, .01, .025,
                          .05,   .1,     .25,   .5,   1,     2.5,  5,   10};
const Buckets kSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

prometheus::Histogram* PoolHistogram(const char* name, const char* help,
                                     const std::string& pool,
                                     const Buckets& buckets,
                                     prometheus::Registry* registry) {
  return &prometheus::BuildHistogram()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({{"pool", pool}}, buckets);
}

const Buckets& SecondsBuckets() { return kSeconds; }
const Buckets& SizeBuckets() { return kSizes; }

StageMetrics::StageMetrics(const std::string& pool,
                           prometheus::Registry* registry)
    : queue_wait_seconds_(
          PoolHistogram("sluice_queue_wait_seconds",
                        "Time from admission until a worker takes it.", pool,
                        kSeconds, registry)),
      processing_seconds_(PoolHistogram(
          "sluice_processing_seconds",
          "Time that a worker spends on a batch before it is stored.", pool,
          kSeconds, registry)),
      store_commit_seconds_(PoolHistogram(
          "sluice_store_commit_seconds",
          "Time that the store takes for a batch.", pool, kSeconds, registry)),
      store_batch_size_(
          PoolHistogram("sluice_store_batch_size",
                        "Submissions in a batch given to the store.", pool,
                        kSizes, registry)) {}

void StageMetrics::ObserveQueueWait(Duration wait) {
  queue_wait_seconds_->Observe(Seconds(wait));
}

void StageMetrics::ObserveProcessing(Duration time) {
  processing_seconds_->Observe(Seconds(time));
}

void StageMetrics::ObserveCommit(Duration time, std::size_t batch_size) {
  store_commit_seconds_->Observe(Seconds(time));
  store_batch_size_->Observe(static_cast<double>(batch_size));
}

}  // namespace sluice

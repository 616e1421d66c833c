#include "server/metrics/journal_metrics.h"

#include <chrono>

#include "server/metrics/stage_metrics.h"

namespace sluice {
namespace {

prometheus::Gauge* Gauge(const char* name, const char* help,
                         const std::string& pool,
                         prometheus::Registry* registry) {
  return &prometheus::BuildGauge()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({{"pool", pool}});
}

}  // namespace

JournalMetrics::JournalMetrics(const std::string& pool,
                               prometheus::Registry* registry)
    : depth_(Gauge("sluice_journal_depth",
                   "Acknowledged submissions that the store does not have yet.",
                   pool, registry)),
      quarantined_(Gauge("sluice_quarantined",
                         "Acknowledged submissions that cannot be stored.",
                         pool, registry)),
      commit_seconds_(PoolHistogram("sluice_journal_commit_seconds",
                                    "Time of a commit to the journal.", pool,
                                    SecondsBuckets(), registry)),
      batch_size_(PoolHistogram("sluice_journal_batch_size",
                                "Submissions in a commit to the journal.", pool,
                                SizeBuckets(), registry)) {}

void JournalMetrics::ObserveCommit(Duration time, std::size_t entries) {
  commit_seconds_->Observe(std::chrono::duration<double>(time).count());
  batch_size_->Observe(static_cast<double>(entries));
}

void JournalMetrics::CountAppended(std::size_t entries) {
  depth_->Increment(static_cast<double>(entries));
}

void JournalMetrics::CountForgotten() { depth_->Decrement(); }

void JournalMetrics::SetQuarantined(std::size_t count) {
  quarantined_->Set(static_cast<double>(count));
}

}  // namespace sluice

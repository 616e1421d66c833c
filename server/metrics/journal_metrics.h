// Metrics of a pool's journal.

#ifndef SLUICE_SERVER_METRICS_JOURNAL_METRICS_H_
#define SLUICE_SERVER_METRICS_JOURNAL_METRICS_H_

#include <cstddef>
#include <string>

#include "base/time.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace sluice {

// Thread-safe. One object for each journal. The registry owns the metrics and
// must outlive this object.
class JournalMetrics {
 public:
  JournalMetrics(const std::string& pool, prometheus::Registry* registry);

  void ObserveCommit(Duration time, std::size_t entries);
  // Count entries that are appended to the journal, and entries that are
  // forgotten.
  void CountAppended(std::size_t entries);
  void CountForgotten(std::size_t entries);
  // Sets the number of entries in quarantine, the bytes of their contents, and
  // how many of the entries are damaged.
  void SetQuarantined(std::size_t count, std::size_t bytes,
                      std::size_t damaged);
  // Sets the free bytes of the journal's disk.
  void SetFreeDisk(std::size_t bytes);

 private:
  prometheus::Gauge* depth_;
  prometheus::Gauge* quarantined_;
  prometheus::Gauge* quarantined_bytes_;
  prometheus::Gauge* damaged_;
  prometheus::Gauge* free_disk_;
  prometheus::Histogram* commit_seconds_;
  prometheus::Histogram* batch_size_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_JOURNAL_METRICS_H_

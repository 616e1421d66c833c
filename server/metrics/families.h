// How metric families are made. There are two kinds:
//
//   - Registered metrics count while things happen, and live in a registry:
//     AddCounter, AddGauge, AddHistogram.
//   - Collected families are filled at each scrape, by a
//     prometheus::Collectable, from numbers that are kept elsewhere: Family.
//
// A new group of families is a file of its own beside this one, and a line in
// IngestionServer::StartMetrics. A new family of a pool or a method is a line
// in a table of pool_metrics.cc.

#ifndef SLUICE_SERVER_METRICS_FAMILIES_H_
#define SLUICE_SERVER_METRICS_FAMILIES_H_

#include <string>
#include <utility>
#include <vector>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/labels.h"
#include "prometheus/metric_family.h"
#include "prometheus/metric_type.h"
#include "prometheus/registry.h"

namespace sluice {

// --- Registered metrics ---

// Each adds a metric with these labels to the family called `name`, which is
// made if `registry` does not have it. All metrics of a family must be added
// with the same help text. The registry owns the metric.
prometheus::Counter* AddCounter(const char* name, const char* help,
                                const prometheus::Labels& labels,
                                prometheus::Registry* registry);
prometheus::Gauge* AddGauge(const char* name, const char* help,
                            const prometheus::Labels& labels,
                            prometheus::Registry* registry);
prometheus::Histogram* AddHistogram(
    const char* name, const char* help, const prometheus::Labels& labels,
    const prometheus::Histogram::BucketBoundaries& buckets,
    prometheus::Registry* registry);

// Buckets from 100 µs to 10 s, for times in seconds.
const prometheus::Histogram::BucketBoundaries& SecondsBuckets();
// Buckets from 1 to 1024, for numbers of submissions.
const prometheus::Histogram::BucketBoundaries& SizeBuckets();

// --- Collected families ---

// Names and values, in the order of the text format.
using FamilyLabels = std::vector<std::pair<std::string, std::string>>;

// A family of counters or gauges under construction. Not thread-safe.
class Family {
 public:
  Family(prometheus::MetricType type, std::string name, std::string help);

  template <typename Value>
  void Add(const FamilyLabels& labels, Value value) {
    AddMetric(labels, static_cast<double>(value));
  }

  // Returns the family; this object is empty afterwards.
  prometheus::MetricFamily Take() { return std::move(family_); }

 private:
  void AddMetric(const FamilyLabels& labels, double value);

  prometheus::MetricFamily family_;
};

// Families of one metric without labels.
prometheus::MetricFamily SingleCounter(std::string name, std::string help,
                                       double value);
prometheus::MetricFamily SingleGauge(std::string name, std::string help,
                                     double value);

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_FAMILIES_H_

// Helpers to create metric families. There are two kinds:
//
//   - Registered metrics count while things happen, and live in a registry:
//     AddCounter, AddGauge, AddHistogram.
//   - Collected families are filled at each scrape, by a
//     prometheus::Collectable, from numbers that are kept elsewhere: Family.
//
// To add a group of families, add a file beside this file, and a line in
// IngestionServer::StartMetrics. To add a family of a pool or a method, add a
// line to a table in pool_metrics.cc.

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

// Each function adds a metric with these labels to the family called `name`. If
// `registry` does not have the family, it is created. All metrics of a family
// must be added with the same help text. The registry owns the metric.
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

// Label names and values, in the order of the text format.
using FamilyLabels = std::vector<std::pair<std::string, std::string>>;

// A family of counters or gauges under construction. Not thread-safe.
class Family {
 public:
  Family(prometheus::MetricType type, std::string name, std::string help);

  template <typename Value>
  void Add(const FamilyLabels& labels, Value value) {
    AddMetric(labels, static_cast<double>(value));
  }

  // Moves the family out. This object is empty afterwards.
  prometheus::MetricFamily Take() { return std::move(family_); }

 private:
  void AddMetric(const FamilyLabels& labels, double value);

  prometheus::MetricFamily family_;
};

// Return a family with one metric, without labels.
prometheus::MetricFamily SingleCounter(std::string name, std::string help,
                                       double value);
prometheus::MetricFamily SingleGauge(std::string name, std::string help,
                                     double value);

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_FAMILIES_H_

#include "server/metrics/families.h"

#include "base/check.h"
#include "prometheus/client_metric.h"

namespace sluice {

prometheus::Counter* AddCounter(const char* name, const char* help,
                                const prometheus::Labels& labels,
                                prometheus::Registry* registry) {
  return &prometheus::BuildCounter()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add(labels);
}

prometheus::Gauge* AddGauge(const char* name, const char* help,
                            const prometheus::Labels& labels,
                            prometheus::Registry* registry) {
  return &prometheus::BuildGauge()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add(labels);
}

prometheus::Histogram* AddHistogram(
    const char* name, const char* help, const prometheus::Labels& labels,
    const prometheus::Histogram::BucketBoundaries& buckets,
    prometheus::Registry* registry) {
  return &prometheus::BuildHistogram()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add(labels, buckets);
}

const prometheus::Histogram::BucketBoundaries& SecondsBuckets() {
  static const prometheus::Histogram::BucketBoundaries kSeconds = {
      .0001, .00025, .0005, .001, .0025, .005, .01, .025,
      .05,   .1,     .25,   .5,   1,     2.5,  5,   10};
  return kSeconds;
}

const prometheus::Histogram::BucketBoundaries& SizeBuckets() {
  static const prometheus::Histogram::BucketBoundaries kSizes = {
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  return kSizes;
}

Family::Family(prometheus::MetricType type, std::string name,
               std::string help) {
  SLUICE_DCHECK(type == prometheus::MetricType::Counter ||
                type == prometheus::MetricType::Gauge);
  family_.type = type;
  family_.name = std::move(name);
  family_.help = std::move(help);
}

void Family::AddMetric(const FamilyLabels& labels, double value) {
  prometheus::ClientMetric metric;
  for (const auto& [name, text] : labels) {
    prometheus::ClientMetric::Label label;
    label.name = name;
    label.value = text;
    metric.label.push_back(std::move(label));
  }
  if (family_.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family_.metric.push_back(std::move(metric));
}

prometheus::MetricFamily SingleCounter(std::string name, std::string help,
                                       double value) {
  Family family(prometheus::MetricType::Counter, std::move(name),
                std::move(help));
  family.Add({}, value);
  return family.Take();
}

prometheus::MetricFamily SingleGauge(std::string name, std::string help,
                                     double value) {
  Family family(prometheus::MetricType::Gauge, std::move(name),
                std::move(help));
  family.Add({}, value);
  return family.Take();
}

}  // namespace sluice

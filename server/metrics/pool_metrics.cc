#include "server/metrics/pool_metrics.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"

namespace sluice {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

// A family that grows by a metric at a time.
class Family {
 public:
  Family(prometheus::MetricType type, std::string name, std::string help) {
    family_.type = type;
    family_.name = std::move(name);
    family_.help = std::move(help);
  }

  template <typename Value>
  void Add(const Labels& labels, Value value) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) {
      prometheus::ClientMetric::Label label;
      label.name = name;
      label.value = text;
      metric.label.push_back(std::move(label));
    }
    if (family_.type == prometheus::MetricType::Counter) {
      metric.counter.value = static_cast<double>(value);
    } else {
      metric.gauge.value = static_cast<double>(value);
    }
    family_.metric.push_back(std::move(metric));
  }

  prometheus::MetricFamily Take() { return std::move(family_); }

 private:
  prometheus::MetricFamily family_;
};

Family Counter(std::string name, std::string help) {
  return {prometheus::MetricType::Counter, std::move(name), std::move(help)};
}

Family Gauge(std::string name, std::string help) {
  return {prometheus::MetricType::Gauge, std::move(name), std::move(help)};
}

struct PoolFamilies {
  Family depth = Gauge("sluice_queue_depth", "Submissions in the queue.");
  Family capacity =
      Gauge("sluice_queue_capacity", "The most submissions in the queue.");
  Family bytes = Gauge("sluice_queue_bytes",
                       "Bytes of the submissions in the queue or in work.");
  Family capacity_bytes =
      Gauge("sluice_queue_capacity_bytes",
            "The most bytes of submissions in the queue or in work.");
  Family waiting =
      Gauge("sluice_waiting", "Arrivals parked until there is room.");
  Family lanes =
      Gauge("sluice_lanes",
            "Senders of whom something is queued or waits; at most 1 where "
            "the pool is not shared fairly.");
  Family in_work = Gauge("sluice_in_work", "Submissions that workers have.");
  Family workers = Gauge("sluice_workers", "Worker threads by state.");
  Family workers_limit =
      Gauge("sluice_workers_limit", "The fewest and the most worker threads.");
  Family hangs =
      Counter("sluice_worker_hangs_total",
              "Times that a worker had a batch for longer than task_timeout.");
  Family circuit =
      Gauge("sluice_store_circuit_open",
            "1 while the store fails repeatedly and is tried now and then.");
  Family retries = Counter("sluice_retries_total",
                           "Times that a submission was to be worked again.");

  void Add(const std::string& pool, const PoolSnapshot& snapshot) {
    const Labels labels = {{"pool", pool}};
    depth.Add(labels, snapshot.view.depth);
    capacity.Add(labels, snapshot.view.capacity);
    bytes.Add(labels, snapshot.view.held_bytes);
    capacity_bytes.Add(labels, snapshot.view.capacity_bytes);
    waiting.Add(labels, snapshot.view.waiting);
    lanes.Add(labels, snapshot.lanes);
    in_work.Add(labels, snapshot.in_work);
    workers.Add({{"pool", pool}, {"state", "busy"}}, snapshot.workers_busy);
    workers.Add({{"pool", pool}, {"state", "idle"}}, snapshot.workers_idle);
    workers.Add({{"pool", pool}, {"state", "hung"}}, snapshot.workers_hung);
    workers_limit.Add({{"pool", pool}, {"bound", "min"}}, snapshot.workers.min);
    workers_limit.Add({{"pool", pool}, {"bound", "max"}}, snapshot.workers.max);
    hangs.Add(labels, snapshot.hangs);
    circuit.Add(labels, snapshot.circuit_open ? 1 : 0);
    retries.Add(labels, snapshot.retries);
  }

  std::vector<prometheus::MetricFamily> Take() {
    return {depth.Take(),          capacity.Take(), bytes.Take(),
            capacity_bytes.Take(), waiting.Take(),  lanes.Take(),
            in_work.Take(),        workers.Take(),  workers_limit.Take(),
            hangs.Take(),          circuit.Take(),  retries.Take()};
  }
};

struct MethodFamilies {
  Family received =
      Counter("sluice_received_total", "Submissions that arrived.");
  Family admitted =
      Counter("sluice_admitted_total", "Submissions let into the queue.");
  Family rejections = Counter("sluice_rejections_total",
                              "Submissions refused, by policy and reason.");
  Family dropped = Counter("sluice_dropped_total",
                           "Submissions answered DROPPED and not kept.");
  Family abandoned =
      Counter("sluice_abandoned_total",
              "Submissions whose caller left before they were admitted.");
  Family invalid = Counter("sluice_invalid_total",
                           "Submissions that are not fit to be let in.");
  Family completed = Counter("sluice_completed_total",
                             "Admitted submissions that ended, by outcome.");
  Family shadow =
      Counter("sluice_shadow_total",
              "Submissions that found no room, by what a policy would have "
              "done with them that is only asked.");

  void Add(Method method, const MethodCounters& counters,
           const RefusalsByPolicy& refusals, const ShadowByPolicy& shadows) {
    const std::string name(MethodName(method));
    const Labels labels = {{"method", name}};
    received.Add(labels, counters.received);
    admitted.Add(labels, counters.admitted);
    dropped.Add(labels, counters.not_admitted[TaskResult::kDropped]);
    invalid.Add(labels, counters.not_admitted[TaskResult::kInvalid]);
    abandoned.Add({{"method", name}, {"reason", "cancelled"}},
                  counters.not_admitted[TaskResult::kCancelled]);
    abandoned.Add({{"method", name}, {"reason", "deadline"}},
                  counters.not_admitted[TaskResult::kDeadline]);
    for (const auto& [policy, counts] :
         refusals.At(counters.not_admitted.counts)) {
      AddRejections(name, policy, counts);
    }
    for (const auto& [policy, counts] : shadows.At(counters.shadow)) {
      if (!policy.empty()) AddShadow(name, policy, counts);
    }
    for (const TaskResult result : kOutcomes) {
      completed.Add(
          {{"method", name}, {"outcome", std::string(OutcomeName(result))}},
          counters.completed[result]);
    }
  }

  void AddRejections(const std::string& method, const std::string& policy,
                     const RefusalsByPolicy::Counts& counts) {
    for (const TaskResult result : kRefusals) {
      const auto reason = RefusalReasonName(result);
      rejections.Add({{"method", method},
                      {"policy", policy},
                      {"reason", absl::AsciiStrToLower(std::string(reason))}},
                     counts[Index(result)]);
    }
  }

  void AddShadow(const std::string& method, const std::string& policy,
                 const ShadowByPolicy::Counts& counts) {
    for (std::size_t i = 0; i < kVerdictKinds; ++i) {
      const auto verdict = VerdictName(static_cast<Verdict::Kind>(i));
      shadow.Add({{"method", method},
                  {"policy", policy},
                  {"verdict", std::string(verdict)}},
                 counts[i]);
    }
  }

  std::vector<prometheus::MetricFamily> Take() {
    return {received.Take(),  admitted.Take(),  rejections.Take(),
            dropped.Take(),   abandoned.Take(), invalid.Take(),
            completed.Take(), shadow.Take()};
  }
};

}  // namespace

std::string_view VerdictName(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kPark:
      return "park";
    case Verdict::Kind::kRefuse:
      return "refuse";
    case Verdict::Kind::kDrop:
      return "drop";
    case Verdict::Kind::kEvictOldest:
      return "evict";
  }
  return "";
}

PoolMetrics::PoolMetrics(std::vector<const WorkerPool*> pools,
                         std::vector<CountedMethod> methods)
    : pools_(std::move(pools)), methods_(std::move(methods)) {
  for (const CountedMethod& method : methods_) {
    refusals_.emplace(method.method, RefusalsByPolicy(method.policy));
    shadows_.emplace(method.method, ShadowByPolicy(method.shadow));
  }
}

void PoolMetrics::SetPolicy(Method method, const std::string& policy) {
  absl::MutexLock lock(&mutex_);
  refusals_.at(method).Change(CountersOf(method).not_admitted.counts, policy);
}

void PoolMetrics::SetShadow(Method method, const std::string& policy) {
  absl::MutexLock lock(&mutex_);
  shadows_.at(method).Change(CountersOf(method).shadow, policy);
}

MethodCounters PoolMetrics::CountersOf(Method method) const {
  const auto counted =
      std::ranges::find(methods_, method, &CountedMethod::method);
  return counted->pool->Snapshot().counters[Index(method)];
}

std::vector<prometheus::MetricFamily> PoolMetrics::Collect() const {
  absl::MutexLock lock(&mutex_);
  std::map<const WorkerPool*, PoolSnapshot> snapshots;
  PoolFamilies by_pool;
  for (const WorkerPool* pool : pools_) {
    by_pool.Add(pool->name(),
                snapshots.emplace(pool, pool->Snapshot()).first->second);
  }
  MethodFamilies by_method;
  for (const CountedMethod& method : methods_) {
    by_method.Add(method.method,
                  snapshots.at(method.pool).counters[Index(method.method)],
                  refusals_.at(method.method), shadows_.at(method.method));
  }
  std::vector<prometheus::MetricFamily> families = by_pool.Take();
  for (prometheus::MetricFamily& family : by_method.Take()) {
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace sluice

#include "server/metrics/pool_metrics.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/check.h"
#include "server/metrics/families.h"

namespace sluice {
namespace {

using prometheus::MetricType;

// Data from which the families of a pool are filled.
struct PoolSample {
  const std::string& pool;
  const PoolSnapshot& snapshot;
};

// Data from which the families of a method are filled.
struct MethodSample {
  std::string method;
  const MethodCounters& counters;
  std::map<std::string, RefusalsByPolicy::Counts> refusals;
  std::map<std::string, ShadowByPolicy::Counts> shadows;
};

// A row of the tables below: a family, and the function that adds a sample to
// it.
template <typename Sample>
struct FamilyKind {
  MetricType type;
  const char* name;
  const char* help;
  void (*add)(const Sample& sample, Family& family);
};

using PoolFamily = FamilyKind<PoolSample>;
using MethodFamily = FamilyKind<MethodSample>;

// Adds the value of one member of the pool's snapshot.
template <typename Value, Value PoolSnapshot::*kValue>
void AddOf(const PoolSample& sample, Family& family) {
  family.Add({{"pool", sample.pool}}, sample.snapshot.*kValue);
}

template <std::size_t PoolView::*kValue>
void AddOfView(const PoolSample& sample, Family& family) {
  family.Add({{"pool", sample.pool}}, sample.snapshot.view.*kValue);
}

// Leaves out unread entries, which are not admitted yet. Otherwise the counters
// would not balance.
void AddDepth(const PoolSample& sample, Family& family) {
  family.Add({{"pool", sample.pool}},
             sample.snapshot.view.depth - sample.snapshot.unread);
}

void AddWorkers(const PoolSample& sample, Family& family) {
  const auto add = [&](const char* state, std::size_t workers) {
    family.Add({{"pool", sample.pool}, {"state", state}}, workers);
  };
  add("busy", sample.snapshot.workers_busy);
  add("idle", sample.snapshot.workers_idle);
  add("hung", sample.snapshot.workers_hung);
}

void AddWorkerLimits(const PoolSample& sample, Family& family) {
  const WorkerRange& range = sample.snapshot.workers;
  family.Add({{"pool", sample.pool}, {"bound", "min"}}, range.min);
  family.Add({{"pool", sample.pool}, {"bound", "max"}}, range.max);
}

void AddCircuit(const PoolSample& sample, Family& family) {
  family.Add({{"pool", sample.pool}}, sample.snapshot.circuit_open ? 1 : 0);
}

constexpr PoolFamily kPoolFamilies[] = {
    {MetricType::Gauge, "sluice_queue_depth", "Submissions in the queue.",
     AddDepth},
    {MetricType::Gauge, "sluice_queue_capacity",
     "Maximum number of submissions in the queue.",
     AddOfView<&PoolView::capacity>},
    {MetricType::Gauge, "sluice_queue_bytes",
     "Bytes of the submissions in the queue or in work.",
     AddOfView<&PoolView::held_bytes>},
    {MetricType::Gauge, "sluice_queue_capacity_bytes",
     "Maximum number of bytes of submissions in the queue or in work.",
     AddOfView<&PoolView::capacity_bytes>},
    {MetricType::Gauge, "sluice_waiting",
     "Submissions parked in the waiting room.", AddOfView<&PoolView::waiting>},
    {MetricType::Gauge, "sluice_lanes",
     "Lanes with a queued or parked submission; at most 1 if the pool is not "
     "shared fairly.",
     AddOf<std::size_t, &PoolSnapshot::lanes>},
    {MetricType::Gauge, "sluice_in_work",
     "Submissions that workers are processing.",
     AddOf<std::size_t, &PoolSnapshot::in_work>},
    {MetricType::Gauge, "sluice_workers", "Worker threads by state.",
     AddWorkers},
    {MetricType::Gauge, "sluice_workers_limit",
     "Minimum and maximum number of worker threads.", AddWorkerLimits},
    {MetricType::Counter, "sluice_worker_hangs_total",
     "Number of times that a worker had a batch for longer than "
     "task_timeout.",
     AddOf<std::uint64_t, &PoolSnapshot::hangs>},
    {MetricType::Gauge, "sluice_store_circuit_open",
     "1 while the store fails repeatedly and only probes are sent to it.",
     AddCircuit},
    {MetricType::Counter, "sluice_retries_total",
     "Number of times that an acknowledged submission was queued again "
     "because the store was unavailable.",
     AddOf<std::uint64_t, &PoolSnapshot::retries>},
};

// Adds the value of one counter of the method.
template <std::uint64_t MethodCounters::*kValue>
void AddOf(const MethodSample& sample, Family& family) {
  family.Add({{"method", sample.method}}, sample.counters.*kValue);
}

// Adds the number of arrivals of each method that ended with this result before
// admission.
template <TaskResult kResult>
void AddNotAdmitted(const MethodSample& sample, Family& family) {
  family.Add({{"method", sample.method}},
             sample.counters.not_admitted[kResult]);
}

void AddRejections(const MethodSample& sample, Family& family) {
  for (const auto& [policy, counts] : sample.refusals) {
    for (const TaskResult result : kRefusals) {
      const auto reason = RefusalReasonName(result);
      family.Add({{"method", sample.method},
                  {"policy", policy},
                  {"reason", absl::AsciiStrToLower(std::string(reason))}},
                 counts[Index(result)]);
    }
  }
}

void AddAbandoned(const MethodSample& sample, Family& family) {
  const auto add = [&](const char* reason, TaskResult result) {
    family.Add({{"method", sample.method}, {"reason", reason}},
               sample.counters.not_admitted[result]);
  };
  add("cancelled", TaskResult::kCancelled);
  add("deadline", TaskResult::kDeadline);
}

void AddCompleted(const MethodSample& sample, Family& family) {
  for (const TaskResult result : kOutcomes) {
    const std::string outcome(OutcomeName(result));
    family.Add({{"method", sample.method}, {"outcome", outcome}},
               sample.counters.completed[result]);
  }
}

void AddShadow(const MethodSample& sample, Family& family) {
  for (const auto& [policy, counts] : sample.shadows) {
    if (policy.empty()) continue;  // no shadow policy at that time
    for (std::size_t i = 0; i < kVerdictKinds; ++i) {
      const std::string verdict(VerdictName(static_cast<Verdict::Kind>(i)));
      family.Add(
          {{"method", sample.method}, {"policy", policy}, {"verdict", verdict}},
          counts[i]);
    }
  }
}

constexpr MethodFamily kMethodFamilies[] = {
    {MetricType::Counter, "sluice_received_total", "Submissions that arrived.",
     AddOf<&MethodCounters::received>},
    {MetricType::Counter, "sluice_admitted_total",
     "Submissions admitted to the queue, or answered as duplicates without "
     "being queued.",
     AddOf<&MethodCounters::admitted>},
    {MetricType::Counter, "sluice_rejections_total",
     "Submissions refused, by policy and reason.", AddRejections},
    {MetricType::Counter, "sluice_dropped_total",
     "Submissions answered DROPPED and not kept.",
     AddNotAdmitted<TaskResult::kDropped>},
    {MetricType::Counter, "sluice_abandoned_total",
     "Submissions whose caller cancelled, or whose deadline passed, before "
     "they were admitted.",
     AddAbandoned},
    {MetricType::Counter, "sluice_invalid_total",
     "Submissions that are not valid and were not offered to the queue.",
     AddNotAdmitted<TaskResult::kInvalid>},
    {MetricType::Counter, "sluice_completed_total",
     "Admitted submissions that ended, by outcome.", AddCompleted},
    {MetricType::Counter, "sluice_shadow_total",
     "Submissions that found no room, by the verdict of the shadow policy.",
     AddShadow},
};

// Creates all families of a table from all samples.
template <typename Sample, std::size_t kCount>
void AddFamilies(const FamilyKind<Sample> (&table)[kCount],
                 const std::vector<Sample>& samples,
                 std::vector<prometheus::MetricFamily>* families) {
  for (const FamilyKind<Sample>& kind : table) {
    Family family(kind.type, kind.name, kind.help);
    for (const Sample& sample : samples) kind.add(sample, family);
    families->push_back(family.Take());
  }
}

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
  SLUICE_DCHECK(counted != methods_.end());
  return counted->pool->Snapshot().counters[Index(method)];
}

std::vector<prometheus::MetricFamily> PoolMetrics::Collect() const {
  absl::MutexLock lock(&mutex_);
  std::map<const WorkerPool*, PoolSnapshot> snapshots;
  std::vector<PoolSample> pools;
  for (const WorkerPool* pool : pools_) {
    const PoolSnapshot& snapshot =
        snapshots.emplace(pool, pool->Snapshot()).first->second;
    pools.push_back({pool->name(), snapshot});
  }
  std::vector<MethodSample> methods;
  for (const CountedMethod& method : methods_) {
    const MethodCounters& counters =
        snapshots.at(method.pool).counters[Index(method.method)];
    methods.push_back(
        {.method = std::string(MethodName(method.method)),
         .counters = counters,
         .refusals =
             refusals_.at(method.method).At(counters.not_admitted.counts),
         .shadows = shadows_.at(method.method).At(counters.shadow)});
  }
  std::vector<prometheus::MetricFamily> families;
  AddFamilies(kPoolFamilies, pools, &families);
  AddFamilies(kMethodFamilies, methods, &families);
  return families;
}

}  // namespace sluice

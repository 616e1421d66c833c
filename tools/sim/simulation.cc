#include "tools/sim/simulation.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "loadgen/traffic/arrival_stream.h"
#include "loadgen/traffic/random.h"
#include "loadgen/traffic/virtual_time.h"
#include "loadgen/traffic/windows.h"
#include "policies/registry.h"
#include "stores/kinds/discard_kind.h"
#include "tools/sim/caller.h"
#include "tools/sim/pool_model.h"
#include "tools/sim/time_recorder.h"

namespace sluice {
namespace {

constexpr std::size_t kCallersMax = 5'000'000;

// A method with its configuration and the results of its callers.
struct MethodModel {
  std::unique_ptr<const AdmissionPolicy> policy;
  PoolModel* pool = nullptr;
  bool promised = false;
  bool droppable = false;
  Priority priority = Priority::kNormal;
  FairBy fair_by = FairBy::kNone;
};

// Results of the callers of a source or method.
struct CallersRecord {
  SubmissionCounts counts;
  TimeRecorder answers;
  TimeRecorder refusals;
  TimeRecorder endings;
  TimeRecorder waits;

  void Add(const CallersRecord& other) {
    counts += other.counts;
    answers.Add(other.answers);
    refusals.Add(other.refusals);
    endings.Add(other.endings);
    waits.Add(other.waits);
  }
};

struct SourceModel {
  const TrafficSource* source = nullptr;
  ArrivalStream arrivals;
  Duration deadline{};  // 0 if there is no deadline
  CallerList awaiting;  // used only with a deadline
  CallersRecord record;
};

// Returns a task's lane. Studies and sites belong to one source only.
std::uint64_t LaneOf(FairBy fair_by, std::size_t source_index,
                     const TrafficSource& source, std::size_t site) {
  const std::uint64_t first = std::uint64_t{source_index + 1} << 32U;
  switch (fair_by) {
    case FairBy::kNone:
      return 0;
    case FairBy::kStudy:
      return first + source.StudyOf(site);
    case FairBy::kSite:
      return first + site;
  }
  return 0;
}

// A refused caller that will retry.
struct Return {
  TimePoint at;
  std::uint64_t order;
  Caller* caller;
  bool operator>(const Return& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

class Simulation final : public CallerOwner {
 public:
  Simulation(const Config& config, const Traffic& traffic);

  absl::Status Run(const SimulationProgress& progress);
  SimulationResult Result() const;

  void OnQueued(Caller* caller) override;
  void OnStarted(Caller* caller) override;
  void OnEnded(Caller* caller, TaskResult result, Duration retry) override;
  void OnProcessed(Caller* caller) override;

 private:
  void BindMethods(const Config& config);
  Duration ServiceTimeOf(std::size_t batch, TimePoint now);
  MethodModel& MethodOf(const Caller& caller) {
    return methods_[caller.method];
  }
  CallersRecord& RecordOf(const Caller& caller) {
    return sources_[caller.source].record;
  }

  // Runs the next event if it is not after `end`. Returns false if there is
  // none.
  bool Step(TimePoint end);
  void ArriveNew(std::size_t source);
  void Attempt(Caller* caller);
  // Answers OK to the caller.
  void Answer(Caller* caller);
  // Refuses the caller, which retries if it may.
  void Refuse(Caller* caller, Duration retry);
  // Ends the wait of a caller whose deadline has passed.
  void PassDeadline(Caller* caller);
  // Ends the attempt for its caller.
  void EndAttempt(Caller* caller);
  void SetCapacity(PoolResult* pool) const;
  // Counts the final result of a caller that makes no further attempt.
  void Count(Caller* caller, std::uint64_t SubmissionCounts::*end);
  CallersResult ResultOf(Method method, const CallersRecord& record) const;

  const Traffic& traffic_;
  const Windows windows_;
  SimRandom random_;
  std::atomic<std::int64_t> sequence_ = 0;
  std::map<std::string, PoolModel> pools_;
  std::array<MethodModel, kMethods> methods_;
  std::vector<SourceModel> sources_;
  std::priority_queue<Return, std::vector<Return>, std::greater<>> returns_;
  std::uint64_t returned_ = 0;
  CallerPool callers_;
  TimePoint now_{};
  std::uint64_t events_ = 0;
};

Simulation::Simulation(const Config& config, const Traffic& traffic)
    : traffic_(traffic),
      windows_(Windows::For(ToMonotonic(traffic.duration))),
      random_(traffic.seed) {
  BindMethods(config);
  sources_.reserve(traffic.sources.size());
  for (const TrafficSource& source : traffic.sources) {
    // Each source has its own seed, so that a change of one source does not
    // affect the arrivals of other sources.
    const std::uint64_t seed =
        traffic.seed + 0x9E3779B97F4A7C15U * (sources_.size() + 1);
    sources_.push_back({.source = &source,
                        .arrivals = ArrivalStream(source, seed),
                        .deadline = source.deadline == absl::InfiniteDuration()
                                        ? Duration{}
                                        : ToMonotonic(source.deadline),
                        .awaiting = {},
                        .record = {}});
  }
}

// Pools without a source are not simulated.
void Simulation::BindMethods(const Config& config) {
  const auto service_time = [this](std::size_t batch, TimePoint now) {
    return ServiceTimeOf(batch, now);
  };
  for (const TrafficSource& source : traffic_.sources) {
    const MethodConfig& method = config.method(source.method);
    MethodModel& model = methods_[Index(source.method)];
    if (model.pool != nullptr) continue;
    const PolicyKind& policy = *FindPolicyKind(method.on_full);
    model.policy = policy.make({.max_wait = ToMonotonic(method.max_wait)});
    model.droppable = policy.evicts;
    model.pool = &pools_
                      .try_emplace(method.pool, method.pool, config, windows_,
                                   service_time, &sequence_)
                      .first->second;
    model.promised = method.ack == Ack::kQueued;
    model.priority = method.priority;
    model.fair_by = config.pools.at(method.pool).fair_by;
  }
}

Duration Simulation::ServiceTimeOf(std::size_t batch, TimePoint now) {
  const StoreModel& store = traffic_.store;
  const absl::Duration mean =
      store.MeanTime(batch) *
      store.FactorAt(absl::FromChrono(now.time_since_epoch()));
  return ToMonotonic(Jittered(mean, store.jitter, random_.Uniform()));
}

absl::Status Simulation::Run(const SimulationProgress& progress) {
  constexpr std::uint64_t kEventsPerProgress = 1 << 16;
  const TimePoint end{ToMonotonic(traffic_.duration)};
  while (Step(end)) {
    if (callers_.in_use() > kCallersMax) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "more than ", kCallersMax,
          " callers are there at once: give them a deadline, or smaller "
          "numbers"));
    }
    if (++events_ % kEventsPerProgress == 0 && progress) {
      progress(ToSeconds(now_) / ToSeconds(end));
    }
  }
  for (auto& [name, pool] : pools_) pool.Finish(end);
  return absl::OkStatus();
}

// At equal times, ends of batches and expired waits come first, then deadlines,
// then retries, then new arrivals.
bool Simulation::Step(TimePoint end) {
  PoolModel* pool = nullptr;
  Caller* leaving = nullptr;
  const Return* returning = nullptr;
  std::size_t arriving = sources_.size();
  now_ = kForever;
  for (auto& [name, candidate] : pools_) {
    if (candidate.next() < now_) {
      now_ = candidate.next();
      pool = &candidate;
    }
  }
  for (const SourceModel& source : sources_) {
    Caller* const first = source.awaiting.front();
    if (first != nullptr && first->deadline < now_) {
      now_ = first->deadline;
      leaving = first;
    }
  }
  if (!returns_.empty() && returns_.top().at < now_) {
    now_ = returns_.top().at;
    returning = &returns_.top();
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].arrivals.next() < now_) {
      now_ = sources_[i].arrivals.next();
      arriving = i;
    }
  }
  if (now_ >= end) return false;
  if (arriving < sources_.size()) {
    ArriveNew(arriving);
  } else if (returning != nullptr) {
    Caller* const caller = returning->caller;
    returns_.pop();
    --RecordOf(*caller).counts.returning;
    Attempt(caller);
  } else if (leaving != nullptr) {
    PassDeadline(leaving);
  } else {
    pool->Advance(now_);
  }
  return true;
}

void Simulation::ArriveNew(std::size_t source) {
  const std::size_t site = sources_[source].arrivals.site();
  sources_[source].arrivals.Advance();
  Caller* const caller = callers_.Get();
  const TrafficSource& described = *sources_[source].source;
  caller->owner = this;
  caller->listener = caller;
  caller->source = source;
  caller->attempts = 0;
  caller->method = Index(described.method);
  caller->bytes = described.bytes;
  const MethodModel& method = MethodOf(*caller);
  caller->promised = method.promised;
  caller->droppable = method.droppable;
  caller->priority = method.priority;
  caller->lane = LaneOf(method.fair_by, source, described, site);
  ++RecordOf(*caller).counts.submissions;
  Attempt(caller);
}

void Simulation::Attempt(Caller* caller) {
  SourceModel& source = sources_[caller->source];
  MethodModel& method = MethodOf(*caller);
  ++caller->attempts;
  ++source.record.counts.attempts;
  caller->arrived_at = now_;
  caller->answered = false;
  caller->sequence = 0;
  caller->deadline = kForever;
  if (source.deadline > Duration{}) {
    caller->deadline = now_ + source.deadline;
    source.awaiting.PushBack(caller);
  }
  const Admission admission = method.pool->Arrive(caller, *method.policy, now_);
  switch (admission.kind) {
    case Admission::Kind::kAdmitted:
      if (caller->promised) Answer(caller);
      break;
    case Admission::Kind::kParked:
      break;
    case Admission::Kind::kEnded:
      OnEnded(caller, admission.result, admission.retry_delay);
      break;
  }
}

void Simulation::EndAttempt(Caller* caller) {
  sources_[caller->source].awaiting.Remove(caller);
  RecordOf(*caller).endings.Add(now_ - caller->arrived_at);
}

void Simulation::Answer(Caller* caller) {
  CallersRecord& record = RecordOf(*caller);
  const Duration time = now_ - caller->arrived_at;
  EndAttempt(caller);
  caller->answered = true;
  ++record.counts.answered;
  record.answers.Add(time);
  MethodOf(*caller).pool->recorder().RecordAnswer(time);
}

void Simulation::Refuse(Caller* caller, Duration retry) {
  EndAttempt(caller);
  CallersRecord& record = RecordOf(*caller);
  ++record.counts.refusals;
  record.refusals.Add(now_ - caller->arrived_at);
  if (caller->attempts >= sources_[caller->source].source->attempts) {
    return Count(caller, &SubmissionCounts::refused);
  }
  returns_.push({now_ + retry, returned_++, caller});
  ++record.counts.returning;
}

void Simulation::Count(Caller* caller, std::uint64_t SubmissionCounts::*end) {
  ++(RecordOf(*caller).counts.*end);
  callers_.Return(caller);
}

void Simulation::PassDeadline(Caller* caller) {
  EndAttempt(caller);
  if (MethodOf(*caller).pool->Leave(caller, now_)) {
    return Count(caller, &SubmissionCounts::left);
  }
  caller->answered = true;  // nobody waits for the worker's result
}

void Simulation::OnQueued(Caller* caller) {
  if (caller->promised) Answer(caller);
}

void Simulation::OnStarted(Caller* caller) {
  RecordOf(*caller).waits.Add(now_ - caller->arrived_at);
}

void Simulation::OnEnded(Caller* caller, TaskResult result, Duration retry) {
  if (caller->answered) return callers_.Return(caller);
  if (result == TaskResult::kDeadline) {
    EndAttempt(caller);
    return Count(caller, &SubmissionCounts::left);
  }
  if (result == TaskResult::kDropped) {
    EndAttempt(caller);
    return Count(caller, &SubmissionCounts::dropped);
  }
  Refuse(caller, retry);
}

void Simulation::OnProcessed(Caller* caller) {
  if (!caller->answered) {
    Answer(caller);
  } else if (!caller->promised) {
    ++RecordOf(*caller).counts.late;
    MethodOf(*caller).pool->recorder().CountLate();
  }
  callers_.Return(caller);
}

void Simulation::SetCapacity(PoolResult* pool) const {
  const std::size_t batch = pool->config.batch_max;
  const double seconds = absl::ToDoubleSeconds(traffic_.store.MeanTime(batch));
  const double capacity = seconds > 0 ? static_cast<double>(pool->workers) *
                                            static_cast<double>(batch) / seconds
                                      : std::numeric_limits<double>::infinity();
  pool->total.capacity_per_second = capacity;
  const absl::Duration length = absl::FromChrono(windows_.length);
  absl::Duration middle = length / 2;
  for (PoolWindow& window : pool->windows) {
    window.capacity_per_second = capacity / traffic_.store.FactorAt(middle);
    middle += length;
  }
}

CallersResult Simulation::ResultOf(Method method,
                                   const CallersRecord& record) const {
  CallersResult result;
  static_cast<SubmissionCounts&>(result) = record.counts;
  result.method = method;
  result.pool = methods_[Index(method)].pool->name();
  result.answer = record.answers.Summary();
  result.refusal = record.refusals.Summary();
  result.ending = record.endings.Summary();
  result.wait = record.waits.Summary();
  return result;
}

SimulationResult Simulation::Result() const {
  SimulationResult result = {
      .window_seconds = ToSeconds(windows_.length),
      .seconds = absl::ToDoubleSeconds(traffic_.duration),
      .start_seconds = absl::ToDoubleSeconds(traffic_.start),
      .seed = traffic_.seed,
      .pools = {},
      .sources = {},
      .methods = {},
      .events = events_};
  for (const auto& [name, pool] : pools_) {
    result.pools.push_back(pool.Result());
    SetCapacity(&result.pools.back());
  }
  std::map<Method, CallersRecord> records;
  for (const SourceModel& source : sources_) {
    const Method method = source.source->method;
    records[method].Add(source.record);
    result.sources.push_back(
        {ResultOf(method, source.record), source.source->name});
  }
  for (const auto& [method, record] : records) {
    const MethodModel& model = methods_[Index(method)];
    result.methods.push_back({ResultOf(method, record), model.promised,
                              model.pool->counters(Index(method))});
  }
  return result;
}

}  // namespace

absl::StatusOr<SimulationResult> Simulate(const Config& config,
                                          const Traffic& traffic,
                                          const SimulationProgress& progress) {
  Simulation simulation(config, traffic);
  const absl::Status status = simulation.Run(progress);
  if (!status.ok()) return status;
  return simulation.Result();
}

}  // namespace sluice

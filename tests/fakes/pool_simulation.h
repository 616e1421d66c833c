// A Gate, workers of known speed and callers with a deadline, on virtual time:
// what overload does to a pool, told in milliseconds of real time.

#ifndef SLUICE_TESTS_FAKES_POOL_SIMULATION_H_
#define SLUICE_TESTS_FAKES_POOL_SIMULATION_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "policies/admission_policy.h"
#include "policies/registry.h"
#include "pool/gate.h"
#include "stores/discard_store.h"

namespace sluice {

// By its name in the configuration; the longest wait is 250 ms.
inline std::unique_ptr<const AdmissionPolicy> MakePolicy(
    const std::string& name) {
  const PolicyKind* kind = FindPolicyKind(name);
  return kind->make({.max_wait = kind->takes_max_wait
                                     ? std::chrono::milliseconds(250)
                                     : Duration::zero()});
}

// How service times are distributed: one way stands for all under a sanitizer,
// where a step costs ten times as much and the steps are the same.
inline std::vector<Jitter> SimulatedJitters() {
#ifdef SLUICE_SANITIZED
  return {Jitter::kExponential};
#else
  return {Jitter::kConstant, Jitter::kExponential, Jitter::kPareto};
#endif
}

// For the names of tests.
inline const char* NameOf(Jitter jitter) {
  switch (jitter) {
    case Jitter::kConstant:
      return "Constant";
    case Jitter::kExponential:
      return "Exponential";
    case Jitter::kPareto:
      return "Pareto";
  }
  return "";
}

// What arrives, open-loop: callers come whatever became of those before.
struct SimulatedLoad {
  double per_second = 0;
  Duration deadline = std::chrono::milliseconds(250);
  const AdmissionPolicy* policy = nullptr;
  std::uint64_t lane = 0;
  Priority priority = Priority::kNormal;
};

// Calls a second that a pool bears as it is below.
inline constexpr double kBorne = 800;

struct SimulatedPool {
  GateLimits limits{};
  std::size_t workers = 4;
  std::size_t batch_max = 1;
  Duration service = std::chrono::milliseconds(5);  // the mean, of a batch
  Jitter jitter = Jitter::kConstant;
};

// What became of the arrivals of a phase.
struct SimulatedCounts {
  std::size_t arrived = 0;
  std::size_t in_time = 0;      // done before the deadline
  std::size_t late = 0;         // done after it
  std::size_t refused = 0;      // told so before the deadline
  std::size_t gone = 0;         // the deadline came first
  Duration longest_refusal{};   // from arrival until it was told
  std::vector<Duration> waits;  // from arrival until it was taken

  // Of those who were taken.
  Duration WaitPercentile(double percent) const {
    std::vector<Duration> sorted = waits;
    const auto nth = static_cast<std::ptrdiff_t>(
        percent / 100 * static_cast<double>(sorted.size() - 1));
    std::ranges::nth_element(sorted, sorted.begin() + nth);
    return sorted[static_cast<std::size_t>(nth)];
  }
};

class PoolSimulation {
 public:
  PoolSimulation(const SimulatedPool& pool, std::uint32_t seed)
      : pool_(pool),
        random_(seed),
        gate_(pool.limits, 1, &sequence_, seed),
        free_workers_(pool.workers) {}

  // Offers the load for so long, and returns what became of those who came in
  // it by its end.
  SimulatedCounts Run(const SimulatedLoad& load, Duration length) {
    return RunAll({load}, length).front();
  }

  // The same with several loads at once; what became of each.
  std::vector<SimulatedCounts> RunAll(const std::vector<SimulatedLoad>& loads,
                                      Duration length) {
    counts_.assign(loads.size(), {});
    ++phase_;
    const TimePoint end = now_ + length;
    for (std::size_t i = 0; i < loads.size(); ++i) {
      At(now_ + Exponential(loads[i].per_second),
         [this, i, load = loads[i], end] { ArriveAndGoOn(i, load, end); });
    }
    while (!events_.empty() && events_.top().at < end) Step();
    now_ = end;
    return counts_;
  }

  // Another speed from now on.
  void SetService(Duration service) { pool_.service = service; }

  Gate& gate() { return gate_; }

 private:
  struct Caller final : public Task {
    void OnEnded(Ending, Duration) override {}
    void OnDone() override {}

    TimePoint came;
    TimePoint gone_at;
    std::size_t phase = 0;
    std::size_t load = 0;
    std::uint64_t use = 0;
  };

  struct Event {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };

  double Uniform() { return std::uniform_real_distribution<>()(random_); }

  Duration Exponential(double per_second) {
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(-std::log1p(-Uniform()) / per_second));
  }

  void At(TimePoint at, std::function<void()> happen) {
    events_.push({at, order_++, std::move(happen)});
  }

  void Step() {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.happen();
    if (gate_.next_expiry() <= now_) gate_.Expire(now_, &happened_);
    Deliver();
    StartWorkers();
  }

  // Where it is counted; null where its phase is over.
  SimulatedCounts* CountsOf(const Caller* caller) {
    return caller->phase == phase_ ? &counts_[caller->load] : nullptr;
  }

  void ArriveAndGoOn(std::size_t index, const SimulatedLoad& load,
                     TimePoint end) {
    Arrive(index, load);
    const TimePoint next = now_ + Exponential(load.per_second);
    if (next >= end) return;
    At(next, [this, index, load, end] { ArriveAndGoOn(index, load, end); });
  }

  Caller* NewCaller() {
    if (spare_.empty()) {
      callers_.push_back(std::make_unique<Caller>());
      return callers_.back().get();
    }
    Caller* caller = spare_.back();
    spare_.pop_back();
    return caller;
  }

  void Arrive(std::size_t index, const SimulatedLoad& load) {
    ++counts_[index].arrived;
    Caller* caller = NewCaller();
    caller->load = index;
    caller->lane = load.lane;
    caller->priority = load.priority;
    caller->came = now_;
    caller->gone_at = now_ + load.deadline;
    caller->deadline = caller->gone_at;
    caller->bytes = 1024;
    caller->phase = phase_;
    const Admission admission =
        gate_.Arrive(caller, *load.policy, now_, &happened_);
    if (admission.kind == Admission::Kind::kRefused) {
      Refused(caller);
      return;
    }
    At(caller->gone_at, [this, caller, use = caller->use] {
      if (caller->use != use || !gate_.Leave(caller, now_, &happened_)) return;
      if (SimulatedCounts* counts = CountsOf(caller)) ++counts->gone;
      End(caller);
    });
  }

  void Refused(Caller* caller) {
    if (SimulatedCounts* counts = CountsOf(caller)) {
      ++counts->refused;
      counts->longest_refusal =
          std::max(counts->longest_refusal, now_ - caller->came);
    }
    End(caller);
  }

  void End(Caller* caller) {
    ++caller->use;
    spare_.push_back(caller);
  }

  void Deliver() {
    for (const Ended& ended : happened_.ended) {
      auto* caller = static_cast<Caller*>(ended.task);
      if (ended.ending == Ending::kDeadline) {
        if (SimulatedCounts* counts = CountsOf(caller)) ++counts->gone;
        End(caller);
      } else {
        Refused(caller);
      }
    }
    happened_.clear();
  }

  void StartWorkers() {
    while (free_workers_ > 0 && gate_.ready()) {
      auto batch = std::make_shared<std::vector<Task*>>();
      gate_.Take(pool_.batch_max, now_, batch.get(), &happened_);
      Deliver();
      if (batch->empty()) continue;
      for (const Task* task : *batch) {
        const auto* caller = static_cast<const Caller*>(task);
        if (SimulatedCounts* counts = CountsOf(caller)) {
          counts->waits.push_back(now_ - caller->came);
        }
      }
      --free_workers_;
      const Duration service = absl::ToChronoNanoseconds(
          Jittered(absl::FromChrono(pool_.service), pool_.jitter, Uniform()));
      At(now_ + service, [this, batch] { FinishBatch(*batch); });
    }
  }

  void FinishBatch(const std::vector<Task*>& batch) {
    for (Task* task : batch) task->outcome = Outcome::kStored;
    gate_.Done(batch, StoreState::kUp, now_, &happened_);
    ++free_workers_;
    for (Task* task : batch) {
      auto* caller = static_cast<Caller*>(task);
      if (SimulatedCounts* counts = CountsOf(caller)) {
        ++(now_ <= caller->gone_at ? counts->in_time : counts->late);
      }
      End(caller);
    }
  }

  SimulatedPool pool_;
  std::mt19937_64 random_;
  std::atomic<std::int64_t> sequence_{0};
  Gate gate_;
  TimePoint now_{std::chrono::hours(1)};
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  GateEvents happened_;
  std::size_t free_workers_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::vector<Caller*> spare_;
  std::vector<SimulatedCounts> counts_;  // by load
  std::size_t phase_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_POOL_SIMULATION_H_

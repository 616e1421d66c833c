#include "pool/scaler.h"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

// Throughput must rise by at least this share of the added workers: twice the
// workers must do at least 1.4 times the work.
constexpr double kRewardMin = 0.4;
// With this many batches, an interval shows the throughput to within a few
// percent.
constexpr std::size_t kBatchesEnough = 200;
// If the store is too slow for kBatchesEnough, an interval must have this many
// batches per worker.
constexpr std::size_t kBatchesEachMin = 4;
// All workers count as busy if their mean utilization is at least this.
constexpr double kBusyMin = 0.9;
// Expected utilization of the remaining workers after idle workers have ended.
// Well below kBusyMin, so that one change does not cause the next.
constexpr double kBusyAfterEnd = 0.75;
// Longest time to wait after a change before its effect is measured.
constexpr double kSettleSecondsMax = 5;

double Mean(double sum, std::size_t count) {
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

// Returns the number after one step up: 50 % more.
std::size_t More(std::size_t workers) { return workers + (workers + 1) / 2; }
// Returns the number after one step down. Fewer(More(n)) is n.
std::size_t Fewer(std::size_t workers) { return workers - (workers + 2) / 3; }

}  // namespace

void Scaler::Begin(Duration waited, bool full, TimePoint now) {
  if (next_look_ == kForever && range_.min < range_.max) StartInterval(now);
  CountBusy(now);
  ++busy_;
  ++interval_.begun;
  if (full) ++interval_.begun_full;
  interval_.waited_seconds += ToSeconds(waited);
}

void Scaler::End(Duration took, std::size_t tasks, TimePoint now) {
  CountBusy(now);
  --busy_;
  ++interval_.ended;
  interval_.took_seconds += ToSeconds(took);
  interval_.tasks += tasks;
}

void Scaler::Lose(TimePoint now) {
  CountBusy(now);
  --busy_;
}

void Scaler::SetRange(WorkerRange range, TimePoint now) {
  if (range == range_) return;
  range_ = range;
  workers_ = std::clamp(workers_, range.min, range.max);
  Forget();
  next_look_ = kForever;
  const bool follows = range.min < range.max;
  if (follows && (busy_ > 0 || workers_ > range.min)) StartInterval(now);
}

void Scaler::Look(TimePoint now) {
  if (now < next_look_) return;
  if (settling_) {
    StartInterval(now);
    return;
  }
  CountBusy(now);
  if (!Telling(now)) {
    next_look_ = now + kLookMin;
    return;
  }
  if (interval_.begun == 0 && busy_ == 0 && workers_ == range_.min) {
    Forget();
    next_look_ = kForever;
    return;
  }
  Decide(now);
}

void Scaler::Decide(TimePoint now) {
  const std::size_t workers_before = workers_;
  if (Overloaded(now)) {
    idle_since_.reset();
    const Measured measured = {workers_, static_cast<double>(interval_.tasks) /
                                             ToSeconds(now - interval_.since)};
    if (before_trial_.has_value()) Judge(*before_trial_, measured, now);
    // Judge may have undone a trial. The restored number of workers has not
    // been measured yet, so the next trial has to wait.
    if (workers_ == workers_before) Try(measured, now);
  } else {
    // Without overload there is nothing to judge: keep the trial's number of
    // workers, since it is enough for the load.
    before_trial_.reset();
    EndIdle(now);
  }
  if (workers_ == workers_before) StartInterval(now);
}

void Scaler::Judge(const Measured& before, const Measured& after,
                   TimePoint now) {
  before_trial_.reset();
  const bool fewer = after.workers < before.workers;
  const Measured& small = fewer ? after : before;
  const Measured& large = fewer ? before : after;
  const double added = static_cast<double>(large.workers - small.workers) /
                       static_cast<double>(small.workers);
  const bool pays = large.tasks_per_second >=
                    small.tasks_per_second * (1 + kRewardMin * added);
  // A trial with more workers is kept if throughput rose enough. A trial with
  // fewer workers is kept if the throughput of the larger number was not high
  // enough.
  const bool kept = fewer != pays;
  // Until retry_at_, Try does not return to a number that did not raise
  // throughput enough.
  if (!pays) {
    refuted_ = std::min(large.workers, More(small.workers));
  } else if (large.workers >= refuted_) {
    refuted_ = kNone;
  }
  retry_at_ = now + retry_;
  // Retries become rarer, except while trials keep changing the number in one
  // direction.
  if (!kept || fewer != kept_fewer_) retry_ = std::min(2 * retry_, kRetryMax);
  if (kept) {
    kept_fewer_ = fewer;
  } else {
    // Try the other direction next.
    fewer_next_ = !fewer;
  }
  if (!kept) Change(before.workers, now);
}

void Scaler::Try(const Measured& before, TimePoint now) {
  const bool retry = now >= retry_at_;
  const std::size_t more = std::min(More(workers_), range_.max);
  const std::size_t fewer = std::max(Fewer(workers_), range_.min);
  const bool may_grow = more > workers_ && (more < refuted_ || retry);
  const bool may_shrink = fewer < workers_ && retry;
  if (may_grow && !(may_shrink && fewer_next_)) {
    before_trial_ = before;
    Change(more, now);
  } else if (may_shrink) {
    before_trial_ = before;
    Change(fewer, now);
  }
}

void Scaler::EndIdle(TimePoint now) {
  const auto need =
      static_cast<std::size_t>(std::ceil(BusyMean(now) / kBusyAfterEnd));
  if (need >= workers_ || workers_ == range_.min) {
    idle_since_.reset();
    return;
  }
  if (!idle_since_.has_value()) {
    idle_since_ = interval_.since;
    idle_need_ = 0;
  }
  idle_need_ = std::max(idle_need_, need);
  if (now - *idle_since_ < kIdleMax) return;
  Change(std::max(idle_need_, range_.min), now);
  if (workers_ == range_.min) Forget();
}

void Scaler::Change(std::size_t workers, TimePoint now) {
  workers_ = workers;
  idle_since_.reset();
  // Ignore batches that are in work now: they began before the change and do
  // not show its effect.
  const double settle = std::min(Mean(interval_.took_seconds, interval_.ended),
                                 kSettleSecondsMax);
  StartInterval(now, std::chrono::duration_cast<Duration>(
                         std::chrono::duration<double>(settle)));
}

void Scaler::StartInterval(TimePoint now, Duration settle) {
  settling_ = settle > Duration::zero();
  next_look_ = now + (settling_ ? settle : kLookMin);
  busy_counted_ = now;
  interval_ = {.since = now};
}

void Scaler::CountBusy(TimePoint now) {
  interval_.busy_seconds +=
      static_cast<double>(busy_) * ToSeconds(now - busy_counted_);
  busy_counted_ = now;
}

double Scaler::BusyMean(TimePoint now) const {
  return interval_.busy_seconds / ToSeconds(now - interval_.since);
}

bool Scaler::AllBusy(TimePoint now) const {
  return BusyMean(now) >= kBusyMin * static_cast<double>(workers_);
}

bool Scaler::Telling(TimePoint now) const {
  if (interval_.ended >= kBatchesEnough) return true;
  if (now - interval_.since < kLookMax) return false;
  return interval_.ended >= kBatchesEachMin * workers_ || !AllBusy(now);
}

bool Scaler::Overloaded(TimePoint now) const {
  if (!AllBusy(now)) return false;
  if (2 * interval_.begun_full > interval_.begun) return true;
  const double took = Mean(interval_.took_seconds, interval_.ended);
  return Mean(interval_.waited_seconds, interval_.begun) >
         std::max(took, ToSeconds(kWaitMin));
}

void Scaler::Forget() {
  before_trial_.reset();
  idle_since_.reset();
  refuted_ = kNone;
  retry_ = kRetryMin;
  retry_at_ = {};
  fewer_next_ = false;
  kept_fewer_ = false;
}

}  // namespace sluice

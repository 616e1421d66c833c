#include "tools/sim/pool_recorder.h"

#include <algorithm>
#include <array>

#include "loadgen/traffic/virtual_time.h"

namespace sluice {
namespace {

// Returns the Gate's counts of all methods since the start.
PoolWindow Counted(const Gate& gate) {
  PoolWindow counted;
  for (const Method method : kAllMethods) {
    const MethodCounters& counters = gate.counters(Index(method));
    counted.arrivals += counters.received;
    counted.admitted += counters.admitted;
    const auto refusals = RefusalsOf(counters);
    for (const TaskResult reason : kRefusals) {
      counted.rejected[reason] += refusals[reason];
    }
    counted.dropped += counters.not_admitted[TaskResult::kDropped] +
                       counters.completed[TaskResult::kDropped];
    counted.left += counters.not_admitted[TaskResult::kCancelled] +
                    counters.not_admitted[TaskResult::kDeadline] +
                    counters.completed[TaskResult::kCancelled];
    counted.stored += counters.completed[TaskResult::kStored];
  }
  return counted;
}

// Sets the Gate's counts of `window` to `now` minus `before`.
void CountSince(const PoolWindow& before, const PoolWindow& now,
                PoolWindow* window) {
  window->arrivals = now.arrivals - before.arrivals;
  window->admitted = now.admitted - before.admitted;
  for (const TaskResult reason : kRefusals) {
    window->rejected[reason] = now.rejected[reason] - before.rejected[reason];
  }
  window->dropped = now.dropped - before.dropped;
  window->left = now.left - before.left;
  window->stored = now.stored - before.stored;
}

struct RecordedLevel {
  LevelSummary PoolWindow::*summary;
  double PoolLevels::*now;
};
constexpr std::array<RecordedLevel, 6> kLevels = {
    {{&PoolWindow::depth, &PoolLevels::depth},
     {&PoolWindow::waiting, &PoolLevels::waiting},
     {&PoolWindow::workers, &PoolLevels::workers},
     {&PoolWindow::busy, &PoolLevels::busy},
     {&PoolWindow::bytes, &PoolLevels::bytes},
     {&PoolWindow::lanes, &PoolLevels::lanes}}};

}  // namespace

PoolRecorder::PoolRecorder(const Windows& windows) : windows_(windows) {
  done_.reserve(windows.count);
}

void PoolRecorder::SetLevels(const PoolLevels& levels) {
  levels_ = levels;
  for (const RecordedLevel& level : kLevels) {
    double& max = (window_.*level.summary).max;
    max = std::max(max, levels_.*level.now);
  }
}

void PoolRecorder::Hold(const Gate& gate, TimePoint now) {
  while (now >= window_start_ + windows_.length) {
    const TimePoint end = window_start_ + windows_.length;
    Integrate(end - now_);
    now_ = end;
    CloseWindow(gate, windows_.length);
  }
  Integrate(now - now_);
  now_ = now;
}

void PoolRecorder::Integrate(Duration time) {
  const double seconds = ToSeconds(time);
  for (const RecordedLevel& level : kLevels) {
    (window_.*level.summary).mean += levels_.*level.now * seconds;
  }
}

void PoolRecorder::CloseWindow(const Gate& gate, Duration length) {
  const PoolWindow counted = Counted(gate);
  CountSince(counted_, counted, &window_);
  counted_ = counted;
  for (const RecordedLevel& level : kLevels) {
    LevelSummary& summary = window_.*level.summary;
    LevelSummary& total = total_.*level.summary;
    total.mean += summary.mean;  // a sum, which Finish divides
    total.max = std::max(total.max, summary.max);
    summary.mean /= ToSeconds(length);
  }
  total_.submissions += window_.submissions;
  total_.answered += window_.answered;
  total_.late += window_.late;
  window_.wait = wait_.Summary();
  window_.answer = answer_.Summary();
  wait_.Clear();
  answer_.Clear();
  done_.push_back(window_);
  window_ = PoolWindow();
  window_start_ += length;
  SetLevels(levels_);
}

void PoolRecorder::Finish(const Gate& gate, TimePoint end) {
  AdvanceTo(gate, end);
  if (end > window_start_) CloseWindow(gate, end - window_start_);
  CountSince(PoolWindow(), counted_, &total_);
  for (const RecordedLevel& level : kLevels) {
    (total_.*level.summary).mean /= ToSeconds(end);
  }
  total_.wait = total_wait_.Summary();
  total_.answer = total_answer_.Summary();
}

}  // namespace sluice

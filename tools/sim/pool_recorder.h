// Records the sizes and counts of one pool of a simulation over time.

#ifndef SLUICE_TOOLS_SIM_POOL_RECORDER_H_
#define SLUICE_TOOLS_SIM_POOL_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/method.h"
#include "loadgen/traffic/windows.h"
#include "pool/gate.h"
#include "tools/sim/result.h"
#include "tools/sim/time_recorder.h"

namespace sluice {

// The sizes of a pool at one moment.
struct PoolLevels {
  double depth = 0;
  double waiting = 0;
  double workers = 0;
  double busy = 0;
  double bytes = 0;
  double lanes = 0;
};

class PoolRecorder {
 public:
  explicit PoolRecorder(const Windows& windows);

  // Advances the record to `now`. Must be called before an event at `now`: the
  // sizes have not changed until then.
  void AdvanceTo(const Gate& gate, TimePoint now) {
    if (now > now_) Hold(gate, now);
  }
  // Sets the new sizes. Must be called after an event.
  void SetLevels(const PoolLevels& levels);

  void CountSubmission() { ++window_.submissions; }
  void CountLate() { ++window_.late; }
  void RecordAnswer(Duration time) {
    ++window_.answered;
    answer_.Add(time);
    total_answer_.Add(time);
  }
  void RecordWait(Duration time) {
    wait_.Add(time);
    total_wait_.Add(time);
  }

  void Finish(const Gate& gate, TimePoint end);
  const std::vector<PoolWindow>& windows() const { return done_; }
  const PoolWindow& total() const { return total_; }

 private:
  void Hold(const Gate& gate, TimePoint now);
  void Integrate(Duration time);
  void CloseWindow(const Gate& gate, Duration length);

  const Windows windows_;
  TimePoint now_{};
  TimePoint window_start_{};
  PoolLevels levels_;
  PoolWindow window_;   // its means are sums over seconds until Finish
  PoolWindow counted_;  // the Gate's counts at the start of the window
  TimeRecorder wait_;
  TimeRecorder answer_;
  std::vector<PoolWindow> done_;
  PoolWindow total_;
  TimeRecorder total_wait_;
  TimeRecorder total_answer_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_POOL_RECORDER_H_

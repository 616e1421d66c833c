// The result of a simulation.

#ifndef SLUICE_TOOLS_SIM_RESULT_H_
#define SLUICE_TOOLS_SIM_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/method.h"
#include "pool/gate.h"

namespace sluice {

// Mean over time and maximum.
struct LevelSummary {
  double mean = 0;
  double max = 0;
};

// Statistics of times, in seconds.
struct TimeSummary {
  std::int64_t count = 0;
  double mean = 0;
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};

// Returns refused attempts by reason, whether refused on arrival or later.
ResultCounts RefusalsOf(const MethodCounters& counters);

// One pool during one interval of the run. All counts but `submissions` count
// attempts.
struct PoolWindow {
  std::uint64_t submissions = 0;  // number of first attempts
  std::uint64_t arrivals = 0;     // number of all attempts
  std::uint64_t admitted = 0;
  ResultCounts rejected;  // refusals by reason
  std::uint64_t dropped = 0;
  std::uint64_t left = 0;      // the deadline passed before a worker began
  std::uint64_t answered = 0;  // number answered OK in time
  std::uint64_t late = 0;      // processed after the deadline
  std::uint64_t stored = 0;

  // Capacity with workers.max workers and full batches, in submissions per
  // second, by the store's mean times. Infinity if the store takes no time.
  double capacity_per_second = 0;

  LevelSummary depth;    // queued submissions
  LevelSummary waiting;  // parked submissions
  LevelSummary workers;
  LevelSummary busy;   // busy workers
  LevelSummary bytes;  // bytes of queued and parked submissions
  LevelSummary lanes;  // lanes with queued or parked submissions
  TimeSummary wait;    // from arrival until a worker takes the task
  TimeSummary answer;  // from arrival to OK, for answers in time

  std::uint64_t refused() const { return rejected.Sum(); }
};

struct PoolResult {
  std::string name;
  PoolConfig config;
  std::size_t workers = 0;  // the configured workers.max
  std::vector<PoolWindow> windows;
  // Sums over the whole run. The capacity does not include slowdowns.
  PoolWindow total;
};

// Counts of submissions and of their attempts.
struct SubmissionCounts {
  std::uint64_t submissions = 0;
  std::uint64_t attempts = 0;
  std::uint64_t refusals = 0;  // number of refused attempts
  // Final results of submissions.
  std::uint64_t answered = 0;  // number answered OK in time
  std::uint64_t late = 0;      // stored, but too late for the caller
  std::uint64_t refused = 0;   // the last attempt was refused
  std::uint64_t dropped = 0;
  std::uint64_t left = 0;       // the deadline passed before a worker began
  std::uint64_t returning = 0;  // waiting to retry when the run ended

  // Submissions without a final result when the run ended.
  std::uint64_t pending() const {
    return submissions - (answered + late + refused + dropped + left);
  }
  SubmissionCounts& operator+=(const SubmissionCounts& other);
};

// Results of the callers of a source or of a method.
struct CallersResult : SubmissionCounts {
  Method method = Method::kSubmit;
  std::string pool;
  TimeSummary answer;   // from arrival to OK, for answers in time
  TimeSummary refusal;  // from arrival to the refusal
  TimeSummary ending;   // from arrival to any end of the attempt
  TimeSummary wait;     // from arrival until a worker takes the task
};

struct SourceResult : CallersResult {
  std::string name;
};

struct MethodResult : CallersResult {
  bool promised = false;    // true with ack: queued
  MethodCounters counters;  // counters of the Gate

  // True if the Gate's counters balance and agree with the callers' results.
  bool Balanced() const;
};

struct SimulationResult {
  double window_seconds = 0;
  double seconds = 0;  // duration of the run
  // Time of day at the start, in seconds since midnight.
  double start_seconds = 0;
  std::uint64_t seed = 0;
  // Pools that received submissions, by name.
  std::vector<PoolResult> pools;
  // Sources in the order of the description.
  std::vector<SourceResult> sources;
  // Methods that were called.
  std::vector<MethodResult> methods;
  std::uint64_t events = 0;

  bool Balanced() const;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_RESULT_H_

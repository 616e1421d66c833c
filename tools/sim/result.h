// What a simulation has counted and measured.

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

// A mean over time, and the most.
struct LevelSummary {
  double mean = 0;
  double max = 0;
};

// Seconds.
struct TimeSummary {
  std::int64_t count = 0;
  double mean = 0;
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};

// Attempts by the reason of their refusal, on arrival or later.
ResultCounts RefusalsOf(const MethodCounters& counters);

// One pool during one interval of the run. Counts are of attempts, but for
// `submissions`.
struct PoolWindow {
  std::uint64_t submissions = 0;  // first attempts
  std::uint64_t arrivals = 0;     // all attempts
  std::uint64_t admitted = 0;
  ResultCounts rejected;  // refusals only
  std::uint64_t dropped = 0;
  std::uint64_t left = 0;      // callers gone before a worker began
  std::uint64_t answered = 0;  // told OK before their deadline
  std::uint64_t late = 0;      // worked, but the caller had gone
  std::uint64_t stored = 0;

  // What as many workers as there may be bear with full batches, submissions a
  // second, by the store's mean times; infinity where the store takes none.
  double capacity_per_second = 0;

  LevelSummary depth;    // queued
  LevelSummary waiting;  // in the waiting room
  LevelSummary workers;
  LevelSummary busy;   // of them
  LevelSummary bytes;  // held, and those of the waiting
  LevelSummary lanes;  // in which something is queued or waits
  TimeSummary wait;    // from an attempt to a worker, of those taken
  TimeSummary answer;  // from an attempt to OK, of those answered in time

  std::uint64_t refused() const { return rejected.Sum(); }
};

struct PoolResult {
  std::string name;
  PoolConfig config;
  std::size_t workers = 0;  // at most
  std::vector<PoolWindow> windows;
  // Over the whole run; its capacity is that of a store which nothing slows.
  PoolWindow total;
};

// Of attempts, and of the submissions that they were for.
struct SubmissionCounts {
  std::uint64_t submissions = 0;
  std::uint64_t attempts = 0;
  std::uint64_t refusals = 0;  // of attempts
  // What became of submissions in the end.
  std::uint64_t answered = 0;  // told OK in time
  std::uint64_t late = 0;      // stored, but too late for the caller
  std::uint64_t refused = 0;   // at the last attempt
  std::uint64_t dropped = 0;
  std::uint64_t left = 0;       // the deadline passed before a worker began
  std::uint64_t returning = 0;  // refused, and not back when the run ended

  // Not at an end when the run ended.
  std::uint64_t pending() const {
    return submissions - (answered + late + refused + dropped + left);
  }
  SubmissionCounts& operator+=(const SubmissionCounts& other);
};

// What the callers of a source, or of a method, saw.
struct CallersResult : SubmissionCounts {
  Method method = Method::kSubmit;
  std::string pool;
  TimeSummary answer;   // from an attempt to OK, in time
  TimeSummary refusal;  // from an attempt to its refusal
  TimeSummary ending;   // from an attempt to whatever its caller saw
  TimeSummary wait;     // from an attempt to a worker, of those taken
};

struct SourceResult : CallersResult {
  std::string name;
};

struct MethodResult : CallersResult {
  bool promised = false;    // ack: queued
  MethodCounters counters;  // the Gate's

  // Whether the Gate's counters balance and agree with what callers saw.
  bool Balanced() const;
};

struct SimulationResult {
  double window_seconds = 0;
  double seconds = 0;        // of the run
  double start_seconds = 0;  // the clock's time at its start, since midnight
  std::uint64_t seed = 0;
  // By name; those to which anything came.
  std::vector<PoolResult> pools;
  // As the description has them.
  std::vector<SourceResult> sources;
  // Those that anything called.
  std::vector<MethodResult> methods;
  std::uint64_t events = 0;

  bool Balanced() const;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_RESULT_H_

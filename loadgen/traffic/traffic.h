// The description of traffic and of the store that a simulation runs: what its
// file may say, and what is wrong with one. docs/simulation.md explains each
// key.

#ifndef SLUICE_LOADGEN_TRAFFIC_TRAFFIC_H_
#define SLUICE_LOADGEN_TRAFFIC_TRAFFIC_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "config/config_error.h"
#include "config/method.h"
#include "loadgen/traffic/rate_curve.h"
#include "stores/kinds/discard_kind.h"

namespace sluice {

// Each of a source's sites sends so many submissions at once, at a moment of
// its own. Times are since the start of the run.
struct Storm {
  absl::Duration at = absl::ZeroDuration();
  absl::Duration within = absl::ZeroDuration();
  std::size_t submissions = 0;  // of each site

  friend bool operator==(const Storm&, const Storm&) = default;
};

struct TrafficSource {
  std::string name;
  Method method = Method::kSubmit;
  RateCurve curve;
  std::size_t bytes = 2048;  // of a submission
  // How long a caller waits for the answer to an attempt; infinite: for ever.
  absl::Duration deadline = absl::InfiniteDuration();
  // How often it tries, at most: after a refusal it comes back when that said.
  std::size_t attempts = 1;
  // Of its own, from which its submissions come; a site belongs to one study.
  std::size_t sites = 1;
  std::size_t studies = 1;
  std::vector<Storm> storms;

  // Submissions that are expected in all.
  double total() const;
  // Of a site, both from 0.
  std::size_t StudyOf(std::size_t site) const { return site % studies; }
};

struct StoreSlowdown {
  absl::Duration from = absl::ZeroDuration();  // since the start of the run
  absl::Duration to = absl::ZeroDuration();
  double factor = 1;  // times slower
};

// The time that the store takes for a batch.
struct StoreModel {
  absl::Duration per_batch = absl::ZeroDuration();
  absl::Duration per_submission = absl::ZeroDuration();
  Jitter jitter = Jitter::kConstant;
  std::vector<StoreSlowdown> slowdowns;

  // The mean, where nothing slows it down.
  absl::Duration MeanTime(std::size_t submissions) const {
    return per_batch + per_submission * static_cast<double>(submissions);
  }
  // How many times slower it is at a time since the start.
  double FactorAt(absl::Duration time) const;
};

struct Traffic {
  // The clock's time at the start of the run, since midnight.
  absl::Duration start = absl::ZeroDuration();
  absl::Duration duration = absl::Hours(24);
  std::uint64_t seed = 1;
  StoreModel store;
  std::vector<TrafficSource> sources;
};

// Reads the YAML text, which may be any bytes. Either `errors` is empty
// afterwards and the result is valid, or `errors` has all that is wrong, by
// line, and the result is of no use.
Traffic ParseTraffic(std::string_view yaml, ConfigErrors* errors);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_TRAFFIC_H_

// Parses the YAML description of traffic and of the simulated store.
// docs/simulation.md explains each key.

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

// Each site of a source sends `submissions` at once, at its own random time
// from `at` to `at` + `within`. Times are since the start of the run.
struct Storm {
  absl::Duration at = absl::ZeroDuration();
  absl::Duration within = absl::ZeroDuration();
  std::size_t submissions = 0;  // submissions from each site

  friend bool operator==(const Storm&, const Storm&) = default;
};

struct TrafficSource {
  std::string name;
  Method method = Method::kSubmit;
  RateCurve curve;
  std::size_t bytes = 2048;  // size of a submission
  // Longest wait of a caller for the answer to an attempt. Infinite: no limit.
  absl::Duration deadline = absl::InfiniteDuration();
  // Maximum number of attempts. A refused caller retries after the retry delay
  // of the refusal.
  std::size_t attempts = 1;
  // Number of sites that send, and number of studies that the sites belong to.
  // No other source has the same sites or studies.
  std::size_t sites = 1;
  std::size_t studies = 1;
  std::vector<Storm> storms;

  // Expected number of submissions.
  double total() const;
  // Returns the study of a site. Both count from 0.
  std::size_t StudyOf(std::size_t site) const { return site % studies; }
};

struct StoreSlowdown {
  absl::Duration from = absl::ZeroDuration();  // from the start of the run
  absl::Duration to = absl::ZeroDuration();
  double factor = 1;  // factor by which a batch takes longer
};

// Service time of the simulated store for a batch.
struct StoreModel {
  absl::Duration per_batch = absl::ZeroDuration();
  absl::Duration per_submission = absl::ZeroDuration();
  Jitter jitter = Jitter::kConstant;
  std::vector<StoreSlowdown> slowdowns;

  // Returns the mean service time without slowdowns.
  absl::Duration MeanTime(std::size_t submissions) const {
    return per_batch + per_submission * static_cast<double>(submissions);
  }
  // Returns the slowdown factor at `time` since the start.
  double FactorAt(absl::Duration time) const;
};

struct Traffic {
  // Time of day at the start of the run, counted from midnight.
  absl::Duration start = absl::ZeroDuration();
  absl::Duration duration = absl::Hours(24);
  std::uint64_t seed = 1;
  StoreModel store;
  std::vector<TrafficSource> sources;
};

// Parses YAML text, which may be any bytes. If `errors` is empty afterwards,
// the result is valid. Otherwise `errors` has every error, ordered by line, and
// the result must not be used.
Traffic ParseTraffic(std::string_view yaml, ConfigErrors* errors);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_TRAFFIC_H_

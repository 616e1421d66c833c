// Start times and senders of the calls of an open loop.

#ifndef SLUICE_LOADGEN_INTERNAL_ARRIVAL_SCHEDULE_H_
#define SLUICE_LOADGEN_INTERNAL_ARRIVAL_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/time.h"
#include "loadgen/loadgen.h"
#include "loadgen/profile.h"
#include "loadgen/traffic/arrival_stream.h"

namespace sluice {

// Metadata that names the tenant of a call. Empty values are not sent.
struct LoadSender {
  std::string study;  // metadata sluice-study
  std::string site;   // metadata sluice-site

  bool operator==(const LoadSender&) const = default;
};

// Intended start times, in order. They do not depend on the server: the latency
// of a call that is sent late counts from its intended start. Otherwise a
// stalled server would delay the calls, and their latency would not show the
// stall ("coordinated omission",
// https://www.scylladb.com/2021/04/22/on-coordinated-omission). Not
// thread-safe.
class ArrivalSchedule {
 public:
  virtual ~ArrivalSchedule() = default;

  // Returns the next intended start; kForever after the last.
  TimePoint next() const { return next_; }
  // Returns the sender of the call at next().
  virtual LoadSender sender() const { return {}; }
  // Moves on to the following call. next() must not be kForever.
  virtual void Advance() = 0;

 protected:
  explicit ArrivalSchedule(TimePoint first) : next_(first) {}

  TimePoint next_;
};

// Arrivals at one rate, without an end. The first arrival is at `start`.
class RateSchedule final : public ArrivalSchedule {
 public:
  // `rate` is in calls per second and above 0.
  RateSchedule(double rate, Arrivals arrivals, std::uint64_t seed,
               TimePoint start);

  void Advance() override;

 private:
  const double rate_;
  const Arrivals arrivals_;
  const TimePoint start_;
  std::mt19937_64 random_;
  double sum_ = 0;  // sum of the gaps so far, in units of 1 / rate
};

// The arrivals of all sources of a profile.
class ProfileSchedule final : public ArrivalSchedule {
 public:
  // `profile` must outlive this object and have at least one source.
  ProfileSchedule(const LoadProfile& profile, TimePoint start);

  // Returns the sender. Sites and studies of different sources have different
  // ids.
  LoadSender sender() const override;
  void Advance() override;

 private:
  void FindNext();

  const LoadProfile& profile_;
  const TimePoint start_;
  std::vector<ArrivalStream> streams_;  // one for each source
  std::size_t first_ = 0;               // index of the source at next()
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_ARRIVAL_SCHEDULE_H_

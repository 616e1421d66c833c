// When calls are meant to start.

#ifndef SLUICE_LOADGEN_PACING_H_
#define SLUICE_LOADGEN_PACING_H_

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

namespace sluice {

using LoadClock = std::chrono::steady_clock;

inline double Seconds(LoadClock::duration time) {
  return std::chrono::duration<double>(time).count();
}

enum class Arrivals {
  kConstant,  // at equal distances
  kPoisson,   // as by many senders who know nothing of each other
};

// Whose a call is, as its metadata say; empty: they do not.
struct LoadSender {
  std::string study;  // sluice-study
  std::string site;   // sluice-site

  bool operator==(const LoadSender&) const = default;
};

// The intended start times of an open loop, in order. They do not depend on
// what the server does: a call that could only be sent late is late from its
// intended time on, or a stalled server would slow the measurement instead of
// showing in it ("coordinated omission",
// https://www.scylladb.com/2021/04/22/on-coordinated-omission).
class ArrivalSchedule {
 public:
  virtual ~ArrivalSchedule() = default;

  // The next intended start; LoadClock::time_point::max() after the last.
  LoadClock::time_point next() const { return next_; }
  // Whose that call is.
  virtual LoadSender sender() const { return {}; }
  virtual void Advance() = 0;

 protected:
  explicit ArrivalSchedule(LoadClock::time_point first) : next_(first) {}

  LoadClock::time_point next_;
};

// Arrivals at one rate, without an end. The first is at `start`.
class RateSchedule final : public ArrivalSchedule {
 public:
  // `rate` is in calls a second and above 0.
  RateSchedule(double rate, Arrivals arrivals, std::uint64_t seed,
               LoadClock::time_point start);

  void Advance() override;

 private:
  const double rate_;
  const Arrivals arrivals_;
  const LoadClock::time_point start_;
  std::mt19937_64 random_;
  double sum_ = 0;  // of gaps so far, in gaps of 1 / rate
};

// The parts of a run: a warm-up, which is not measured, then the window.
struct Window {
  // `warmup` and `duration` count from `start`, one after the other.
  static Window After(LoadClock::time_point start, LoadClock::duration warmup,
                      LoadClock::duration duration) {
    return {start + warmup, start + warmup + duration};
  }

  bool Contains(LoadClock::time_point time) const {
    return time >= begin && time < end;
  }

  LoadClock::time_point begin;
  LoadClock::time_point end;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_PACING_H_

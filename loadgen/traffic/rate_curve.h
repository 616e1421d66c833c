// How many submissions a second come, over the time of a run.

#ifndef SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_
#define SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_

#include <cstddef>
#include <vector>

namespace sluice {

// Straight lines between points; before the first and after the last there is
// nothing. A value: copies are cheap enough.
class RateCurve {
 public:
  struct Point {
    double seconds = 0;  // since the start of the run
    double rate = 0;     // a second, not negative

    bool operator==(const Point&) const = default;
  };

  RateCurve() = default;
  // By time, no two at the same.
  explicit RateCurve(std::vector<Point> points);

  // `rate` from 0 to `seconds`.
  static RateCurve Constant(double rate, double seconds);
  // `total` between two times, rising from nothing and falling to nothing as a
  // raised cosine, whose highest rate is twice its mean.
  static RateCurve Bell(double from_seconds, double to_seconds, double total);

  // The sum of both. A curve that begins or ends inside the other does so with
  // a rate of 0.
  RateCurve operator+(const RateCurve& other) const;

  const std::vector<Point>& points() const { return points_; }
  double RateAt(double seconds) const;
  // How many are expected in all.
  double total() const { return ends_.empty() ? 0 : ends_.back(); }
  // When `expected` of them are expected to have come; a Poisson process with
  // rate 1 so becomes one with this curve (inversion). Infinity beyond total().
  double TimeOf(double expected) const;

 private:
  std::vector<Point> points_;
  // Of each point: how many are expected up to it.
  std::vector<double> ends_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_

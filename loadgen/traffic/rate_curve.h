// The rate of submissions over the time of a run.

#ifndef SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_
#define SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_

#include <cstddef>
#include <vector>

namespace sluice {

// A rate that changes along straight lines between points. The rate is 0 before
// the first and after the last point. Copyable.
class RateCurve {
 public:
  struct Point {
    double seconds = 0;  // time since the start of the run
    double rate = 0;     // submissions per second, not negative

    bool operator==(const Point&) const = default;
  };

  RateCurve() = default;
  // `points` must be ordered by time, without equal times.
  explicit RateCurve(std::vector<Point> points);

  // Returns a constant `rate` from 0 to `seconds`.
  static RateCurve Constant(double rate, double seconds);
  // Returns a raised cosine: `total` submissions between two times. The highest
  // rate is twice the mean.
  static RateCurve Bell(double from_seconds, double to_seconds, double total);

  // Returns the sum. If one curve begins or ends inside the other, its rate
  // there is taken as 0.
  RateCurve operator+(const RateCurve& other) const;

  const std::vector<Point>& points() const { return points_; }
  double RateAt(double seconds) const;
  // Expected number of submissions.
  double total() const { return ends_.empty() ? 0 : ends_.back(); }
  // Returns the time up to which `expected` submissions are expected. Turns a
  // Poisson process of rate 1 into a process with this curve (inversion).
  // Infinity if `expected` is above total().
  double TimeOf(double expected) const;

 private:
  std::vector<Point> points_;
  // Expected number of submissions up to each point.
  std::vector<double> ends_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_RATE_CURVE_H_

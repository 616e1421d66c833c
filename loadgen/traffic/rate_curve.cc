#include "loadgen/traffic/rate_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace sluice {
namespace {

constexpr int kBellSegments = 60;

// Returns the rate of the line from `a` to `b` at a time between them.
double Between(const RateCurve::Point& a, const RateCurve::Point& b,
               double seconds) {
  const double width = b.seconds - a.seconds;
  if (width <= 0) return b.rate;
  return a.rate + (b.rate - a.rate) * (seconds - a.seconds) / width;
}

}  // namespace

RateCurve::RateCurve(std::vector<Point> points) : points_(std::move(points)) {
  double sum = 0;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    if (i > 0) {
      const Point& a = points_[i - 1];
      const Point& b = points_[i];
      sum += (a.rate + b.rate) / 2 * (b.seconds - a.seconds);
    }
    ends_.push_back(sum);
  }
}

RateCurve RateCurve::Constant(double rate, double seconds) {
  return RateCurve({{0, rate}, {seconds, rate}});
}

RateCurve RateCurve::Bell(double from_seconds, double to_seconds,
                          double total) {
  const double width = to_seconds - from_seconds;
  std::vector<Point> points;
  for (int i = 0; i <= kBellSegments; ++i) {
    const double part = static_cast<double>(i) / kBellSegments;
    const double height = 1 - std::cos(2 * std::numbers::pi * part);
    points.push_back({from_seconds + part * width, total / width * height});
  }
  points.back().rate = 0;
  return RateCurve(std::move(points));
}

RateCurve RateCurve::operator+(const RateCurve& other) const {
  std::vector<double> times;
  for (const Point& point : points_) times.push_back(point.seconds);
  for (const Point& point : other.points_) times.push_back(point.seconds);
  std::ranges::sort(times);
  times.erase(std::unique(times.begin(), times.end()), times.end());
  std::vector<Point> sum;
  sum.reserve(times.size());
  for (const double seconds : times) {
    sum.push_back({seconds, RateAt(seconds) + other.RateAt(seconds)});
  }
  return RateCurve(std::move(sum));
}

double RateCurve::RateAt(double seconds) const {
  const auto after =
      std::ranges::upper_bound(points_, seconds, {}, &Point::seconds);
  if (after == points_.begin()) return 0;
  const Point& before = *std::prev(after);
  if (after == points_.end()) {
    return before.seconds == seconds ? before.rate : 0;
  }
  return Between(before, *after, seconds);
}

double RateCurve::TimeOf(double expected) const {
  if (!(expected <= total())) return std::numeric_limits<double>::infinity();
  const auto end = std::ranges::lower_bound(ends_, expected);
  const auto index = static_cast<std::size_t>(end - ends_.begin());
  if (index == 0) return points_.front().seconds;
  const Point& a = points_[index - 1];
  const Point& b = points_[index];
  // Solves rate * t + slope / 2 * t^2 = rest for t. This form neither divides
  // by a slope of 0 nor subtracts two nearly equal numbers.
  const double rest = expected - ends_[index - 1];
  const double slope = (b.rate - a.rate) / (b.seconds - a.seconds);
  const double root =
      std::sqrt(std::max(0.0, a.rate * a.rate + 2 * slope * rest));
  const double divisor = a.rate + root;
  if (divisor <= 0) return a.seconds;
  return std::min(a.seconds + 2 * rest / divisor, b.seconds);
}

}  // namespace sluice

// Random numbers that depend only on the seed. The distributions of the
// standard library differ between implementations.

#ifndef SLUICE_LOADGEN_TRAFFIC_RANDOM_H_
#define SLUICE_LOADGEN_TRAFFIC_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <random>

namespace sluice {

class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : generator_(seed) {}

  // Returns a number in [0, 1) with all 53 bits of a double.
  double Uniform() {
    return static_cast<double>(generator_() >> 11U) * 0x1.0p-53;
  }

  // Returns an exponentially distributed number with mean 1.
  double Exponential() { return -std::log1p(-Uniform()); }

 private:
  std::mt19937_64 generator_;  // the standard defines its output
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_RANDOM_H_

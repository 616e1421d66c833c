// Random numbers that are the same wherever a seed is used: what the standard
// library calls a distribution differs from one library to another.

#ifndef SLUICE_LOADGEN_TRAFFIC_RANDOM_H_
#define SLUICE_LOADGEN_TRAFFIC_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <random>

namespace sluice {

class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : generator_(seed) {}

  // In [0, 1), with all 53 bits of a double.
  double Uniform() {
    return static_cast<double>(generator_() >> 11U) * 0x1.0p-53;
  }

  // With mean 1.
  double Exponential() { return -std::log1p(-Uniform()); }

 private:
  std::mt19937_64 generator_;  // its output is part of the standard
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_RANDOM_H_

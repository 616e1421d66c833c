// A wall clock that a test can set, in its own process and in programs that it
// starts. The monotonic clock is not changed.
//
// stepped_clock.cc is a shared library that intercepts functions of the C
// library. A test program links it. Other programs preload it (LD_PRELOAD) and
// find the file of the step in the environment variable kClockStepVariable.

#ifndef SLUICE_TESTS_FAKES_STEPPED_CLOCK_H_
#define SLUICE_TESTS_FAKES_STEPPED_CLOCK_H_

#include <cstdint>

namespace sluice {

// Path of a file that begins with the step, in nanoseconds, as a std::int64_t.
// The file is mapped, so a test may write it while the program runs.
inline constexpr char kClockStepVariable[] = "SLUICE_CLOCK_STEP";

// Sets the wall clock of this process to the true time plus `nanos`. Only for
// test programs that link the library.
void StepClock(std::int64_t nanos);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_STEPPED_CLOCK_H_

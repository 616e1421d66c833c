// What a run tells at its end, and while it runs.

#ifndef SLUICE_LOADGEN_REPORT_H_
#define SLUICE_LOADGEN_REPORT_H_

#include <cstddef>
#include <string>

#include "loadgen/load_generator.h"
#include "loadgen/load_options.h"

namespace sluice {

// For people: a line for each subject, those without content left out.
std::string TextReport(const LoadOptions& options, const LoadResult& result);

// The same for programs: one JSON object. Latencies in microseconds.
std::string JsonReport(const LoadOptions& options, const LoadResult& result);

// For a progress bar, e.g. "3.2 s  81234/s  64 in flight  p99 1.20 ms".
std::string ProgressText(const Tally& tally, LoadClock::duration elapsed,
                         LoadClock::time_point now, std::size_t in_flight);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_REPORT_H_

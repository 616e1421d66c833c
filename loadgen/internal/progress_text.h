// The text beside the progress bar of a load.

#ifndef SLUICE_LOADGEN_INTERNAL_PROGRESS_TEXT_H_
#define SLUICE_LOADGEN_INTERNAL_PROGRESS_TEXT_H_

#include <cstddef>
#include <string>

#include "base/time.h"
#include "loadgen/internal/tally.h"

namespace sluice {

// Returns the text, e.g. "3.2 s  81234/s  64 in flight  p99 1.2 ms".
std::string ProgressText(const Tally& tally, Duration elapsed, TimePoint now,
                         std::size_t in_flight);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_PROGRESS_TEXT_H_

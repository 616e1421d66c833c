// A run of a profile, as a picture.

#ifndef SLUICE_TOOLS_LOAD_PICTURE_H_
#define SLUICE_TOOLS_LOAD_PICTURE_H_

#include <string>

#include "loadgen/load_generator.h"
#include "loadgen/profile.h"

namespace sluice {

// An SVG file: what was offered and what became of it, latency, and where the
// server's metrics were asked, its workers and queue, by the clock of the
// profile. `result` must have a timeline.
std::string LoadPicture(const LoadProfile& profile, const LoadResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_LOAD_PICTURE_H_

#include "loadgen/internal/progress_text.h"

#include "absl/strings/str_format.h"
#include "base/format.h"

namespace sluice {

std::string ProgressText(const Tally& tally, Duration elapsed, TimePoint now,
                         std::size_t in_flight) {
  return absl::StrFormat(
      "%.1f s  %.0f/s  %d in flight  p99 %s", ToSeconds(elapsed),
      tally.Rate(now), in_flight,
      FormatSeconds(ToSeconds(tally.counts().latency.Percentile(99))));
}

}  // namespace sluice

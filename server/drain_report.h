// The result of a drain, for the log and the exit code.

#ifndef SLUICE_SERVER_DRAIN_REPORT_H_
#define SLUICE_SERVER_DRAIN_REPORT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "config/method.h"
#include "pool/gate.h"
#include "server/methods.h"
#include "server/pools.h"
#include "server/submissions/leftovers.h"

namespace sluice {

struct DrainReport {
  struct Line {
    Method method;
    MethodCounters counters;
  };

  absl::Duration took;
  std::vector<Line> methods;
  // Submissions that were queued or in work when the drain ended, and are in no
  // journal.
  std::vector<Leftover> left;
  // Number of submissions that were queued, in work or not yet read when the
  // drain ended, and are in a journal. They are processed after the next start.
  std::size_t journaled = 0;
  // Number of calls that have not ended; 0 unless stuck().
  int calls_left = 0;
  // Names of what still hung at the end. The server cannot be destroyed then.
  std::vector<std::string> hangs;

  bool stuck() const { return !hangs.empty(); }

  // True if nothing is left and the counters balance.
  bool clean() const;
  bool balanced() const;

  // The log lines: a summary, a line for each method that was called, and a
  // line for each submission that is left.
  std::vector<std::string> ToLines() const;
};

// Reports everything except the duration of the drain. If something hangs,
// submissions in work and those that wait for a journal count as left.
DrainReport MakeDrainReport(const Pools& pools, const Methods& methods,
                            const Leftovers& leftovers,
                            std::vector<std::string> hangs);

}  // namespace sluice

#endif  // SLUICE_SERVER_DRAIN_REPORT_H_

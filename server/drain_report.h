// What a drain did, for the log and the exit code.

#ifndef SLUICE_SERVER_DRAIN_REPORT_H_
#define SLUICE_SERVER_DRAIN_REPORT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "config/method.h"
#include "pool/gate.h"
#include "server/submissions/leftovers.h"

namespace sluice {

struct DrainReport {
  struct Line {
    Method method;
    MethodCounters counters;
  };

  absl::Duration took;
  std::vector<Line> methods;
  // What was queued or in work when the time ran out.
  std::vector<Leftover> left;
  // What was queued or in work then, and is in a journal: it is worked after
  // the next start.
  std::size_t journaled = 0;
  // Calls that had not come to their end; 0 unless it is stuck.
  int calls_left = 0;
  // Workers hang in their work, so that the server cannot be taken down.
  bool stuck = false;

  // Nothing was left, and the counters balance.
  bool clean() const;
  bool balanced() const;

  // One text line for each method, and for each submission that was left.
  std::vector<std::string> ToLines() const;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_DRAIN_REPORT_H_

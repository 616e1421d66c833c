// Error ids link the INTERNAL status that a caller receives to the server's log
// line. Under a flood of failures there is a line a second for each kind of
// failure, and all failures of that second have the id of the line.

#ifndef SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_
#define SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/log_pace.h"
#include "base/time.h"

namespace sluice {

// Paces the log lines of failures. Thread-safe.
class FailureLog {
 public:
  // Number of kinds that are paced on their own. Further kinds share the pace
  // of one kind. The kinds are known to the program, so there are few.
  static constexpr std::size_t kKindsMax = 64;

  // Logs a failure of this kind, unless a line of this kind was logged less
  // than LogPace::kInterval ago. Returns the error id of the last line of this
  // kind. The line counts the failures that were left out before it. `kind` is
  // logged, so it must not have patient data.
  std::string Log(std::string_view kind, TimePoint now);

 private:
  struct Line {
    LogPace pace;
    std::string error_id;
  };

  absl::Mutex mutex_;
  absl::node_hash_map<std::string, Line> lines_ ABSL_GUARDED_BY(mutex_);
};

// Logs a failure of this kind in the log of the process (FailureLog::Log).
// Returns its error id.
std::string LogFailure(std::string_view kind);

// Logs the type of the exception that is being handled, and returns its error
// id. Does not log the exception's text, which may quote the submission.
std::string LogCurrentException();

// Logs that a processor threw an exception before the task had its result.
// Returns the error id.
std::string LogBatchFailure();

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

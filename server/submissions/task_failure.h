// Error ids link the INTERNAL status that a caller receives to the server's log
// line.

#ifndef SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_
#define SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

#include <string>

namespace sluice {

// Returns a random id.
std::string NewErrorId();

// Logs the type of the exception that is being handled, under a new error id.
// Returns the id. The exception's text is not logged, because it may quote the
// submission.
std::string LogCurrentException();

// Logs, under a new error id, that a processor threw before the task had its
// result. Returns the id.
std::string LogBatchFailure();

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

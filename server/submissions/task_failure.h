// Error ids link the INTERNAL status that a caller receives to the server's log
// line.

#ifndef SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_
#define SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

#include <string>

namespace sluice {

// Returns a random id.
std::string NewErrorId();

// Logs the type of the exception that is being handled, with a new error id,
// which it returns. Does not log the exception's text, which may quote the
// submission.
std::string LogCurrentException();

// Logs, with a new error id, that a processor threw an exception before the
// task had its result. Returns the id.
std::string LogBatchFailure();

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

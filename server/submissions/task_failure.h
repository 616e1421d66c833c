// What remains of a failure that ended a task: an id, by which whoever is told
// it finds the log line.

#ifndef SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_
#define SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

#include <string>

namespace sluice {

std::string NewErrorId();

// Logs the exception that is being handled under a new error id, which the
// caller is told. What the exception says stays out of the log: it may quote
// the submission.
std::string LogCurrentException();

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_TASK_FAILURE_H_

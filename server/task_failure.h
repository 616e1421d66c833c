// What remains of an exception that ended a task.

#ifndef SLUICE_SERVER_TASK_FAILURE_H_
#define SLUICE_SERVER_TASK_FAILURE_H_

#include <string>

namespace sluice {

// Logs the exception that is being handled under a new error id, which the
// caller is told. What the exception says stays out of the log: it may quote
// the submission.
std::string LogCurrentException();

}  // namespace sluice

#endif  // SLUICE_SERVER_TASK_FAILURE_H_

// Copies a SQLite database while it is in use.

#ifndef SLUICE_STORES_SQLITE_COPY_H_
#define SLUICE_STORES_SQLITE_COPY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace sluice {

// How a copy shares the disk with the server's writers.
struct CopyPace {
  // Called after each step. If false is returned, the copy ends with CANCELLED.
  std::function<bool()> go_on = [] { return true; };
  // Waits between two steps.
  std::function<void(absl::Duration)> rest = absl::SleepFor;
};

// Copies the database at `from` to the new file `to`, which only its owner can
// read. The copy has the state of one moment during the call, and is on disk
// when the call returns.
//
// Writers of the database are not blocked. The copy works in steps of 4 MiB,
// syncs each step, and rests for as long as the step took. Until the copy ends,
// the write-ahead log of the database cannot be emptied, so it grows.
//
// Errors: RESOURCE_EXHAUSTED if there is not enough room, FAILED_PRECONDITION
// if `to` exists, CANCELLED, and errors of SQLite. After an error, `to` may
// exist with a part of the data.
absl::Status CopySqliteDatabase(const std::string& from, const std::string& to,
                                const CopyPace& pace);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_COPY_H_

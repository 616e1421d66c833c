// Limits of a campaign, which are generous: a healthy server needs far less.
// How the campaign waits within them.

#ifndef SLUICE_TESTS_CRASH_LIMITS_H_
#define SLUICE_TESTS_CRASH_LIMITS_H_

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace sluice {

inline constexpr absl::Duration kStartLimit = absl::Seconds(60);
inline constexpr absl::Duration kFirstAnswerLimit = absl::Seconds(60);
inline constexpr absl::Duration kQueueEmptyLimit = absl::Minutes(5);
inline constexpr absl::Duration kStopLimit = absl::Seconds(60);
// Limit for PostgreSQL to reach a state, such as the end of a recovery.
inline constexpr absl::Duration kPostgresLimit = absl::Seconds(60);

// Time between two looks at a state of another process, which sends no event.
inline constexpr absl::Duration kLookPause = absl::Milliseconds(20);

// Waits until `condition` returns true, but at most for `limit`. Returns the
// last result of `condition`.
bool WaitUntil(absl::FunctionRef<bool()> condition, absl::Duration limit);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_LIMITS_H_

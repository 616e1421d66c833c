// Assertions for preconditions and invariants.
//
//   SLUICE_DCHECK(task->stage() == Stage::kInPool);
//   SLUICE_DCHECK_EQ(queued, lanes.depth());
//
// A failed assertion prints the file, the line and the condition, and aborts.
// Assertions are active in debug, sanitizer and fuzz builds, where CMake
// defines SLUICE_CHECKS. In release builds the condition is compiled but never
// evaluated, so that it costs nothing and still has to compile.
//
// An assertion is for mistakes in this program. Bad input, a full disk or a
// lost connection is an absl::Status.

#ifndef SLUICE_BASE_CHECK_H_
#define SLUICE_BASE_CHECK_H_

namespace sluice {

#ifdef SLUICE_CHECKS
inline constexpr bool kChecks = true;
#else
inline constexpr bool kChecks = false;
#endif

// Prints "FILE:LINE: check failed: CONDITION" to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);

}  // namespace sluice

#define SLUICE_DCHECK(condition)                             \
  do {                                                       \
    if (::sluice::kChecks && !(condition)) {                 \
      ::sluice::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                        \
  } while (false)

#define SLUICE_DCHECK_EQ(a, b) SLUICE_DCHECK((a) == (b))
#define SLUICE_DCHECK_LE(a, b) SLUICE_DCHECK((a) <= (b))
#define SLUICE_DCHECK_LT(a, b) SLUICE_DCHECK((a) < (b))
#define SLUICE_DCHECK_GE(a, b) SLUICE_DCHECK((a) >= (b))
#define SLUICE_DCHECK_GT(a, b) SLUICE_DCHECK((a) > (b))

#endif  // SLUICE_BASE_CHECK_H_

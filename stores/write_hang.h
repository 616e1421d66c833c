// Tells a use of a file that hangs from many uses, one after the other.
//
// A check that finds the lock of the file taken must not wait for it, and does
// not know how long it has been taken. If the lock is taken whenever the check
// looks, and no use ends in between, one of them hangs.
//
// Deterministic. Not thread-safe.

#ifndef SLUICE_STORES_WRITE_HANG_H_
#define SLUICE_STORES_WRITE_HANG_H_

#include <chrono>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/time.h"

namespace sluice {

class WriteHang {
 public:
  // A use that takes longer hangs.
  static constexpr Duration kHangsAfter = std::chrono::seconds(5);

  // Records that a use has ended, or that the lock is free.
  void Ended() { taken_since_.reset(); }

  // To be called if the lock is taken. Returns UNAVAILABLE if its use hangs.
  absl::Status Look(TimePoint now) {
    if (!taken_since_.has_value()) taken_since_ = now;
    const Duration taken = now - *taken_since_;
    if (taken < kHangsAfter) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(
        "a read or write has not ended for ",
        std::chrono::floor<std::chrono::seconds>(taken).count(), " seconds"));
  }

 private:
  // Since when the lock was taken at each look, without the end of a use.
  std::optional<TimePoint> taken_since_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_WRITE_HANG_H_

// The free space of a disk, and the minimum that must stay free. A full disk
// stops all writes, including those that would free space. New submissions are
// therefore refused before the disk is full.

#ifndef SLUICE_SERVER_SUBMISSIONS_DISK_RESERVE_H_
#define SLUICE_SERVER_SUBMISSIONS_DISK_RESERVE_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"

namespace sluice {

// Thread-safe.
class DiskReserve {
 public:
  // Returns the free bytes of the disk. May block.
  using FreeBytes = std::function<absl::StatusOr<std::size_t>()>;

  // `minimum` is in bytes. With 0 the disk is never low.
  DiskReserve(FreeBytes free_bytes, std::size_t minimum)
      : free_bytes_(std::move(free_bytes)), minimum_(minimum) {
    Measure();
  }

  void SetMinimum(std::size_t minimum) {
    minimum_.store(minimum, std::memory_order_relaxed);
  }

  // Measures and returns the free bytes. If the measurement fails, returns
  // nothing, and `low` keeps using the last result. May block.
  std::optional<std::size_t> Measure() {
    const absl::StatusOr<std::size_t> bytes = free_bytes_();
    if (!bytes.ok()) return std::nullopt;
    free_.store(*bytes, std::memory_order_relaxed);
    return *bytes;
  }

  // True if less than the minimum was free at the last Measure. Does not block.
  bool low() const {
    return free_.load(std::memory_order_relaxed) <
           minimum_.load(std::memory_order_relaxed);
  }

 private:
  const FreeBytes free_bytes_;
  std::atomic<std::size_t> minimum_;
  std::atomic<std::size_t> free_{static_cast<std::size_t>(-1)};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_DISK_RESERVE_H_

#include "server/submissions/number_reserve.h"

#include <algorithm>

#include "base/check.h"
#include "spdlog/spdlog.h"

namespace sluice {

absl::StatusOr<std::unique_ptr<NumberReserve>> NumberReserve::Start(
    ServerRegistry* registry, const std::atomic<std::int64_t>* last,
    Clock* clock) {
  absl::StatusOr<std::int64_t> reserved = registry->Reserved();
  if (!reserved.ok()) return reserved.status();
  if (*reserved - *last < kBlock / 2) {
    const std::int64_t target = *last + kBlock;
    const absl::Status status = registry->Reserve(target);
    // The disk may be full. Receipts and exports do not need the numbers.
    if (status.ok()) reserved = target;
  }
  return std::unique_ptr<NumberReserve>(
      new NumberReserve(registry, last, clock, *reserved));
}

NumberReserve::NumberReserve(ServerRegistry* registry,
                             const std::atomic<std::int64_t>* last,
                             Clock* clock, std::int64_t reserved)
    : registry_(registry), last_(last), clock_(clock), reserved_(reserved) {
  thread_ = std::thread([this] { Run(); });
}

NumberReserve::~NumberReserve() { Join(); }

bool NumberReserve::used_up() {
  if (registry_ == nullptr) return false;
  WakeIfNeeded();
  return last_->load(std::memory_order_relaxed) >=
         reserved_.load(std::memory_order_relaxed);
}

bool NumberReserve::Covers(std::int64_t sequence) {
  if (registry_ == nullptr) return true;
  WakeIfNeeded();
  return sequence <= reserved_.load(std::memory_order_relaxed);
}

void NumberReserve::WakeIfNeeded() {
  if (!NeedsMore() || woken_.load(std::memory_order_relaxed)) return;
  if (woken_.exchange(true)) return;
  absl::MutexLock lock(&mutex_);
  changed_.SignalAll();
}

void NumberReserve::Run() {
  absl::MutexLock lock(&mutex_);
  while (!closed_) {
    if (!NeedsMore()) {
      // Reset before the next look at the numbers, so that no wake-up is lost.
      woken_ = false;
      if (!NeedsMore()) changed_.Wait(&mutex_);
      continue;
    }
    const std::int64_t target = last_->load() + kBlock;
    reserving_ = true;
    mutex_.Unlock();
    const absl::Status status = registry_->Reserve(target);
    mutex_.Lock();
    reserving_ = false;
    changed_.SignalAll();
    if (status.ok()) {
      reserved_.store(target, std::memory_order_relaxed);
      continue;
    }
    mutex_.Unlock();
    spdlog::warn("store failed: reserving sequence numbers left={} status={}",
                 std::max<std::int64_t>(0, reserved_ - *last_),
                 status.ToString());
    mutex_.Lock();
    const TimePoint again_at = clock_->Now() + kTryAgainAfter;
    while (!closed_ && clock_->Now() < again_at) {
      clock_->Wait(&changed_, &mutex_, again_at);
    }
  }
}

void NumberReserve::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  changed_.SignalAll();
}

bool NumberReserve::AwaitIdle(TimePoint deadline) {
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK(closed_);
  while (reserving_ && clock_->Now() < deadline) {
    clock_->Wait(&changed_, &mutex_, deadline);
  }
  return !reserving_;
}

void NumberReserve::Join() {
  Close();
  if (thread_.joinable()) thread_.join();
}

}  // namespace sluice

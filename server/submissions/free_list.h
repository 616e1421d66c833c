// Free lists for objects that are allocated once per submission. Their memory
// is reused instead of being returned to the allocator.

#ifndef SLUICE_SERVER_SUBMISSIONS_FREE_LIST_H_
#define SLUICE_SERVER_SUBMISSIONS_FREE_LIST_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"

namespace sluice {

// A last-in, first-out list of at most kMax values. Thread-safe.
template <typename T>
class FreeList {
 public:
  // The list keeps at most this many values, and destroys further values. With
  // AddressSanitizer no values are kept: it could not report the use of an
  // object after its memory was given to another object.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  static constexpr std::size_t kMax = 0;
#else
  static constexpr std::size_t kMax = 1024;
#endif

  // Reserves room for kMax values, so that Give does not allocate.
  FreeList() { values_.reserve(kMax); }

  // Returns the list of this process, which is never destroyed: a thread may
  // end late, and give a value back after all destructors of static objects.
  static FreeList& Instance() {
    static auto* const instance = new FreeList;
    return *instance;
  }

  // Returns the value that was added last, or nothing if the list is empty.
  std::optional<T> Take() {
    absl::MutexLock lock(&mutex_);
    if (values_.empty()) return std::nullopt;
    std::optional<T> taken(std::move(values_.back()));
    values_.pop_back();
    return taken;
  }

  void Give(T value) {
    absl::MutexLock lock(&mutex_);
    if (values_.size() < kMax) values_.push_back(std::move(value));
  }

 private:
  absl::Mutex mutex_;
  std::vector<T> values_ ABSL_GUARDED_BY(mutex_);
};

// An allocator for std::allocate_shared, and for operators new and delete of a
// class. Its memory comes from the free list of T. Allocates one T at a time.
template <typename T>
class FreeListAllocator {
 public:
  using value_type = T;

  FreeListAllocator() = default;
  template <typename U>
  explicit FreeListAllocator(const FreeListAllocator<U>&) {}

  T* allocate(std::size_t count) {
    SLUICE_DCHECK_EQ(count, 1u);
    auto block = FreeList<BlockPtr>::Instance().Take();
    BlockPtr memory = block ? *std::move(block) : std::make_unique<Block>();
    return reinterpret_cast<T*>(memory.release());
  }
  void deallocate(T* object, std::size_t /*count*/) {
    FreeList<BlockPtr>::Instance().Give(
        BlockPtr(reinterpret_cast<Block*>(object)));
  }

  template <typename U>
  bool operator==(const FreeListAllocator<U>&) const {
    return true;
  }

 private:
  struct Block {
    alignas(T) std::byte bytes[sizeof(T)];
  };
  using BlockPtr = std::unique_ptr<Block>;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_FREE_LIST_H_

// What is used again instead of being given back to the allocator: one
// submission after another needs the same.

#ifndef SLUICE_SERVER_SUBMISSIONS_RECYCLED_H_
#define SLUICE_SERVER_SUBMISSIONS_RECYCLED_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace sluice {

// Thread-safe.
template <typename T>
class Spares {
 public:
  // More are let go. AddressSanitizer would not see that one is used by whoever
  // had it before.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  static constexpr std::size_t kMax = 0;
#else
  static constexpr std::size_t kMax = 1024;
#endif

  // So that giving one back does not fail.
  Spares() { spares_.reserve(kMax); }

  // Of a process, and never destroyed: a thread may end after all else.
  static Spares& Instance() {
    static auto* const instance = new Spares;
    return *instance;
  }

  // The one that came last; nothing where there is none.
  std::optional<T> Take() {
    absl::MutexLock lock(&mutex_);
    if (spares_.empty()) return std::nullopt;
    std::optional<T> taken(std::move(spares_.back()));
    spares_.pop_back();
    return taken;
  }

  void Give(T spare) {
    absl::MutexLock lock(&mutex_);
    if (spares_.size() < kMax) spares_.push_back(std::move(spare));
  }

 private:
  absl::Mutex mutex_;
  std::vector<T> spares_ ABSL_GUARDED_BY(mutex_);
};

// An allocator of the standard library's kind for one T at a time, as
// std::allocate_shared needs it.
template <typename T>
class RecyclingAllocator {
 public:
  using value_type = T;

  RecyclingAllocator() = default;
  template <typename U>
  explicit RecyclingAllocator(const RecyclingAllocator<U>&) {}

  T* allocate(std::size_t) {
    auto spare = Spares<Memory>::Instance().Take();
    Memory memory = spare ? *std::move(spare) : std::make_unique<Block>();
    return reinterpret_cast<T*>(memory.release());
  }
  void deallocate(T* object, std::size_t) {
    Spares<Memory>::Instance().Give(Memory(reinterpret_cast<Block*>(object)));
  }

  template <typename U>
  bool operator==(const RecyclingAllocator<U>&) const {
    return true;
  }

 private:
  struct Block {
    alignas(T) std::byte bytes[sizeof(T)];
  };
  using Memory = std::unique_ptr<Block>;
};

// Base of a class whose objects are made with `new`, and of which no other is
// derived.
template <typename T>
class Recycled {
 public:
  static void* operator new(std::size_t) {
    return RecyclingAllocator<T>().allocate(1);
  }
  static void operator delete(void* object) {
    RecyclingAllocator<T>().deallocate(static_cast<T*>(object), 1);
  }
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_RECYCLED_H_

#include "server/submissions/free_list.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(FreeList, TakesTheValueThatWasGivenLast) {
  FreeList<int> list;
  EXPECT_EQ(list.Take(), std::nullopt);
  list.Give(1);
  list.Give(2);
  if (FreeList<int>::kMax == 0) GTEST_SKIP() << "not under AddressSanitizer";
  EXPECT_EQ(list.Take(), 2);
  EXPECT_EQ(list.Take(), 1);
  EXPECT_EQ(list.Take(), std::nullopt);
}

TEST(FreeList, DestroysValuesBeyondItsLimit) {
  using Shared = std::shared_ptr<int>;
  FreeList<Shared> list;
  const auto value = std::make_shared<int>(1);
  constexpr std::size_t kMax = FreeList<Shared>::kMax;
  for (std::size_t i = 0; i < 2 * kMax; ++i) list.Give(value);
  EXPECT_EQ(value.use_count(), static_cast<long>(kMax + 1));
}

struct alignas(64) Aligned {
  std::size_t number = 0;
};

TEST(FreeListAllocator, GivesEveryThreadMemoryOfItsOwn) {
  const auto make_many = [] {
    for (std::size_t i = 0; i < 1000; ++i) {
      std::vector<std::shared_ptr<Aligned>> some;
      for (std::size_t j = 0; j < 10; ++j) {
        some.push_back(std::allocate_shared<Aligned>(
            FreeListAllocator<Aligned>(), Aligned{.number = j}));
      }
      for (std::size_t j = 0; j < 10; ++j) ASSERT_EQ(some[j]->number, j);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(make_many);
  for (std::thread& thread : threads) thread.join();
}

class Object {
 public:
  virtual ~Object() = default;
};

// Uses the free list as SubmitCall does.
class Pooled final : public Object {
 public:
  static void* operator new(std::size_t) {
    return FreeListAllocator<Pooled>().allocate(1);
  }
  static void operator delete(void* object) {
    FreeListAllocator<Pooled>().deallocate(static_cast<Pooled*>(object), 1);
  }
  int more = 0;
};

TEST(FreeListAllocator, ServesOperatorsNewAndDelete) {
  Object* const object = new Pooled;
  const void* const memory = object;
  delete object;
  const auto another = std::make_unique<Pooled>();
  if (FreeList<int>::kMax == 0) GTEST_SKIP() << "not under AddressSanitizer";
  EXPECT_EQ(another.get(), memory);
}

}  // namespace
}  // namespace sluice

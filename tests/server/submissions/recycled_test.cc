#include "server/submissions/recycled.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(Spares, GiveBackWhatCameLast) {
  Spares<int> spares;
  EXPECT_EQ(spares.Take(), std::nullopt);
  spares.Give(1);
  spares.Give(2);
  if (Spares<int>::kMax == 0) GTEST_SKIP() << "not under AddressSanitizer";
  EXPECT_EQ(spares.Take(), 2);
  EXPECT_EQ(spares.Take(), 1);
  EXPECT_EQ(spares.Take(), std::nullopt);
}

TEST(Spares, LetGoOfMoreThanEnough) {
  using Shared = std::shared_ptr<int>;
  Spares<Shared> spares;
  const auto one = std::make_shared<int>(1);
  constexpr std::size_t kMax = Spares<Shared>::kMax;
  for (std::size_t i = 0; i < 2 * kMax; ++i) spares.Give(one);
  EXPECT_EQ(one.use_count(), static_cast<long>(kMax + 1));
}

struct alignas(64) Aligned {
  std::size_t number = 0;
};

TEST(RecyclingAllocator, HasMemoryForEveryThread) {
  const auto make_many = [] {
    for (std::size_t i = 0; i < 1000; ++i) {
      std::vector<std::shared_ptr<Aligned>> some;
      for (std::size_t j = 0; j < 10; ++j) {
        some.push_back(std::allocate_shared<Aligned>(
            RecyclingAllocator<Aligned>(), Aligned{.number = j}));
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

class Derived final : public Object, public Recycled<Derived> {
 public:
  int more = 0;
};

TEST(Recycled, IsGivenBackAsWhatItIs) {
  Object* const object = new Derived;
  const void* const memory = object;
  delete object;
  const auto another = std::make_unique<Derived>();
  if (Spares<int>::kMax == 0) GTEST_SKIP() << "not under AddressSanitizer";
  EXPECT_EQ(another.get(), memory);
}

}  // namespace
}  // namespace sluice

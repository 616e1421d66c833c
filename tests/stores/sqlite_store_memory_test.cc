// Tests a SqliteStore when a saving thread runs out of memory during a batch.

// Not for sanitizers, which have their own allocators.
#ifndef SLUICE_SANITIZED

#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "stores/sqlite_store.h"
#include "tests/stores/store_fixture.h"

namespace {

// If above 0: number of allocations of this thread until an allocation fails.
thread_local int failing_allocation = 0;

}  // namespace

void* operator new(std::size_t size) {
  if (failing_allocation > 0 && --failing_allocation == 0) {
    throw std::bad_alloc();
  }
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice {
namespace {

TEST(SqliteStoreMemory, ABatchThatRunsOutOfMemoryLeavesTheQueue) {
  const TempFolder folder;
  auto store = SqliteStore::Open({.path = folder / "sluice.db"},
                                 [](auto, auto, auto) { return false; });
  ASSERT_TRUE(store.ok()) << store.status();
  std::int64_t sequence = 0;
  int failures = 0;
  for (int allocation = 1; allocation <= 12; ++allocation) {
    const std::string id = absl::StrCat("id-", allocation);
    const std::vector<Submission> batch = {MakeSubmission(++sequence, id)};
    std::vector<Saved> saved(1);
    failing_allocation = allocation;
    try {
      failures +=
          (*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok() ? 0 : 1;
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    failing_allocation = 0;
    // A batch that stayed in the queue would block all later batches.
    ASSERT_EQ((*store)->batches_in_progress(), 0u) << allocation;
    ASSERT_TRUE((*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok());
    EXPECT_EQ(saved[0].sequence, sequence);
  }
  EXPECT_GT(failures, 0);
}

}  // namespace
}  // namespace sluice

#endif  // SLUICE_SANITIZED

#include "base/check.h"

#include <thread>

#include "base/thread_checker.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(CheckDeathTest, AFailedCheckNamesFileAndCondition) {
  EXPECT_DEATH(CheckFailed("pool/gate.cc", 7, "queued <= capacity"),
               "pool/gate.cc:7: check failed: queued <= capacity");
}

TEST(CheckDeathTest, IsActiveInBuildsWithChecksOnly) {
  if constexpr (kChecks) {
    EXPECT_DEATH(SLUICE_DCHECK(1 + 1 == 3), "check failed: 1 \\+ 1 == 3");
  } else {
    SLUICE_DCHECK(1 + 1 == 3);
  }
}

TEST(Check, ATrueConditionPasses) { SLUICE_DCHECK_EQ(1 + 1, 2); }

TEST(Check, TheConditionIsNotEvaluatedWithoutChecks) {
  int evaluations = 0;
  SLUICE_DCHECK(++evaluations > 0);
  EXPECT_EQ(evaluations, kChecks ? 1 : 0);
}

TEST(ThreadChecker, BelongsToTheFirstThreadThatAsks) {
  const ThreadChecker checker;
  EXPECT_TRUE(checker.CalledOnOwner());
  EXPECT_TRUE(checker.CalledOnOwner());
  bool other = true;
  std::thread([&] { other = checker.CalledOnOwner(); }).join();
  EXPECT_FALSE(other);
}

TEST(ThreadChecker, DetachLetsAnotherThreadOwnIt) {
  ThreadChecker checker;
  EXPECT_TRUE(checker.CalledOnOwner());
  checker.Detach();
  bool other = false;
  std::thread([&] { other = checker.CalledOnOwner(); }).join();
  EXPECT_TRUE(other);
  EXPECT_FALSE(checker.CalledOnOwner());
}

}  // namespace
}  // namespace sluice

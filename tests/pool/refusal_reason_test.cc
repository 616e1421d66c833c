#include "pool/refusal_reason.h"

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(RefusalReason, EveryReasonHasAName) {
  for (std::size_t i = 0; i < kRefusalReasons; ++i) {
    EXPECT_NE(RefusalReasonName(static_cast<RefusalReason>(i)), "");
  }
}

}  // namespace
}  // namespace sluice

#include "stores/write_hang.h"

#include <chrono>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::seconds;

TEST(WriteHangTest, TellsAUseThatDoesNotEnd) {
  WriteHang hang;
  const TimePoint start{seconds(100)};
  EXPECT_TRUE(hang.Look(start).ok());
  EXPECT_TRUE(hang.Look(start + seconds(4)).ok());
  EXPECT_TRUE(absl::IsUnavailable(hang.Look(start + seconds(5))));
  hang.Ended();
  EXPECT_TRUE(hang.Look(start + seconds(6)).ok());
}

TEST(WriteHangTest, ManyUsesAreNoHang) {
  WriteHang hang;
  for (int second = 1; second < 60; ++second) {
    EXPECT_TRUE(hang.Look(TimePoint{seconds(second)}).ok());
    hang.Ended();
  }
}

}  // namespace
}  // namespace sluice

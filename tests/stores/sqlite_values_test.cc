#include "stores/sqlite_values.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

std::string ByTheLibrary(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

TEST(TimeText, IsToTheMicrosecondInUtc) {
  EXPECT_EQ(TimeText(absl::UnixEpoch()), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(TimeText(absl::UnixEpoch() - absl::Microseconds(1)),
            "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(TimeText(absl::FromUnixMicros(1'772'395'200'000'042)),
            "2026-03-01T20:00:00.000042Z");
  EXPECT_EQ(TimeText(absl::UnixEpoch()), "1970-01-01T00:00:00.000000Z");
}

// Formats several times in a row, some on the same day and some on other days.
TEST(TimeText, IsWhatTheLibrarySays) {
  std::mt19937_64 random(1);
  const std::int64_t first = absl::ToUnixMicros(
      absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone()));
  const std::int64_t last = absl::ToUnixMicros(absl::FromCivil(
                                absl::CivilYear(10000), absl::UTCTimeZone())) -
                            1;
  std::uniform_int_distribution<std::int64_t> any(first, last);
  std::uniform_int_distribution<std::int64_t> near(-100'000'000'000,
                                                   100'000'000'000);
  for (int i = 0; i < 10000; ++i) {
    const std::int64_t at = any(random);
    for (int j = 0; j < 3; ++j) {
      const absl::Time time =
          absl::FromUnixMicros(std::clamp(at + near(random), first, last)) +
          absl::Nanoseconds(random() % 1000);
      ASSERT_EQ(TimeText(time), ByTheLibrary(time));
    }
  }
}

TEST(TimeText, IsEmptyOfWhatSqliteCannotRead) {
  EXPECT_EQ(TimeText(std::optional<absl::Time>()), "");
  const auto begin_of = [](int year) {
    return std::optional(
        absl::FromCivil(absl::CivilYear(year), absl::UTCTimeZone()));
  };
  EXPECT_EQ(TimeText(begin_of(-1)), "");
  EXPECT_EQ(TimeText(begin_of(0)), "0000-01-01T00:00:00.000000Z");
  EXPECT_EQ(TimeText(begin_of(9999)), "9999-01-01T00:00:00.000000Z");
  EXPECT_EQ(TimeText(begin_of(10000)), "");
}

}  // namespace
}  // namespace sluice

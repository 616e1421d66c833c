#include "base/uuid.h"

#include <algorithm>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace sluice {
namespace {

const absl::Time kNow = absl::FromUnixMillis(1'772'395'200'123);

TEST(IsUuid, TellsUuidsFromOtherText) {
  EXPECT_TRUE(IsUuid("919108f7-52d1-4320-9bac-f847db4148a8"));
  EXPECT_TRUE(IsUuid("919108F7-52D1-4320-9BAC-F847DB4148A8"));
  for (const char* text : {"", "gcs", "919108f7-52d1-4320-9bac-f847db4148a",
                           "919108f7-52d1-4320-9bac-f847db4148a80",
                           "919108f7052d1-4320-9bac-f847db4148a8",
                           "919108f7-52d1-4320-9bac-f847db4148ag",
                           "{19108f7-52d1-4320-9bac-f847db4148a}"}) {
    EXPECT_FALSE(IsUuid(text)) << text;
  }
}

// The example is from RFC 9562, appendix A.4 (DNS name space).
TEST(NameBasedUuid, IsThatOfTheRfc) {
  EXPECT_EQ(View(NameBasedUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                               "www.example.com")),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(UuidGenerator, MarksVersionAndVariant) {
  for (const auto version : {UuidVersion::kRandom, UuidVersion::kTimeOrdered}) {
    UuidGenerator ids(version, 1);
    for (int i = 0; i < 100; ++i) {
      const UuidText id = ids.Next(kNow);
      EXPECT_TRUE(IsUuid(View(id)));
      EXPECT_EQ(id[14], version == UuidVersion::kRandom ? '4' : '7');
      EXPECT_TRUE(id[19] == '8' || id[19] == '9' || id[19] == 'a' ||
                  id[19] == 'b');
    }
  }
}

TEST(UuidGenerator, Version7BeginsWithTheTimeAndGrowsWithIt) {
  UuidGenerator ids(UuidVersion::kTimeOrdered, 1);
  // 1772395200123 in hexadecimal.
  EXPECT_EQ(View(ids.Next(kNow)).substr(0, 15), "019caafc-7e7b-7");
  std::string before;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id(View(ids.Next(kNow + i * absl::Nanoseconds(250))));
    EXPECT_GT(id, before);
    before = id;
  }
}

TEST(UuidGenerator, FollowsFromItsSeedAndNeverRepeats) {
  UuidGenerator first(UuidVersion::kRandom, 5);
  UuidGenerator again(UuidVersion::kRandom, 5);
  UuidGenerator other(UuidVersion::kRandom, 6);
  std::set<UuidText> seen;
  for (int i = 0; i < 1000; ++i) {
    const UuidText id = first.Next(kNow);
    EXPECT_EQ(again.Next(kNow), id);
    seen.insert(id);
    seen.insert(other.Next(kNow));
  }
  EXPECT_EQ(seen.size(), 2000U);
}

}  // namespace
}  // namespace sluice

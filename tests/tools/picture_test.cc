#include "tools/load/picture.h"

#include <chrono>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr LoadClock::time_point kStart{std::chrono::hours(1)};

class PictureTest : public testing::Test {
 protected:
  PictureTest() {
    profile_.name = "a<day>.yaml";
    profile_.start = absl::Hours(7);
    profile_.compress = 3600;
    profile_.duration = absl::Seconds(3);
    result_.tally.Keep(
        Timeline(kStart, seconds(3), seconds(1), milliseconds(250)));
    for (int i = 0; i < 3; ++i) {
      result_.tally.Sent(kStart + seconds(i));
      result_.tally.Ended({.intended_start = kStart + seconds(i),
                           .end = kStart + seconds(i) + milliseconds(20)});
    }
  }

  std::string Picture() const { return LoadPicture(profile_, result_); }

  LoadProfile profile_;
  LoadResult result_{.tally = Tally(Window{kStart, kStart + seconds(3)}),
                     .end = kStart + seconds(3)};
};

TEST_F(PictureTest, ShowsCallsAndLatencyByTheClockOfTheProfile) {
  EXPECT_THAT(Picture(),
              AllOf(HasSubstr("a&lt;day&gt;.yaml: 3 h played in 3 s"),
                    HasSubstr(">offered<"), HasSubstr(">99 % within<"),
                    HasSubstr(">07:00<"), HasSubstr(">09:30<")));
}

TEST_F(PictureTest, ShowsWhatCameToABadEndOnlyWhereSomethingDid) {
  EXPECT_THAT(Picture(),
              AllOf(Not(HasSubstr(">refused<")), Not(HasSubstr(">failed<"))));
  result_.tally.Ended({.intended_start = kStart,
                       .end = kStart,
                       .code = absl::StatusCode::kResourceExhausted});
  EXPECT_THAT(Picture(),
              AllOf(HasSubstr(">refused<"), Not(HasSubstr(">failed<"))));
}

TEST_F(PictureTest, ShowsTheServersSideWhereItWasAsked) {
  EXPECT_THAT(Picture(), Not(HasSubstr("Workers")));
  result_.samples = {{.at = kStart, .workers = 5, .busy = 2, .depth = 7}};
  EXPECT_THAT(Picture(), AllOf(HasSubstr(">Workers<"), HasSubstr(">busy<"),
                               HasSubstr(">in the queue<")));
}

}  // namespace
}  // namespace sluice

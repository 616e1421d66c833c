#include "loadgen/profile.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "loadgen/internal/arrival_schedule.h"
#include "loadgen/traffic/yaml_file.h"
#include "tests/tools/run_tool.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr TimePoint kStart{std::chrono::hours(1)};

Traffic Parse(const std::string& arrivals) {
  ConfigErrors errors;
  Traffic traffic = ParseTraffic(
      "start: \"06:00\"\n"
      "duration: 2h\n"
      "seed: 5\n"
      "store: {per_batch: 5ms, per_submission: 0}\n"
      "arrivals:\n" +
          arrivals,
      &errors);
  EXPECT_TRUE(errors.empty()) << errors.front().ToString("traffic");
  return traffic;
}

constexpr char kTwoCurves[] =
    "  diaries: {method: Submit, curve: {\"06:00\": 0, \"07:00\": 600,"
    " \"08:00\": 0}}\n"
    "  others: {method: Submit, rate: 100}\n"
    "  events: {method: RecordEvents, rate: 5000}\n";

LoadProfile Profile(const std::string& arrivals, absl::Duration duration,
                    double scale) {
  auto profile = CompressTraffic(Parse(arrivals), "Submit", duration, scale);
  EXPECT_TRUE(profile.ok()) << profile.status();
  return *std::move(profile);
}

std::vector<TimePoint> AllStarts(const LoadProfile& profile) {
  std::vector<TimePoint> starts;
  for (ProfileSchedule schedule(profile, kStart); schedule.next() != kForever;
       schedule.Advance()) {
    starts.push_back(schedule.next());
  }
  return starts;
}

TEST(CompressTraffic, ShortensTheTimeAndKeepsTheRates) {
  const LoadProfile profile = Profile(kTwoCurves, absl::Minutes(2), 1);
  EXPECT_EQ(profile.start, absl::Hours(6));
  EXPECT_DOUBLE_EQ(profile.compress, 60);
  EXPECT_DOUBLE_EQ(profile.peak(), 700);
  ASSERT_EQ(profile.sources.size(), 2U);
  EXPECT_DOUBLE_EQ(profile.sources[0].curve.RateAt(60), 600);
  EXPECT_DOUBLE_EQ(profile.sources[0].curve.RateAt(30), 300);
  EXPECT_DOUBLE_EQ(profile.sources[1].curve.RateAt(119), 100);
  // The curve is a triangle of 120 s with a peak of 600, plus a constant 100.
  EXPECT_DOUBLE_EQ(profile.sources[0].total() + profile.sources[1].total(),
                   48000);
}

TEST(CompressTraffic, ScaleMultipliesTheRates) {
  const LoadProfile profile = Profile(kTwoCurves, absl::Minutes(2), 2.5);
  EXPECT_DOUBLE_EQ(profile.peak(), 1750);
}

TEST(CompressTraffic, OfAStormTimeAndSitesShrinkAlike) {
  const char* storm =
      "  sites: {method: Submit, sites: 400, storms: {back: {at: \"07:00\","
      " within: 10m, submissions: 3}}}\n";
  const LoadProfile profile = Profile(storm, absl::Minutes(2), 1);
  ASSERT_EQ(profile.sources[0].storms.size(), 1U);
  EXPECT_EQ(profile.sources[0].storms[0].at, absl::Seconds(60));
  EXPECT_EQ(profile.sources[0].storms[0].within, absl::Seconds(10));
  EXPECT_EQ(profile.sources[0].sites, 7U);  // 400 / 60 sites, rounded
  EXPECT_EQ(AllStarts(profile).size(), 21U);
  EXPECT_EQ(Profile(storm, absl::Seconds(1), 1).sources[0].sites, 1U);
}

TEST(CompressTraffic, WithoutAStormNoSiteIsLeftOut) {
  const LoadProfile profile =
      Profile("  sites: {method: Submit, rate: 5, sites: 400, studies: 8}\n",
              absl::Minutes(2), 1);
  EXPECT_EQ(profile.sources[0].sites, 400U);
  EXPECT_EQ(profile.sources[0].studies, 8U);
}

TEST(CompressTraffic, AStudyHasASiteAtLeast) {
  const LoadProfile profile = Profile(
      "  sites: {method: Submit, sites: 400, studies: 8, storms: {back:"
      " {at: \"07:00\", within: 10m, submissions: 3}}}\n",
      absl::Minutes(2), 1);
  EXPECT_EQ(profile.sources[0].sites, 7U);
  EXPECT_EQ(profile.sources[0].studies, 7U);
}

TEST(CompressTraffic, WantsASourceThatCallsTheMethod) {
  const auto profile =
      CompressTraffic(Parse(kTwoCurves), "ImportPatients", absl::Minutes(2), 1);
  EXPECT_TRUE(absl::IsInvalidArgument(profile.status()));
  EXPECT_THAT(std::string(profile.status().message()),
              HasSubstr("ImportPatients: see --method"));
}

TEST(ProfileSchedule, StartsCallsAsTheCurveSays) {
  const auto starts = AllStarts(Profile(kTwoCurves, absl::Minutes(2), 1));
  EXPECT_TRUE(std::ranges::is_sorted(starts));
  const auto between = [&](int from, int to) {
    return static_cast<double>(std::ranges::count_if(starts, [&](auto at) {
      return at >= kStart + seconds(from) && at < kStart + seconds(to);
    }));
  };
  // The tolerance is about four standard deviations of a Poisson process.
  EXPECT_NEAR(between(0, 10), 1500, 160);
  EXPECT_NEAR(between(55, 65), 6750, 330);
  EXPECT_NEAR(between(110, 120), 1500, 160);
  EXPECT_NEAR(static_cast<double>(starts.size()), 48000, 900);
  EXPECT_LT(starts.back(), kStart + seconds(120));
}

TEST(ProfileSchedule, TellsItsSendersApart) {
  const LoadProfile profile = Profile(
      "  many: {method: Submit, rate: 50, sites: 6, studies: 2}\n"
      "  one: {method: Submit, rate: 10}\n",
      absl::Seconds(2), 1);
  std::map<std::string, std::string> studies;  // study of each site
  for (ProfileSchedule schedule(profile, kStart); schedule.next() != kForever;
       schedule.Advance()) {
    const LoadSender sender = schedule.sender();
    EXPECT_EQ(studies.try_emplace(sender.site, sender.study).first->second,
              sender.study);
  }
  EXPECT_THAT(studies, UnorderedElementsAre(
                           Pair("Submit-1-site-1", "Submit-1-study-1"),
                           Pair("Submit-1-site-2", "Submit-1-study-2"),
                           Pair("Submit-1-site-3", "Submit-1-study-1"),
                           Pair("Submit-1-site-4", "Submit-1-study-2"),
                           Pair("Submit-1-site-5", "Submit-1-study-1"),
                           Pair("Submit-1-site-6", "Submit-1-study-2"),
                           Pair("Submit-2-site-1", "Submit-2-study-1")));
}

TEST(ProfileSchedule, FollowsFromTheSeed) {
  LoadProfile profile = Profile(kTwoCurves, absl::Seconds(2), 1);
  const auto starts = AllStarts(profile);
  EXPECT_EQ(AllStarts(profile), starts);
  profile.seed = 6;
  EXPECT_NE(AllStarts(profile), starts);
}

TEST(ReadYamlFile, TellsAllThatIsWrongWithTheFileAndLine) {
  const std::string path = WriteTempFile(
      "bad.yaml", "duration: 1h\nsede: 1\narrivals: {a: {rate: 1}}\n");
  const auto traffic = ReadYamlFile(path, ParseTraffic);
  ASSERT_TRUE(absl::IsInvalidArgument(traffic.status()));
  const std::string message(traffic.status().message());
  EXPECT_THAT(message, HasSubstr(path + ":2: sede: unknown key"));
  EXPECT_THAT(message, HasSubstr("\n" + path + ":3: arrivals.a.method: "));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadYamlFile("/no/such", ParseTraffic).status()));
}

}  // namespace
}  // namespace sluice

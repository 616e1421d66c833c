#include "loadgen/traffic/traffic.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Returns the errors of `yaml`, each as "line: key: message".
std::vector<std::string> Errors(const std::string& yaml) {
  ConfigErrors errors;
  ParseTraffic(yaml, &errors);
  std::vector<std::string> texts;
  for (const ConfigError& error : errors) {
    texts.push_back(
        absl::StrCat(error.line, ": ", error.key, ": ", error.message));
  }
  return texts;
}

Traffic Parse(const std::string& yaml) {
  ConfigErrors errors;
  Traffic traffic = ParseTraffic(yaml, &errors);
  for (const ConfigError& error : errors) {
    ADD_FAILURE() << error.ToString("traffic") << "\n" << yaml;
  }
  return traffic;
}

// Returns a run from 20:00 to 22:00 whose only source is on line 6.
std::string WithSource(const std::string& source) {
  return absl::StrCat(
      "start: \"20:00\"\n"
      "duration: 2h\n"
      "store: {per_batch: 5ms, per_submission: 50us}\n"
      "arrivals:\n"
      "  # who comes\n"
      "  diaries: ",
      source, "\n");
}

TEST(Traffic, SaysWhoComesAndWhatTheStoreTakes) {
  const Traffic traffic = Parse(
      "start: \"07:00\"\n"
      "duration: 3h\n"
      "seed: 7\n"
      "store:\n"
      "  per_batch: 2ms\n"
      "  per_submission: 50us\n"
      "  jitter: pareto\n"
      "  slowdown: {backup: {from: \"08:00\", to: \"08:30\", times: 2.5}}\n"
      "arrivals:\n"
      "  sites:\n"
      "    method: sluice.v1.Ingestion/ImportPatients\n"
      "    sites: 20\n"
      "    studies: 4\n"
      "    storms: {back: {at: \"07:30\", within: 5m, submissions: 300}}\n"
      "    bytes: 4KiB\n"
      "    deadline: 30s\n"
      "    retries: {attempts: 3}\n"
      "  diaries: {method: Submit, rate: 12.5}\n");
  EXPECT_EQ(traffic.seed, 7U);
  EXPECT_EQ(traffic.store.jitter, Jitter::kPareto);
  EXPECT_EQ(traffic.store.MeanTime(10), absl::Microseconds(2500));
  EXPECT_EQ(traffic.store.FactorAt(absl::Minutes(59)), 1);
  EXPECT_EQ(traffic.store.FactorAt(absl::Minutes(60)), 2.5);
  EXPECT_EQ(traffic.store.FactorAt(absl::Minutes(90)), 1);
  ASSERT_EQ(traffic.sources.size(), 2U);
  const TrafficSource& sites = traffic.sources[0];
  EXPECT_EQ(sites.method, Method::kImportPatients);
  EXPECT_EQ(sites.bytes, 4096U);
  EXPECT_EQ(sites.deadline, absl::Seconds(30));
  EXPECT_EQ(sites.attempts, 3U);
  EXPECT_THAT(sites.storms, ElementsAre(Storm{.at = absl::Minutes(30),
                                              .within = absl::Minutes(5),
                                              .submissions = 300}));
  EXPECT_EQ(sites.total(), 6000);
  EXPECT_EQ(sites.sites, 20U);
  EXPECT_EQ(sites.studies, 4U);
  EXPECT_EQ(traffic.sources[1].name, "diaries");
  EXPECT_EQ(traffic.sources[1].sites, 1U);
  EXPECT_EQ(traffic.sources[1].deadline, absl::InfiniteDuration());
  EXPECT_DOUBLE_EQ(traffic.sources[1].total(), 12.5 * 3 * 3600);
}

TEST(Traffic, StudiesHaveASiteEachUnlessThereAreMore) {
  EXPECT_EQ(Parse(WithSource("{method: Submit, rate: 1, studies: 3}"))
                .sources[0]
                .sites,
            3U);
  const TrafficSource source =
      Parse(WithSource("{method: Submit, rate: 1, sites: 7, studies: 3}"))
          .sources[0];
  EXPECT_EQ(source.StudyOf(0), 0U);
  EXPECT_EQ(source.StudyOf(2), 2U);
  EXPECT_EQ(source.StudyOf(6), 0U);
}

TEST(Traffic, APeakBringsItsShareOnTopOfWhatIsLeft) {
  const Traffic traffic =
      Parse(WithSource("{method: Submit, total: 7200, peaks: {evening: "
                       "{from: \"20:30\", to: \"21:00\", share: 0.5}}}"));
  const RateCurve& curve = traffic.sources[0].curve;
  EXPECT_NEAR(curve.total(), 7200, 1e-6);
  EXPECT_NEAR(curve.RateAt(60), 0.5, 1e-9);
  // 3600 in half an hour are 2 per second. The peak of a bell is twice its
  // mean.
  EXPECT_NEAR(curve.RateAt(45 * 60), 4.5, 1e-9);
}

TEST(Traffic, ACurveHasStraightLinesBetweenItsTimes) {
  const Traffic traffic = Parse(WithSource(
      "{method: Submit, curve: {\"20:00\": 0, \"20:10\": 10, \"21:00\": 0}}"));
  EXPECT_DOUBLE_EQ(traffic.sources[0].curve.RateAt(300), 5);
  EXPECT_DOUBLE_EQ(traffic.sources[0].curve.total(), 5 * 3600);
}

TEST(Traffic, AnErrorNamesItsKeyAndLine) {
  const struct {
    std::string source;
    std::string key;
    std::string message;
  } kWrong[] = {
      {"{rate: 1}", "method", "is missing"},
      {"{method: Sumbit, rate: 1}", "method", "did you mean Submit?"},
      {"{method: Submit}", "rate", "is missing"},
      {"{method: Submit, rate: -1}", "rate", "from 0 to 1000000"},
      {"{method: Submit, rate: nan}", "rate", "must be a number"},
      {"{method: Submit, rate: 1e7}", "rate", "must be a number"},
      {"{method: Submit, rate: 1, total: 5}", "total", "once more"},
      {"{method: Submit, rate: 1, byte: 5}", "byte", "did you mean bytes?"},
      {"{method: Submit, rate: 1, bytes: 0}", "bytes", "must be a size"},
      {"{method: Submit, rate: 1, deadline: 0s}", "deadline", "duration"},
      {"{method: Submit, rate: 1, deadline: 25h}", "deadline", "24h"},
      {"{method: Submit, rate: 1, retries: {}}", "retries.attempts",
       "is missing"},
      {"{method: Submit, rate: 1, retries: {attempts: 101}}",
       "retries.attempts", "from 1 to 100"},
      {"{method: Submit, rate: 1, sites: 100001}", "sites", "from 1 to 100000"},
      {"{method: Submit, rate: 1, studies: 0}", "studies", "from 1 to 100000"},
      {"{method: Submit, rate: 1, sites: 5, studies: 6}", "studies",
       "at most as many as sites, 5"},
      {"{method: Submit, rate: 1, site: 5}", "site", "did you mean sites?"},
      {"{method: Submit, rate: 1, peaks: {}}", "peaks", "needs total"},
      {"{method: Submit, curve: {\"20:00\": 1}}", "curve", "two times"},
      {"{method: Submit, curve: {\"20:00\": 1, \"8pm\": 1}}", "curve.8pm",
       "HH:MM"},
      {"{method: Submit, curve: {\"20:00\": 1, \"22:01\": 1}}", "curve.22:01",
       "from 20:00 to 22:00"},
      {"{method: Submit, curve: {\"21:00\": 1, \"20:00\": 1}}", "curve.20:00",
       "must be later"},
      {"{method: Submit, total: 9, peaks: {a: {from: \"20:30\", to: "
       "\"20:30\", share: 1}}}",
       "peaks.a.to", "later than from"},
      {"{method: Submit, total: 9, peaks: {a: {from: \"20:30\", to: "
       "\"21:00\", share: 1.5}}}",
       "peaks.a.share", "from 0 to 1"},
      {"{method: Submit, total: 9, peaks: {a: {from: \"20:30\", to: "
       "\"21:00\", share: 0.6}, b: {from: \"20:30\", to: \"21:00\", share: "
       "0.6}}}",
       "peaks", "more than 1"},
      {"{method: Submit, storms: {a: {at: \"20:30\", submissions: 1}}}",
       "sites", "is missing"},
      {"{method: Submit, sites: 0, storms: {a: {at: \"20:30\", submissions: "
       "1}}}",
       "sites", "from 1 to 100000"},
      {"{method: Submit, sites: 1, storms: {a: {at: \"20:30\"}}}",
       "storms.a.submissions", "is missing"},
      {"{method: Submit, sites: 1, storms: {a: {at: \"21:30\", within: 31m, "
       "submissions: 1}}}",
       "storms.a.within", "end within the run"},
  };
  for (const auto& wrong : kWrong) {
    EXPECT_THAT(Errors(WithSource(wrong.source)),
                ElementsAre(AllOf(StartsWith(absl::StrCat(
                                      "6: arrivals.diaries.", wrong.key, ": ")),
                                  HasSubstr(wrong.message))))
        << wrong.source;
  }
}

TEST(Traffic, ErrorsOfTheRunAndTheStoreNameKeyAndLineToo) {
  constexpr char kSource[] = "arrivals: {a: {method: Submit, rate: 1}}\n";
  const struct {
    std::string yaml;
    std::string error;
  } kWrong[] = {
      {"duration: 169h\nstore: {per_batch: 1ms, per_submission: 0}\n",
       "1: duration: must be a duration"},
      {"start: \"24:00\"\nstore: {per_batch: 1ms, per_submission: 0}\n",
       "1: start: must be a time of the day"},
      {"\nseed: -1\nstore: {per_batch: 1ms, per_submission: 0}\n",
       "2: seed: must be a whole number"},
      {"store: {per_submission: 0}\n", "1: store.per_batch: is missing"},
      {"store: {per_batch: 2m, per_submission: 0}\n",
       "1: store.per_batch: must be a duration from 0 to 1m"},
      {"store: {per_batch: 1ms, per_submission: 0, jitter: parreto}\n",
       "1: store.jitter: unknown jitter \"parreto\": did you mean pareto?"},
      {"store:\n  per_batch: 1ms\n  per_submission: 0\n  slowdown:\n    a:\n"
       "      {from: \"01:00\", to: \"02:00\"}\n",
       "5: store.slowdown.a.times: is missing"},
      {"store: {per_batch: 1ms, per_submission: 0}\nstorm: 1\n",
       "2: storm: unknown key \"storm\": did you mean store?"},
  };
  for (const auto& wrong : kWrong) {
    EXPECT_THAT(Errors(wrong.yaml + kSource),
                ElementsAre(StartsWith(wrong.error)))
        << wrong.yaml;
  }
}

TEST(Traffic, NoArrivalsAndTooManyAreErrors) {
  constexpr char kStore[] = "store: {per_batch: 1ms, per_submission: 0}\n";
  EXPECT_THAT(Errors(kStore), ElementsAre(HasSubstr("at least one source")));
  EXPECT_THAT(
      Errors(absl::StrCat(kStore,
                          "arrivals:\n"
                          "  a: {method: Submit, total: 600000000}\n"
                          "  b: {method: Submit, total: 600000000}\n")),
      ElementsAre(StartsWith("2: arrivals: are 1.2e+09 submissions in all")));
}

TEST(Traffic, TimesGoOnAfterMidnight) {
  const Traffic traffic = Parse(
      "start: \"20:00\"\nduration: 12h\n"
      "store: {per_batch: 1ms, per_submission: 0}\n"
      "arrivals: {a: {method: Submit, curve: {\"23:00\": 1, \"25:30\": 1}}}\n");
  EXPECT_EQ(traffic.sources[0].curve.points().back().seconds, 5.5 * 3600);
}

}  // namespace
}  // namespace sluice

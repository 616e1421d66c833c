#include "loadgen/server_metrics.h"

#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr char kIdle[] =
    "# TYPE sluice_queue_depth gauge\n"
    "sluice_queue_depth{pool=\"a\"} 0\n"
    "sluice_waiting{pool=\"a\"} 0\r\n"
    "sluice_in_work{pool=\"a\"} 0\n"
    "sluice_queue_depth_max 9\n";

TEST(ServerMetrics, SumsTheSamplesOfOneMetric) {
  constexpr char kText[] =
      "a{pool=\"x y\"} 2\r\na{pool=\"z\"} 3\na 4\naa 100\n# a 100\n";
  EXPECT_EQ(SumOfSamples(kText, "a"), 9);
  EXPECT_EQ(SumOfSamples(kText, "b"), 0);
}

TEST(ServerMetrics, SumsTheSamplesWithAllOfTheLabels) {
  constexpr char kText[] =
      "w{pool=\"a\",state=\"busy\"} 1\n"
      "w{pool=\"a\",state=\"idle\"} 2\n"
      "w{pool=\"b\",state=\"busy\"} 4\n";
  EXPECT_EQ(SumOfSamples(kText, "w", {R"(pool="a")"}), 3);
  EXPECT_EQ(SumOfSamples(kText, "w", {R"(pool="a")", R"(state="busy")"}), 1);
  EXPECT_EQ(SumOfSamples(kText, "w", {R"(pool="c")"}), 0);
}

TEST(ServerMetrics, KnowWhetherThereIsWorkLeft) {
  EXPECT_TRUE(IsWorkedOff(kIdle));
  for (const char* metric : {"sluice_queue_depth", "sluice_waiting",
                             "sluice_in_work", "sluice_journal_depth"}) {
    EXPECT_FALSE(IsWorkedOff(std::string(kIdle) + metric + "{pool=\"b\"} 1\n"))
        << metric;
  }
}

TEST(ServerMetrics, CannotBeReadWhereNobodyListens) {
  EXPECT_FALSE(FetchMetrics(1, absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace sluice

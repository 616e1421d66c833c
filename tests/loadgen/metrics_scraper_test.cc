#include "loadgen/internal/metrics_scraper.h"

#include <chrono>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

constexpr char kText[] =
    "# TYPE sluice_workers gauge\n"
    "sluice_workers{pool=\"clinical\",state=\"busy\"} 3\n"
    "sluice_workers{pool=\"clinical\",state=\"idle\"} 2\n"
    "sluice_workers{pool=\"telemetry\",state=\"idle\"} 1\n"
    "sluice_workers_limit{pool=\"clinical\",bound=\"max\"} 16\n"
    "sluice_queue_depth{pool=\"clinical\"} 70\n"
    "sluice_queue_depth{pool=\"telemetry\"} 5\n"
    "sluice_waiting{pool=\"clinical\"} 9\n";

TEST(ReadPoolSample, IsOfOnePoolOrOfAll) {
  const PoolSample clinical = ReadPoolSample(kText, "clinical");
  EXPECT_EQ(clinical.workers, 5);
  EXPECT_EQ(clinical.busy, 3);
  EXPECT_EQ(clinical.depth, 70);
  EXPECT_EQ(clinical.waiting, 9);
  const PoolSample all = ReadPoolSample(kText, "");
  EXPECT_EQ(all.workers, 6);
  EXPECT_EQ(all.depth, 75);
}

TEST(ByInterval, HoldsTheLastSampleBeforeTheEndOfEach) {
  const std::vector<PoolSample> samples = {
      {.at = kStart + milliseconds(500), .workers = 1},
      {.at = kStart + milliseconds(900), .workers = 2},
      {.at = kStart + milliseconds(3000), .workers = 3}};
  const auto held = ByInterval(samples, kStart, seconds(1), 4);
  ASSERT_EQ(held.size(), 4U);
  EXPECT_EQ(held[0].workers, 2);
  EXPECT_EQ(held[1].workers, 2);
  EXPECT_EQ(held[2].workers, 2);
  EXPECT_EQ(held[3].workers, 3);
  EXPECT_EQ(ByInterval({}, kStart, seconds(1), 1)[0].workers, 0);
}

TEST(MetricsScraper, TakesAUrlOrAnAddress) {
  EXPECT_EQ(*MetricsScraper::HostPort("http://127.0.0.1:9464/metrics"),
            "127.0.0.1:9464");
  EXPECT_EQ(*MetricsScraper::HostPort("localhost:9464"), "localhost:9464");
  for (const char* wrong : {"", "http://", "http:///metrics", "localhost"}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(MetricsScraper::HostPort(wrong).status()))
        << wrong;
  }
}

}  // namespace
}  // namespace sluice

#include "loadgen/internal/tally.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "loadgen/loadgen.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr TimePoint kBegin{std::chrono::hours(1)};
constexpr Window kWindow = {kBegin, kBegin + seconds(10)};

TEST(Window, ContainsWhatStartsAfterTheWarmupAndBeforeTheEnd) {
  const Window window = Window::After(kBegin, seconds(1), seconds(2));
  EXPECT_FALSE(window.Contains(kBegin));
  EXPECT_FALSE(window.Contains(kBegin + seconds(1) - nanoseconds(1)));
  EXPECT_TRUE(window.Contains(kBegin + seconds(1)));
  EXPECT_TRUE(window.Contains(kBegin + seconds(3) - nanoseconds(1)));
  EXPECT_FALSE(window.Contains(kBegin + seconds(3)));
}

CallEnd OkCall(TimePoint start, TimePoint end) {
  CallEnd call{.intended_start = start, .end = end};
  call.dispositions.Add(v1::Receipt::STORED);
  return call;
}

TEST(Tally, CountsTheCallsThatWereMeantToStartInTheWindow) {
  Tally tally(kWindow);
  for (const auto start : {kBegin - milliseconds(1), kBegin,
                           kBegin + seconds(9), kBegin + seconds(10)}) {
    tally.Sent(start);
    tally.Ended(OkCall(start, start + seconds(2)));
    tally.NotSent(start);
  }
  EXPECT_EQ(tally.counts().sent, 2);
  EXPECT_EQ(tally.counts().ended(), 2);
  EXPECT_EQ(tally.counts().unfinished(), 0);
  EXPECT_EQ(tally.counts().not_sent, 2);
  EXPECT_EQ(tally.counts().of(absl::StatusCode::kOk), 2);
  EXPECT_EQ(tally.counts().dispositions.of(v1::Receipt::STORED), 2);
  EXPECT_EQ(tally.counts().latency.max(), seconds(2));
}

TEST(Tally, LatencyCountsFromTheIntendedStart) {
  Tally tally(kWindow);
  tally.Ended(OkCall(kBegin, kBegin + seconds(12)));
  EXPECT_EQ(tally.counts().latency.max(), seconds(12));
}

TEST(Tally, TheRateIsOfTheEndsInTheWindow) {
  Tally tally(kWindow);
  tally.Ended(OkCall(kBegin - seconds(5), kBegin + seconds(1)));
  tally.Ended(OkCall(kBegin, kBegin + seconds(1)));
  tally.Ended(OkCall(kBegin + seconds(9), kBegin + seconds(11)));
  EXPECT_DOUBLE_EQ(tally.Rate(kBegin + seconds(2)), 1);
  EXPECT_DOUBLE_EQ(tally.Rate(kBegin + seconds(15)), 0.2);
  EXPECT_DOUBLE_EQ(tally.Rate(kBegin - seconds(1)), 0);
}

TEST(Tally, WhenStartsStopEarlyTheRateRunsUntilTheLastAnswer) {
  Tally tally(kWindow);
  tally.StopStarts(kBegin + seconds(1));
  tally.Ended(OkCall(kBegin, kBegin + seconds(2)));
  EXPECT_FALSE(tally.window().Contains(kBegin + seconds(1)));
  EXPECT_DOUBLE_EQ(tally.Rate(kBegin + seconds(2)), 0.5);
}

TEST(Tally, CollectsWhatRefusalsSay) {
  Tally tally(kWindow);
  for (const char* pushback : {"70", "50", "900"}) {
    GrpcOutcome outcome;
    outcome.ReadHeader("grpc-status", "8");
    outcome.ReadHeader("grpc-message", "the queue is full");
    outcome.ReadHeader("grpc-retry-pushback-ms", pushback);
    tally.Ended({.intended_start = kBegin,
                 .end = kBegin,
                 .code = absl::StatusCode::kResourceExhausted,
                 .outcome = &outcome});
  }
  EXPECT_EQ(tally.counts().of(absl::StatusCode::kResourceExhausted), 3);
  EXPECT_EQ(tally.counts().first_message(absl::StatusCode::kResourceExhausted),
            "the queue is full");
  ASSERT_TRUE(tally.counts().pushback_ms.has_value());
  EXPECT_EQ(tally.counts().pushback_ms->min, 50);
  EXPECT_EQ(tally.counts().pushback_ms->max, 900);
}

TEST(DispositionCounts, CountsNumbersItDoesNotKnowAsUnspecified) {
  DispositionCounts counts;
  counts.Add(static_cast<v1::Receipt::Disposition>(77));
  counts.Add(static_cast<v1::Receipt::Disposition>(-1));
  EXPECT_EQ(counts.of(v1::Receipt::DISPOSITION_UNSPECIFIED), 2);
}

LoadResult SampleResult() {
  Tally tally(kWindow);
  for (int i = 0; i < 3; ++i) tally.Sent(kBegin);
  tally.Ended(OkCall(kBegin, kBegin + milliseconds(2)));
  tally.Ended({.intended_start = kBegin,
               .end = kBegin + seconds(1),
               .code = absl::StatusCode::kDeadlineExceeded,
               .past_deadline = true});
  return {.counts = tally.counts(),
          .seconds = 10,
          .calls_per_second = tally.Rate(kBegin + seconds(10)),
          .bytes_sent = 5000};
}

TEST(Report, TextHasEverySubjectThatHasContent) {
  LoadOptions options;
  options.deadline = absl::Seconds(1);
  const std::string text = TextReport(options, SampleResult());
  EXPECT_THAT(text, HasSubstr("Submit to 127.0.0.1:50051"));
  EXPECT_THAT(text, HasSubstr("2 ended, 0.2/s"));
  EXPECT_THAT(text, HasSubstr("min 2 ms, p50 "));
  EXPECT_THAT(text, HasSubstr("OK 1, DEADLINE_EXCEEDED 1"));
  EXPECT_THAT(text, HasSubstr("STORED 1"));
  EXPECT_THAT(text, HasSubstr("1 past the deadline of 1s"));
  EXPECT_THAT(text, HasSubstr("1 unanswered at the end"));
  EXPECT_THAT(text, HasSubstr("sent 4.88 KiB"));
  EXPECT_THAT(text, Not(HasSubstr("pushback")));
  EXPECT_THAT(text, Not(HasSubstr("connections ")));
}

TEST(Report, JsonHasTheSameFigures) {
  const auto report =
      nlohmann::json::parse(JsonReport(LoadOptions(), SampleResult()));
  EXPECT_EQ(report["rpc"], "Submit");
  EXPECT_EQ(report["calls"], 2);
  EXPECT_DOUBLE_EQ(report["calls_per_second"], 0.2);
  EXPECT_DOUBLE_EQ(report["latency_us"]["min"], 2000);
  EXPECT_DOUBLE_EQ(report["latency_us"]["max"], 1e6);
  EXPECT_EQ(report["statuses"]["OK"], 1);
  EXPECT_EQ(report["statuses"]["DEADLINE_EXCEEDED"], 1);
  EXPECT_EQ(report["dispositions"]["STORED"], 1);
  EXPECT_EQ(report["past_deadline"], 1);
  EXPECT_EQ(report["unanswered"], 1);
}

TEST(Report, JsonOfARunWithoutCallsIsJson) {
  EXPECT_TRUE(nlohmann::json::accept(JsonReport(LoadOptions(), LoadResult())));
}

}  // namespace
}  // namespace sluice

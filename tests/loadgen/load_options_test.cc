#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "loadgen/loadgen.h"

namespace sluice {
namespace {

TEST(LoadMethod, IsFoundByItsName) {
  EXPECT_EQ(FindLoadMethod("submit"), LoadMethod::kSubmit);
  EXPECT_EQ(RpcName(*FindLoadMethod("stream")), "SubmitStream");
  EXPECT_EQ(RpcName(*FindLoadMethod("import")), "ImportPatients");
  EXPECT_EQ(RpcName(*FindLoadMethod("events")), "RecordEvents");
  EXPECT_EQ(RpcName(*FindLoadMethod("receipts")), "GetReceipts");
  EXPECT_EQ(FindLoadMethod("Submit"), std::nullopt);
}

TEST(Validate, AcceptsTheDefaultsAndAnOpenLoop) {
  LoadOptions options;
  EXPECT_TRUE(Validate(options).ok());
  options.outstanding = 0;
  options.rate = 25'000;
  options.deadline = absl::Milliseconds(250);
  EXPECT_TRUE(Validate(options).ok());
}

TEST(Validate, NamesTheFlagThatIsWrong) {
  struct Wrong {
    std::string flag;
    std::function<void(LoadOptions&)> change;
  };
  const std::vector<Wrong> wrongs = {
      {"--connections", [](auto& o) { o.connections = 0; }},
      {"--connections", [](auto& o) { o.connections = -1; }},
      {"--metrics needs --profile",
       [](auto& o) { o.metrics_url = "http://127.0.0.1:9464/metrics"; }},
      {"--metrics must be like http://",
       [](auto& o) {
         o.profile.emplace();
         o.outstanding = 0;
         o.metrics_url = "localhost";
       }},
      {"--outstanding", [](auto& o) { o.outstanding = 0; }},
      {"--streams", [](auto& o) { o.streams = 2; }},
      {"--streams",
       [](auto& o) {
         o.method = LoadMethod::kStream;
         o.streams = 0;
       }},
      {"--outstanding",
       [](auto& o) {
         o.connections = 50'000;
         o.outstanding = 1'000'000;
       }},
      {"--rate", [](auto& o) { o.rate = -1; }},
      {"--rate", [](auto& o) { o.rate = 1e-300; }},
      {"--rate", [](auto& o) { o.rate = std::nan(""); }},
      {"--rate", [](auto& o) { o.rate = HUGE_VAL; }},
      {"--max_in_flight",
       [](auto& o) {
         o.rate = 1;
         o.in_flight_max = 0;
       }},
      {"--warmup", [](auto& o) { o.warmup = -absl::Seconds(1); }},
      {"--duration", [](auto& o) { o.duration = absl::ZeroDuration(); }},
      {"--duration", [](auto& o) { o.duration = absl::InfiniteDuration(); }},
      {"--grace", [](auto& o) { o.grace = absl::InfiniteDuration(); }},
      {"--requests", [](auto& o) { o.requests = -1; }},
      {"--abandon", [](auto& o) { o.abandon = 1.1; }},
      {"--abandon", [](auto& o) { o.abandon = std::nan(""); }},
      {"--abandon",
       [](auto& o) {
         o.method = LoadMethod::kStream;
         o.abandon = 0.5;
       }},
      {"--deadline", [](auto& o) { o.deadline = absl::ZeroDuration(); }},
      {"--deadline",
       [](auto& o) {
         o.method = LoadMethod::kStream;
         o.deadline = absl::Seconds(1);
       }},
      {"--items", [](auto& o) { o.samples.form.answers = -1; }},
      {"--records", [](auto& o) { o.samples.entries = 0; }},
      {"--size", [](auto& o) { o.samples.form.bytes_min = 1ULL << 40; }},
      {"--size",
       [](auto& o) {
         o.samples.form.bytes_min = 1 << 20;
         o.samples.entries = 100'000;
       }},
  };
  for (const Wrong& wrong : wrongs) {
    LoadOptions options;
    wrong.change(options);
    const auto status = Validate(options);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << wrong.flag;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(wrong.flag));
  }
}

}  // namespace
}  // namespace sluice

#include "tools/ctl/call.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/fake_ingestion.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CallTest : public testing::Test {
 protected:
  CallTest()
      : stub_(v1::Ingestion::NewStub(grpc::CreateChannel(
            server_.target(), grpc::InsecureChannelCredentials()))) {
    options_.sleep = [this](absl::Duration delay) { slept_.push_back(delay); };
  }

  grpc::Status Submit() {
    v1::SubmitRequest request;
    request.set_submission_id("id");
    v1::Receipt receipt;
    return Call(options_, [&](grpc::ClientContext& context) {
      return stub_->Submit(&context, request, &receipt);
    });
  }

  FakeIngestion server_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
  CallOptions options_;
  std::vector<absl::Duration> slept_;
};

TEST_F(CallTest, TellsWhenItWasSent) {
  const absl::Time before = absl::Now();
  ASSERT_TRUE(Submit().ok());
  const auto sent_at = server_.submit_metadata("sluice-sent-at");
  ASSERT_EQ(sent_at.size(), 1U);
  absl::Time time;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, sent_at[0], &time, nullptr));
  EXPECT_GE(time, before - absl::Microseconds(1));
  EXPECT_LE(time, absl::Now());
  // Allow for rounding: gRPC sends deadlines with few digits, rounded up.
  EXPECT_LE(server_.submit_time_left().at(0), 1.1 * options_.timeout);
}

TEST_F(CallTest, TriesAgainAfterTheDelayThatItIsTold) {
  server_.RefuseNext({.pushback = "70"});
  server_.RefuseNext({.retry_delay = absl::Milliseconds(1500)});
  // gRPC's own retries obey the trailer, so it takes precedence.
  server_.RefuseNext({.code = grpc::StatusCode::UNAVAILABLE,
                      .retry_delay = absl::Seconds(9),
                      .pushback = "0"});
  EXPECT_TRUE(Submit().ok());
  EXPECT_THAT(slept_,
              ElementsAre(absl::Milliseconds(70), absl::Milliseconds(1500),
                          absl::ZeroDuration()));
}

TEST_F(CallTest, GivesUpWhenTheRetriesAreUsedUp) {
  options_.retries = 2;
  for (int i = 0; i < 5; ++i) server_.RefuseNext({.pushback = "1"});
  EXPECT_EQ(Submit().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(slept_.size(), 2U);
  EXPECT_EQ(server_.submissions().size(), 3U);
}

TEST_F(CallTest, DoesNotTryAgainWhereItIsNotAskedTo) {
  const std::vector<Refusal> finals = {
      {},                  // no delay
      {.pushback = "-1"},  // no retry
      {.retry_delay = absl::Seconds(1),
       .pushback = "soon"},   // malformed: no retry
      {.pushback = "60001"},  // above kRetryDelayMax
      {.pushback = "99999999999999999999"},
      {.retry_delay = absl::Hours(1)},
      {.retry_delay = -absl::Seconds(1)},
  };
  for (const Refusal& refusal : finals) {
    server_.RefuseNext(refusal);
    EXPECT_FALSE(Submit().ok());
  }
  EXPECT_THAT(slept_, IsEmpty());
  EXPECT_EQ(server_.submissions().size(), finals.size());
}

TEST_F(CallTest, DescribesWhatTheServerSays) {
  server_.RefuseNext({.code = grpc::StatusCode::INVALID_ARGUMENT,
                      .message = "two fields\x1b[31m",
                      .reason = "BAD_FIELDS",
                      .field_violations = {{"study_id", "is missing"},
                                           {"response.item[2]", "is deep"}}});
  const CallError error = DescribeError(Submit());
  EXPECT_EQ(error.code, "INVALID_ARGUMENT");
  EXPECT_EQ(error.reason, "BAD_FIELDS");
  // Control characters of a terminal are escaped.
  EXPECT_EQ(error.message, "two fields\\x1b[31m");
  ASSERT_EQ(error.field_violations.size(), 2U);
  EXPECT_EQ(error.field_violations[1].field, "response.item[2]");
  EXPECT_EQ(error.field_violations[1].description, "is deep");
  EXPECT_EQ(ErrorText(error),
            "INVALID_ARGUMENT: two fields\\x1b[31m (reason BAD_FIELDS)");
}

TEST(DescribeError, CopesWithDetailsThatAreBroken) {
  const CallError error = DescribeError(
      grpc::Status(grpc::StatusCode::INTERNAL, "oops", "\xff\xff no proto"));
  EXPECT_EQ(ErrorText(error), "INTERNAL: oops");
  EXPECT_THAT(error.field_violations, IsEmpty());
}

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("a\x1b[31m\n"), "a\\x1b[31m\\n");
  EXPECT_EQ(Printable("\u009b31m\u0085"), "\\xc2\\x9b31m\\xc2\\x85");
  EXPECT_EQ(Printable("\xff\xc2"), "\\xff\\xc2");
  EXPECT_EQ(Printable("\u00a0\u00e4\u20ac\U0001F642"),
            "\u00a0\u00e4\u20ac\U0001F642");
}

}  // namespace
}  // namespace sluice

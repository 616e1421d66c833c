#include "server/submissions/answer.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = Answer::Kind;

constexpr Duration kDelay = std::chrono::seconds(10);

// The status and the value of the pushback trailer that a caller receives.
struct Told {
  grpc::Status status;
  std::optional<int> pushback_ms;
};

Told Tell(const Answer& answer) {
  grpc::ServerContext context;
  Told told = {.status = ToStatus(answer, &context), .pushback_ms = {}};
  const grpc::testing::ServerContextTestSpouse spouse(&context);
  const auto trailers = spouse.GetTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  int milliseconds = 0;
  if (pushback != trailers.end() &&
      absl::SimpleAtoi(pushback->second, &milliseconds)) {
    told.pushback_ms = milliseconds;
  }
  return told;
}

template <typename T>
std::optional<T> Detail(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_EQ(details.message(), status.error_message());
  for (const auto& detail : details.details()) {
    T found;
    if (detail.UnpackTo(&found)) return found;
  }
  return std::nullopt;
}

absl::Duration ToAbsl(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

void ExpectTryLater(const Answer& answer, grpc::StatusCode code,
                    std::string_view reason, absl::Duration delay) {
  const Told told = Tell(answer);
  EXPECT_EQ(told.status.error_code(), code);
  EXPECT_NE(told.status.error_message(), "");
  const auto info = Detail<google::rpc::ErrorInfo>(told.status);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->domain(), "sluice");
  EXPECT_EQ(info->reason(), reason);
  const auto retry = Detail<google::rpc::RetryInfo>(told.status);
  ASSERT_TRUE(retry.has_value());
  const absl::Duration told_delay = ToAbsl(retry->retry_delay());
  EXPECT_GE(told_delay, delay * 0.8 - absl::Milliseconds(1));
  EXPECT_LE(told_delay, delay * 1.2);
  ASSERT_TRUE(told.pushback_ms.has_value());
  EXPECT_EQ(absl::Milliseconds(*told.pushback_ms), told_delay);
}

// --- Unary calls ---

TEST(ToStatus, IsOkForWhatWasKeptAndForWhatThePolicyDropped) {
  for (const Kind kind :
       {Kind::kStored, Kind::kQueued, Kind::kDuplicate, Kind::kDropped}) {
    const Answer answer = Answer::Of(kind);
    EXPECT_TRUE(answer.ok());
    const Told told = Tell(answer);
    EXPECT_TRUE(told.status.ok());
    EXPECT_FALSE(told.pushback_ms.has_value());
  }
}

TEST(ToStatus, IsFinalForWhatNoRetryCanMend) {
  const std::vector<std::pair<Answer, grpc::StatusCode>> rows = {
      {Answer::Of(Kind::kConflict), grpc::StatusCode::ALREADY_EXISTS},
      {Answer::Invalid({}), grpc::StatusCode::INVALID_ARGUMENT},
      {Answer::Of(Kind::kDeadline), grpc::StatusCode::DEADLINE_EXCEEDED},
      {Answer::Of(Kind::kCancelled), grpc::StatusCode::CANCELLED},
      {Answer::Failed("0123abcd"), grpc::StatusCode::INTERNAL}};
  for (const auto& [answer, code] : rows) {
    EXPECT_FALSE(answer.ok());
    const Told told = Tell(answer);
    EXPECT_EQ(told.status.error_code(), code);
    EXPECT_FALSE(told.pushback_ms.has_value());
  }
}

TEST(ToStatus, NamesTheFieldThatIsInvalid) {
  const Told told = Tell(Answer::Invalid({"response.item[2]", "cut off"}));
  EXPECT_EQ(told.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(told.status.error_message(), "response.item[2]: cut off");
  const auto details = Detail<google::rpc::BadRequest>(told.status);
  ASSERT_TRUE(details.has_value());
  ASSERT_THAT(details->field_violations(), SizeIs(1));
  EXPECT_EQ(details->field_violations(0).field(), "response.item[2]");
  EXPECT_EQ(details->field_violations(0).description(), "cut off");
}

TEST(ToStatus, OfAnInvalidMessageHasNoField) {
  const Told told = Tell(Answer::Invalid({"", "too large"}));
  EXPECT_EQ(told.status.error_message(), "too large");
}

TEST(ToStatus, TellsARefusedCallerTheReasonAndWhenToComeAgain) {
  const std::vector<std::pair<TaskResult, grpc::StatusCode>> rows = {
      {TaskResult::kQueueFull, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {TaskResult::kWaitOver, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {TaskResult::kWaitingRoomFull, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {TaskResult::kDraining, grpc::StatusCode::UNAVAILABLE}};
  for (const auto& [reason, code] : rows) {
    const Answer answer = Answer::Refused(reason, kDelay);
    EXPECT_FALSE(answer.ok());
    ExpectTryLater(answer, code, RefusalReasonName(reason), absl::Seconds(10));
  }
}

TEST(ToStatus, OfAStoreThatCannotBeReachedIsUnavailable) {
  const Answer answer = Answer::Unavailable();
  EXPECT_FALSE(answer.ok());
  ExpectTryLater(answer, grpc::StatusCode::UNAVAILABLE, "STORE_UNAVAILABLE",
                 absl::Seconds(1));
}

TEST(ToStatus, OfAFailureHasTheIdOfTheLogLine) {
  EXPECT_THAT(Tell(Answer::Failed("0123abcd")).status.error_message(),
              HasSubstr("0123abcd"));
}

TEST(Answer, HasARandomRetryDelay) {
  absl::Duration shortest = absl::InfiniteDuration();
  absl::Duration longest = absl::ZeroDuration();
  for (int i = 0; i < 10'000; ++i) {
    const absl::Duration delay =
        Answer::Refused(TaskResult::kQueueFull, kDelay).retry_delay;
    shortest = std::min(shortest, delay);
    longest = std::max(longest, delay);
  }
  // The random factors come near both ends of 0.8 to 1.2.
  EXPECT_GE(shortest, absl::Seconds(8));
  EXPECT_LT(shortest, absl::Milliseconds(8050));
  EXPECT_LE(longest, absl::Seconds(12));
  EXPECT_GT(longest, absl::Milliseconds(11'950));
}

TEST(Answer, ToAnEndedTaskSaysWhy) {
  EXPECT_EQ(Answer::Ended(TaskResult::kDeadline, kDelay).kind, Kind::kDeadline);
  const Answer wait_over = Answer::Ended(TaskResult::kWaitOver, kDelay);
  EXPECT_EQ(wait_over.kind, Kind::kRefused);
  EXPECT_EQ(wait_over.reason, TaskResult::kWaitOver);
  const Answer draining = Answer::Ended(TaskResult::kDraining, kDelay);
  EXPECT_EQ(draining.kind, Kind::kRefused);
  EXPECT_EQ(draining.reason, TaskResult::kDraining);
  EXPECT_EQ(Answer::Ended(TaskResult::kDropped, kDelay).kind, Kind::kDropped);
}

TEST(Answer, ToARefusedTaskCarriesReasonAndDelay) {
  const Answer refused = Answer::Ended(TaskResult::kWaitingRoomFull, kDelay);
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.reason, TaskResult::kWaitingRoomFull);
  EXPECT_GE(refused.retry_delay, absl::Seconds(8));
}

}  // namespace
}  // namespace sluice

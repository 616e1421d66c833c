#include "tests/fakes/call_status.h"

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace sluice {

std::string TrailerOf(const grpc::ClientContext& context,
                      const std::string& name) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find(name);
  if (found == trailers.end()) return "";
  return {found->second.data(), found->second.size()};
}

absl::Duration ExpectTryLater(const grpc::Status& status,
                              const grpc::ClientContext& context,
                              grpc::StatusCode code, std::string_view reason) {
  EXPECT_EQ(status.error_code(), code) << status.error_message();
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());

  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  EXPECT_TRUE(info.has_value());
  if (info.has_value()) {
    EXPECT_EQ(info->domain(), "sluice");
    EXPECT_EQ(info->reason(), reason);
  }
  const auto retry = FindDetail<google::rpc::RetryInfo>(status);
  EXPECT_TRUE(retry.has_value());
  if (!retry.has_value()) return absl::ZeroDuration();
  const absl::Duration delay = absl::Seconds(retry->retry_delay().seconds()) +
                               absl::Nanoseconds(retry->retry_delay().nanos());
  EXPECT_EQ(TrailerOf(context, "grpc-retry-pushback-ms"),
            absl::StrCat(absl::ToInt64Milliseconds(delay)));
  // Delays are 50 ms to 32 s, times a random factor of 0.8 to 1.2.
  EXPECT_GE(delay, absl::Milliseconds(40));
  EXPECT_LE(delay, absl::Milliseconds(38400));
  return delay;
}

}  // namespace sluice

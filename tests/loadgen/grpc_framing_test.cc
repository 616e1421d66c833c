#include "loadgen/internal/grpc_framing.h"

#include <nghttp2/nghttp2.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::IsEmpty;

std::string Framed(const std::vector<std::string>& messages) {
  std::string bytes;
  for (const auto& message : messages) AppendGrpcMessage(message, bytes);
  return bytes;
}

// Returns the messages that a reader finds in `bytes`, fed in pieces of
// `piece`.
std::vector<std::string> ReadInPieces(GrpcMessageReader& reader,
                                      const std::string& bytes,
                                      std::size_t piece) {
  std::vector<std::string> messages;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto status = reader.Read(
        absl::string_view(bytes).substr(at, piece),
        [&](absl::string_view message) { messages.emplace_back(message); });
    EXPECT_TRUE(status.ok()) << status;
  }
  return messages;
}

TEST(AppendGrpcMessage, PutsFlagAndLengthInFront) {
  EXPECT_EQ(Framed({"ab"}), std::string("\0\0\0\0\2ab", 7));
  const std::string large = Framed({std::string(0x010203, 'x')});
  EXPECT_EQ(large.substr(0, 5), std::string("\0\0\1\2\3", 5));
}

TEST(GrpcMessageReader, PutsMessagesTogetherHoweverTheyAreCut) {
  const std::vector<std::string> messages = {"", "a", std::string(300, 'b'), "",
                                             "cd"};
  const std::string bytes = Framed(messages);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    GrpcMessageReader reader;
    EXPECT_EQ(ReadInPieces(reader, bytes, piece), messages) << piece;
    EXPECT_FALSE(reader.inside_message());
  }
}

TEST(GrpcMessageReader, KnowsThatAMessageIsNotComplete) {
  const std::string bytes = Framed({"abc"});
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    GrpcMessageReader reader;
    EXPECT_THAT(ReadInPieces(reader, bytes.substr(0, size), size), IsEmpty());
    EXPECT_TRUE(reader.inside_message()) << size;
    reader.Reset();
    EXPECT_FALSE(reader.inside_message());
  }
}

TEST(GrpcMessageReader, RefusesWhatIsCompressedOrTooLong) {
  const auto nothing = [](absl::string_view) { FAIL(); };
  for (const std::string& prefix :
       {std::string("\1\0\0\0\1", 5), std::string("\x80\0\0\0\1", 5),
        std::string("\0\4\0\0\1", 5), std::string("\0\xff\xff\xff\xff", 5)}) {
    GrpcMessageReader at_once;
    EXPECT_TRUE(absl::IsInternal(at_once.Read(prefix, nothing)));
    GrpcMessageReader in_pieces;
    ASSERT_TRUE(in_pieces.Read(prefix.substr(0, 3), nothing).ok());
    EXPECT_TRUE(absl::IsInternal(in_pieces.Read(prefix.substr(3), nothing)));
  }
}

TEST(GrpcMessageReader, SurvivesRandomBytes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) {
      // Use mostly zeros, so that most lengths are small.
      byte = static_cast<char>(random() % 4 == 0 ? random() % 256 : 0);
    }
    GrpcMessageReader reader;
    std::size_t taken = 0;
    reader
        .Read(bytes,
              [&](absl::string_view message) { taken += 5 + message.size(); })
        .IgnoreError();
    EXPECT_LE(taken, bytes.size());
  }
}

TEST(FormatGrpcTimeout, UsesTheFinestUnitThatHasRoom) {
  EXPECT_EQ(FormatGrpcTimeout(absl::Nanoseconds(1)), "1n");
  EXPECT_EQ(FormatGrpcTimeout(absl::Milliseconds(50)), "50000000n");
  EXPECT_EQ(FormatGrpcTimeout(absl::Milliseconds(250)), "250000u");
  EXPECT_EQ(FormatGrpcTimeout(absl::Seconds(100)), "100000m");
  EXPECT_EQ(FormatGrpcTimeout(absl::Hours(24 * 7)), "604800S");
  // Timeouts are rounded up, because a deadline must not be early.
  EXPECT_EQ(FormatGrpcTimeout(absl::Milliseconds(100) + absl::Nanoseconds(1)),
            "100001u");
}

TEST(FormatGrpcTimeout, HasAnAnswerForEveryDuration) {
  EXPECT_EQ(FormatGrpcTimeout(absl::ZeroDuration()), "1n");
  EXPECT_EQ(FormatGrpcTimeout(-absl::Seconds(1)), "1n");
  EXPECT_EQ(FormatGrpcTimeout(absl::InfiniteDuration()), "99999999H");
}

TEST(GrpcOutcome, TakesTheServersStatus) {
  GrpcOutcome outcome;
  outcome.ReadHeader(":status", "200");
  outcome.ReadHeader("content-type", "application/grpc");
  outcome.ReadHeader("grpc-status", "8");
  outcome.ReadHeader("grpc-message", "caf%C3%A9 is 100%25 full%2x%");
  EXPECT_EQ(outcome.Code(NGHTTP2_NO_ERROR),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(outcome.Message(), "caf\xC3\xA9 is 100% full%2x%");
}

TEST(GrpcOutcome, ReadsAStatusThatMakesNoSenseAsUnknown) {
  for (const char* value : {"", "x", "17", "-1", "99999999999999999999"}) {
    GrpcOutcome outcome;
    outcome.ReadHeader("grpc-status", value);
    EXPECT_EQ(outcome.Code(NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  }
}

TEST(GrpcOutcome, WithoutAStatusFollowsHttpAndThenTheStreamsEnd) {
  const auto code = [](const char* http_status, std::uint32_t h2_error) {
    GrpcOutcome outcome;
    if (http_status != nullptr) outcome.ReadHeader(":status", http_status);
    return outcome.Code(h2_error);
  };
  EXPECT_EQ(code("404", NGHTTP2_NO_ERROR), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code("503", NGHTTP2_CANCEL), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("418", NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  EXPECT_EQ(code("no number", NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  EXPECT_EQ(code("200", NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  EXPECT_EQ(code(nullptr, NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  EXPECT_EQ(code("200", NGHTTP2_CANCEL), absl::StatusCode::kCancelled);
  EXPECT_EQ(code(nullptr, NGHTTP2_REFUSED_STREAM),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(nullptr, NGHTTP2_ENHANCE_YOUR_CALM),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(nullptr, NGHTTP2_PROTOCOL_ERROR), absl::StatusCode::kInternal);
}

TEST(GrpcOutcome, ReadsThePushback) {
  const auto pushback = [](const char* value) {
    GrpcOutcome outcome;
    outcome.ReadHeader("grpc-retry-pushback-ms", value);
    return outcome.pushback_ms().value_or(-2);
  };
  EXPECT_EQ(pushback("0"), 0);
  EXPECT_EQ(pushback("1250"), 1250);
  for (const char* no_retry : {"-1", "-7", "soon", "", "1.5"}) {
    EXPECT_EQ(pushback(no_retry), -1) << no_retry;
  }
  EXPECT_FALSE(GrpcOutcome().pushback_ms().has_value());
}

TEST(GrpcOutcome, FindsTheReasonAmongTheDetails) {
  google::rpc::Status status;
  google::rpc::RetryInfo retry;
  google::rpc::ErrorInfo info;
  info.set_reason("QUEUE_FULL");
  status.add_details()->PackFrom(retry);
  status.add_details()->PackFrom(info);
  std::string padded;
  absl::Base64Escape(status.SerializeAsString(), &padded);
  const std::string unpadded = padded.substr(0, padded.find('='));

  for (const std::string& value : {padded, unpadded}) {
    GrpcOutcome outcome;
    outcome.ReadHeader("grpc-status-details-bin", value);
    EXPECT_EQ(outcome.Reason(), "QUEUE_FULL");
  }
}

TEST(GrpcOutcome, HasNoReasonWhereTheDetailsAreBroken) {
  for (const std::string& value :
       {std::string(), std::string("!!!"), std::string("AAAA"),
        absl::Base64Escape("\x1a\xff"), std::string(20'000, 'A')}) {
    GrpcOutcome outcome;
    outcome.ReadHeader("grpc-status-details-bin", value);
    EXPECT_EQ(outcome.Reason(), "");
  }
}

TEST(GrpcOutcome, ForgetsOnReset) {
  GrpcOutcome outcome;
  outcome.ReadHeader(":status", "404");
  outcome.ReadHeader("grpc-status", "8");
  outcome.ReadHeader("grpc-message", "text");
  outcome.ReadHeader("grpc-retry-pushback-ms", "5");
  outcome.Reset();
  EXPECT_EQ(outcome.Code(NGHTTP2_NO_ERROR), absl::StatusCode::kUnknown);
  EXPECT_EQ(outcome.Message(), "");
  EXPECT_FALSE(outcome.pushback_ms().has_value());
}

}  // namespace
}  // namespace sluice

#include "server/calls/receipt.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = Answer::Kind;
using v1::Receipt;

// Returns an answer with all values that a receipt may have.
Answer Kept(Kind kind) {
  Answer answer = Answer::Of(kind);
  answer.kept.sequence = 7;
  answer.kept.received_at = absl::FromUnixMicros(1'772'395'200'123'456);
  answer.kept.content_sha256.fill(0xAB);
  answer.why = std::make_shared<const Violation>(Violation{"field", "wrong"});
  return answer;
}

// Returns the receipt as a client reads it.
Receipt ReceiptOf(const Answer& answer, std::string_view submission_id) {
  Receipt receipt;
  EXPECT_TRUE(receipt.ParseFromString(
      std::string(SerializeReceipt(answer, submission_id))));
  EXPECT_TRUE(receipt.GetReflection()->GetUnknownFields(receipt).empty());
  return receipt;
}

TEST(SerializeReceipt, HasTheDispositionOfTheTable) {
  const std::vector<std::pair<Kind, Receipt::Disposition>> rows = {
      {Kind::kStored, Receipt::STORED},
      {Kind::kQueued, Receipt::QUEUED},
      {Kind::kDuplicate, Receipt::DUPLICATE},
      {Kind::kDropped, Receipt::DROPPED},
      {Kind::kConflict, Receipt::CONFLICT},
      {Kind::kInvalid, Receipt::INVALID},
      {Kind::kRefused, Receipt::REFUSED},
      {Kind::kDeadline, Receipt::REFUSED},
      {Kind::kCancelled, Receipt::REFUSED},
      {Kind::kFailed, Receipt::REFUSED}};
  for (const auto& [kind, disposition] : rows) {
    const Receipt receipt = ReceiptOf(Kept(kind), "id");
    EXPECT_EQ(receipt.submission_id(), "id");
    EXPECT_EQ(receipt.disposition(), disposition);
  }
}

TEST(SerializeReceipt, OfWhatWasKeptHasSequenceTimeAndHash) {
  for (const Kind kind : {Kind::kStored, Kind::kQueued, Kind::kDuplicate}) {
    const Receipt receipt = ReceiptOf(Kept(kind), "id");
    EXPECT_EQ(receipt.sequence(), 7);
    EXPECT_EQ(receipt.received_at().seconds(), 1'772'395'200);
    EXPECT_EQ(receipt.received_at().nanos(), 123'456'000);
    EXPECT_EQ(receipt.content_sha256(), std::string(32, '\xAB'));
    EXPECT_THAT(receipt.issue(), SizeIs(0));
    EXPECT_FALSE(receipt.has_retry_delay());
  }
}

TEST(SerializeReceipt, OfOneWithoutATimeOrNumberIsStillAReceipt) {
  const Receipt receipt = ReceiptOf(Answer::Stored({}), "");
  EXPECT_EQ(receipt.submission_id(), "");
  EXPECT_EQ(receipt.sequence(), 0);
  EXPECT_EQ(receipt.received_at().seconds(), 0);
}

TEST(SerializeReceipt, OfWhatWasNotKeptHasNoneOfThem) {
  for (const Kind kind :
       {Kind::kDropped, Kind::kConflict, Kind::kInvalid, Kind::kRefused,
        Kind::kDeadline, Kind::kCancelled, Kind::kFailed}) {
    const Receipt receipt = ReceiptOf(Kept(kind), "id");
    EXPECT_EQ(receipt.sequence(), 0);
    EXPECT_FALSE(receipt.has_received_at());
    EXPECT_EQ(receipt.content_sha256(), "");
  }
}

TEST(SerializeReceipt, TellsWhenToComeAgain) {
  const Answer refused =
      Answer::Refused(TaskResult::kQueueFull, std::chrono::seconds(10));
  for (const Answer& answer : {refused, Answer::Unavailable()}) {
    const Receipt receipt = ReceiptOf(answer, "id");
    EXPECT_EQ(absl::Seconds(receipt.retry_delay().seconds()) +
                  absl::Nanoseconds(receipt.retry_delay().nanos()),
              absl::Trunc(answer.retry_delay, absl::Milliseconds(1)));
    ASSERT_THAT(receipt.issue(), SizeIs(1));
    EXPECT_NE(receipt.issue(0).description(), "");
  }
}

TEST(SerializeReceipt, TellsWhatIsWrong) {
  const Receipt invalid =
      ReceiptOf(Answer::Invalid({"records[3].data", "cut off"}), "id");
  ASSERT_THAT(invalid.issue(), SizeIs(1));
  EXPECT_EQ(invalid.issue(0).field(), "records[3].data");
  EXPECT_EQ(invalid.issue(0).description(), "cut off");
  const Receipt failed = ReceiptOf(Answer::Failed("0123abcd"), "id");
  ASSERT_THAT(failed.issue(), SizeIs(1));
  EXPECT_THAT(failed.issue(0).description(), HasSubstr("0123abcd"));
}

}  // namespace
}  // namespace sluice

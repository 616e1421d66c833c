#include "tools/ctl/commands.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_ingestion.h"
#include "tests/tools/run_tool.h"

namespace sluice {
namespace {

constexpr char kResponse[] = R"({
  "resourceType": "QuestionnaireResponse",
  "id": "r1",
  "text": {"status": "generated"},
  "questionnaire": "http://example.org/q|1",
  "status": "completed",
  "subject": {"reference": "Patient/1"},
  "item": [{"linkId": "1", "answer": [{"valueInteger": 3}]}]
})";

class CommandsTest : public testing::Test {
 protected:
  CommandsTest()
      : stub_(v1::Ingestion::NewStub(grpc::CreateChannel(
            server_.target(), grpc::InsecureChannelCredentials()))) {
    options_.study_id = "STUDY-1";
    options_.site_id = "SITE-1";
    options_.call.sleep = [](absl::Duration) {};
  }

  ReceiptRow SubmitText(const std::string& text) {
    return SubmitFile(*stub_, WriteTempFile("response.json", text), options_);
  }

  std::vector<ReceiptRow> Fetch(const std::vector<std::string>& ids) {
    std::vector<ReceiptRow> rows;
    FetchReceipts(*stub_, "STUDY-1", ids, options_.call,
                  [&](const ReceiptRow& row) { rows.push_back(row); });
    return rows;
  }

  FakeIngestion server_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
  SubmitOptions options_;
};

TEST_F(CommandsTest, SubmitsWhatIsInTheFile) {
  const ReceiptRow row = SubmitText(kResponse);
  ASSERT_TRUE(row.receipt.has_value());
  EXPECT_EQ(row.receipt->disposition(), v1::Receipt::STORED);
  EXPECT_THAT(row.left_out, testing::Contains("text"));

  const auto request = server_.submissions().at(0);
  EXPECT_EQ(request.submission_id(), row.submission_id);
  EXPECT_EQ(request.study_id(), "STUDY-1");
  EXPECT_EQ(request.site_id(), "SITE-1");
  EXPECT_EQ(request.response().item(0).answer(0).integer(), 3);
}

TEST_F(CommandsTest, TheSameResponseAgainIsADuplicate) {
  SubmitText(kResponse);
  const ReceiptRow row = SubmitText(kResponse);
  EXPECT_EQ(row.receipt->disposition(), v1::Receipt::DUPLICATE);
  const auto sent = server_.submissions();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].SerializeAsString(), sent[1].SerializeAsString());
}

TEST_F(CommandsTest, ARefusalIsOvercome) {
  server_.RefuseNext({.pushback = "5"});
  EXPECT_TRUE(Taken(SubmitText(kResponse)));
}

TEST_F(CommandsTest, ARefusalForGoodIsTold) {
  server_.RefuseNext({.code = grpc::StatusCode::ALREADY_EXISTS,
                      .message = "already used for different content",
                      .reason = "CONFLICT"});
  const ReceiptRow row = SubmitText(kResponse);
  EXPECT_FALSE(row.receipt.has_value());
  EXPECT_EQ(row.error.code, "ALREADY_EXISTS");
  EXPECT_EQ(row.error.reason, "CONFLICT");
  EXPECT_FALSE(row.submission_id.empty());
}

TEST_F(CommandsTest, BadFilesAreNotSent) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"),
        std::string(R"({"resourceType": "Patient"})"), std::string(1000, '['),
        std::string("\xff\xfe\0", 3)}) {
    const ReceiptRow row = SubmitText(text);
    EXPECT_EQ(row.error.code, "NOT_SENT") << text;
    EXPECT_FALSE(row.error.message.empty());
  }
  EXPECT_TRUE(server_.submissions().empty());
}

TEST_F(CommandsTest, FilesThatCannotBeReadAreNotSent) {
  for (const char* path : {"/no/such/file.json", "/", "", "/dev/zero"}) {
    const ReceiptRow row = SubmitFile(*stub_, path, options_);
    EXPECT_EQ(row.error.code, "NOT_SENT") << path;
    EXPECT_FALSE(row.error.message.empty()) << path;
  }
}

TEST_F(CommandsTest, ReceiptsComeInTheOrderOfTheIds) {
  const std::string known = SubmitText(kResponse).submission_id;
  const auto rows = Fetch({"unknown", known});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].submission_id, "unknown");
  EXPECT_EQ(rows[0].receipt->disposition(), v1::Receipt::UNKNOWN);
  EXPECT_EQ(rows[1].submission_id, known);
  EXPECT_EQ(rows[1].receipt->disposition(), v1::Receipt::STORED);
}

TEST_F(CommandsTest, MoreIdsThanACallTakesGoInSeveral) {
  const auto rows = Fetch(std::vector<std::string>(25'000, "id"));
  EXPECT_EQ(rows.size(), 25'000U);
}

TEST_F(CommandsTest, WithoutAServerEveryIdHasTheError) {
  server_.Stop();
  const auto rows = Fetch({"a", "b"});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].error.code, "UNAVAILABLE");
}

}  // namespace
}  // namespace sluice

#include "tools/ctl/export.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/sha256.h"
#include "forms/fhir_json.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_admin.h"
#include "tools/ctl/quarantine.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class ExportTest : public testing::Test {
 protected:
  ExportReport Export(const ExportOptions& options) {
    const auto write = [this](absl::string_view lines) {
      out_.append(lines.data(), lines.size());
      return ++writes_ < writes_max_;
    };
    const auto progress = [this](double fraction, std::int64_t) {
      fractions_.push_back(fraction);
    };
    return ExportStored(*stub_, options,
                        {.write = write, .progress = progress});
  }

  FakeAdmin server_;
  const std::unique_ptr<v1::Admin::Stub> stub_ =
      v1::Admin::NewStub(grpc::CreateChannel(
          server_.target(), grpc::InsecureChannelCredentials()));
  std::string out_;
  int writes_ = 0;
  int writes_max_ = 1000;
  std::vector<double> fractions_;
};

TEST_F(ExportTest, NdjsonIsAResourceALine) {
  server_.AddExported(ExportedResponse(1));
  server_.AddExported(ExportedResponse(2));
  const ExportReport report = Export({});
  EXPECT_TRUE(report.status.ok());
  EXPECT_EQ(report.written, 2);
  const std::vector<std::string> lines = absl::StrSplit(out_, '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2], "");
  const auto parsed = ParseFhirJson(lines[1]);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->id, "id-2");
  EXPECT_EQ(parsed->response.item(0).answer(0).decimal(), "1.10");
  EXPECT_THAT(lines[1], HasSubstr(R"("valueString":"2")"));
  EXPECT_THAT(lines[1], HasSubstr("2026-03-01T19:15:00.123456Z"));
}

TEST_F(ExportTest, CsvIsAnAnswerARowInTheColumnsOfTheView) {
  v1::ExportedSubmission submission = ExportedResponse(7);
  server_.AddExported(submission);
  EXPECT_TRUE(
      Export(
          {.format = ExportFormat::kCsv, .study_id = "", .since = std::nullopt})
          .status.ok());
  EXPECT_EQ(
      out_,
      "sequence,study_id,site_id,submission_id,subject,questionnaire,status,"
      "position,link_id,type,value,unit,system,display,authored,received_at"
      "\r\n"
      "7,S,SITE,id-7,Patient/1,http://example.org/q|1,completed,0,pain,"
      "decimal,1.10,,,,2026-03-01T20:15:00+01:00,2026-03-01T19:15:00.123456Z"
      "\r\n");
}

TEST_F(ExportTest, CsvWritesEveryTypeOfValue) {
  v1::SubmitRequest request;
  auto* item = request.mutable_response()->add_item();
  item->set_link_id("1");
  item->add_answer()->set_boolean(false);
  item->add_answer()->set_integer(-9'007'199'254'740'993);
  auto* coding = item->add_answer()->mutable_coding();
  coding->set_code("c");
  coding->set_system("s");
  coding->set_display("a \"b\", c");
  auto* quantity = item->add_answer()->mutable_quantity();
  quantity->set_value("5.0");
  quantity->set_unit("mg");
  v1::ExportedSubmission submission = ExportedResponse(1);
  submission.set_content(request.SerializeAsString());
  const auto digest = Sha256(submission.content());
  submission.set_content_sha256(std::string(digest.begin(), digest.end()));
  const auto rows = FormatSubmission(ExportFormat::kCsv, submission);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, HasSubstr(",0,1,boolean,false,,,,"));
  EXPECT_THAT(*rows, HasSubstr(",1,1,integer,-9007199254740993,,,,"));
  EXPECT_THAT(*rows, HasSubstr(",2,1,coding,c,,s,\"a \"\"b\"\", c\","));
  EXPECT_THAT(*rows, HasSubstr(",3,1,quantity,5.0,mg,,,"));
}

TEST_F(ExportTest, AsksForWhatIsWanted) {
  Export({.format = ExportFormat::kNdjson,
          .study_id = "S",
          .since = absl::FromUnixMillis(1'500)});
  const auto request = server_.exports().at(0);
  EXPECT_EQ(request.study_id(), "S");
  EXPECT_EQ(request.received_since().seconds(), 1);
  EXPECT_EQ(request.received_since().nanos(), 500'000'000);
  Export({});
  EXPECT_FALSE(server_.exports().at(1).has_received_since());
}

TEST_F(ExportTest, CountsWhatIsLeftOutAndWhatIsMissing) {
  v1::ExportedSubmission event = ExportedResponse(3);
  event.set_kind(v1::APP_EVENT);
  server_.AddExported(event);
  server_.AddGap(4, 6, v1::SequenceGap::DUPLICATE);
  server_.AddGap(7, 8, v1::SequenceGap::UNACCOUNTED);
  server_.AddExported(ExportedResponse(9));
  server_.AddGap(10, 10, v1::SequenceGap::UNACCOUNTED);
  const ExportReport report = Export({});
  EXPECT_EQ(report.written, 1);
  EXPECT_THAT(report.left_out, ElementsAre(Pair(v1::APP_EVENT, 1)));
  EXPECT_THAT(Describe(report),
              ElementsAre("note: left out, since the format is for "
                          "questionnaire responses: 1 APP_EVENT",
                          "note: numbers that are not stored: DUPLICATE 3, "
                          "UNACCOUNTED 3",
                          "note: UNACCOUNTED: 7-8, 10"));
}

TEST_F(ExportTest, WhereAllIsWellNothingIsSaid) {
  server_.AddExported(ExportedResponse(1));
  EXPECT_THAT(Describe(Export({})), IsEmpty());
}

TEST_F(ExportTest, ListsAreBounded) {
  for (std::int64_t n = 1; n <= 100; n += 2) {
    server_.AddGap(n, n, v1::SequenceGap::UNACCOUNTED);
  }
  const ExportReport report = Export({});
  EXPECT_EQ(report.unaccounted.size(), ExportReport::kListedMax);
  EXPECT_THAT(Describe(report).back(), testing::EndsWith("39, and 30 more"));
}

TEST_F(ExportTest, DamagedContentIsToldAndHoldsBackNoneOfTheOthers) {
  v1::ExportedSubmission changed = ExportedResponse(1);
  changed.mutable_content()->back() ^= 1;
  server_.AddExported(changed);
  server_.AddExported(ExportedResponse(2));
  const ExportReport report = Export({});
  EXPECT_TRUE(report.status.ok());
  EXPECT_EQ(report.written, 1);
  EXPECT_THAT(report.damaged, ElementsAre(1));
  EXPECT_THAT(Describe(report).at(0), HasSubstr("damaged: 1"));
}

TEST_F(ExportTest, ProgressIsOfThisServersNumbers) {
  server_.AddProgress(1, 4);
  const std::int64_t second = std::int64_t{2} << 40;
  server_.AddProgress(second + 3, second + 4);
  server_.AddProgress(0, 0);
  Export({});
  EXPECT_THAT(fractions_, ElementsAre(0.25, 0.75, 0.0));
}

TEST_F(ExportTest, AnErrorOfTheServerIsTheReports) {
  server_.AddExported(ExportedResponse(1));
  server_.EndExportsWith({grpc::StatusCode::UNAVAILABLE, "away"});
  EXPECT_EQ(Export({}).status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ExportTest, ASinkThatIsFullEndsIt) {
  for (std::int64_t n = 1; n <= 5; ++n) {
    server_.AddExported(ExportedResponse(n));
  }
  writes_max_ = 3;  // allows the header and two lines
  const ExportReport report = Export({});
  EXPECT_EQ(report.status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(writes_, 3);
}

TEST(ParseSinceTest, TakesDaysAndInstants) {
  EXPECT_EQ(*ParseSince("2026-03-01"), absl::FromUnixSeconds(1'772'323'200));
  EXPECT_EQ(*ParseSince("2026-03-01T20:15:00+01:00"),
            absl::FromUnixSeconds(1'772'392'500));
  EXPECT_EQ(*ParseSince("2026-03-01T19:15:00.5Z"),
            absl::FromUnixMillis(1'772'392'500'500));
  for (const char* text : {"", "yesterday", "infinite-past", "2026-13-01",
                           "2026-03-01T20:15:00", "1772323200"}) {
    EXPECT_FALSE(ParseSince(text).ok()) << text;
  }
}

// --- The quarantine ---

class QuarantineTest : public ExportTest {
 protected:
  QuarantineReport ExportIt() {
    return ExportQuarantine(*stub_, "", {}, [this](absl::string_view line) {
      out_.append(line.data(), line.size());
      return true;
    });
  }
};

TEST_F(QuarantineTest, ListsByPages) {
  for (std::int64_t n = 1; n <= 2'500; ++n) {
    v1::GetQuarantinedResponse entry;
    entry.mutable_entry()->set_sequence(n);
    server_.AddQuarantined(entry);
  }
  std::int64_t last = 0;
  EXPECT_TRUE(ListQuarantine(*stub_, "", {},
                             [&](const v1::QuarantinedSubmission& entry) {
                               EXPECT_EQ(entry.sequence(), last + 1);
                               last = entry.sequence();
                               return true;
                             })
                  .ok());
  EXPECT_EQ(last, 2'500);
}

TEST_F(QuarantineTest, RetriesByCallsThatTheServiceTakes) {
  std::vector<std::int64_t> sequences(25'000);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    sequences[i] = static_cast<std::int64_t>(i) + 1;
  }
  server_.AddQuarantined(QuarantinedResponse(25'000));
  v1::RetryQuarantinedResponse answer;
  EXPECT_TRUE(RetryQuarantined(*stub_, "", sequences, {}, &answer).ok());
  EXPECT_EQ(answer.unknown_size(), 24'999);
  EXPECT_THAT(answer.retried(), ElementsAre(25'000));
  EXPECT_EQ(server_.retries().size(), 3U);
}

TEST_F(QuarantineTest, IsExportedWithItsReason) {
  server_.AddQuarantined(QuarantinedResponse(5));
  v1::GetQuarantinedResponse record = QuarantinedResponse(6);
  record.mutable_entry()->set_kind(v1::PATIENT_RECORD);
  server_.AddQuarantined(record);
  v1::GetQuarantinedResponse damaged = QuarantinedResponse(7);
  damaged.set_content("\xff");
  server_.AddQuarantined(damaged);
  const QuarantineReport report = ExportIt();
  EXPECT_TRUE(report.status.ok());
  EXPECT_EQ(report.written, 1);
  EXPECT_EQ(report.left_out, 1);
  EXPECT_THAT(report.damaged, ElementsAre(7));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
  EXPECT_THAT(out_, HasSubstr(R"({"url":"reason",)"
                              R"("valueString":"the store says no"})"));
}

}  // namespace
}  // namespace sluice

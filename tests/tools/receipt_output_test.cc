#include "tools/ctl/receipt_output.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::HasSubstr;

ReceiptRow StoredRow() {
  v1::Receipt receipt;
  receipt.set_disposition(v1::Receipt::STORED);
  receipt.set_sequence(42);
  receipt.mutable_received_at()->set_seconds(1'772'395'200);
  receipt.mutable_received_at()->set_nanos(5'000'000);
  receipt.set_content_sha256(std::string(32, '\xab'));
  return {.file = "a.json",
          .submission_id = "019caafc-7e7b-7000-8000-000000000000",
          .receipt = receipt,
          .error = {},
          .left_out = {"text", "meta"}};
}

ReceiptRow FailedRow() {
  return {.file = "long/name/b.json",
          .submission_id = "",
          .receipt = std::nullopt,
          .error = {.code = "NOT_SENT",
                    .message = "no such file",
                    .reason = "",
                    .field_violations = {{"study_id", "is missing"}}},
          .left_out = {}};
}

TEST(Taken, MeansThatTheServerHasIt) {
  for (const auto& [disposition, taken] :
       std::vector<std::pair<v1::Receipt::Disposition, bool>>{
           {v1::Receipt::STORED, true},
           {v1::Receipt::QUEUED, true},
           {v1::Receipt::DUPLICATE, true},
           {v1::Receipt::QUARANTINED, false},
           {v1::Receipt::DROPPED, false},
           {v1::Receipt::REFUSED, false},
           {v1::Receipt::CONFLICT, false},
           {v1::Receipt::INVALID, false},
           {v1::Receipt::UNKNOWN, false},
           {v1::Receipt::DISPOSITION_UNSPECIFIED, false}}) {
    ReceiptRow row = StoredRow();
    row.receipt->set_disposition(disposition);
    EXPECT_EQ(Taken(row), taken) << disposition;
  }
  EXPECT_FALSE(Taken(FailedRow()));
}

TEST(ReceiptOutput, TheTablesColumnsAreAligned) {
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput output(ReceiptOutput::Format::kTable,
                       {"a.json", "long/name/b.json"}, out, err);
  output.Add(StoredRow());
  output.Add(FailedRow());
  const std::vector<std::string> lines = absl::StrSplit(out.str(), '\n');
  ASSERT_EQ(lines.size(), 4U);
  const auto column = lines[0].find("DISPOSITION");
  EXPECT_EQ(lines[1].find("STORED"), column);
  EXPECT_EQ(lines[2].find("NOT_SENT"), column);
  EXPECT_EQ(lines[1].find("2026-03-01T20:00:00.005Z"),
            lines[0].find("RECEIVED_AT"));
  EXPECT_THAT(lines[1], HasSubstr(" 42  "));
  EXPECT_THAT(lines[1], testing::EndsWith("  abababababab"));
}

TEST(ReceiptOutput, WhatIsToBeSaidBesidesGoesToTheOtherStream) {
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput output(ReceiptOutput::Format::kTable, {"a.json"}, out, err);
  ReceiptRow row = StoredRow();
  auto* issue = row.receipt->add_issue();
  issue->set_field("response.item[0]");
  issue->set_description("is out of range");
  output.Add(row);
  output.Add(FailedRow());
  EXPECT_EQ(err.str(),
            "note: a.json: response.item[0]: is out of range\n"
            "note: a.json: not carried: text, meta\n"
            "error: long/name/b.json: NOT_SENT: no such file\n"
            "error: long/name/b.json: study_id: is missing\n");
}

TEST(ReceiptOutput, ThereIsNoColumnOfFilesWhereThereAreNone) {
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput output(ReceiptOutput::Format::kTable, {}, out, err);
  EXPECT_THAT(out.str(), testing::StartsWith("SUBMISSION_ID"));
}

TEST(ReceiptOutput, JsonIsAnObjectALine) {
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput output(ReceiptOutput::Format::kJsonLines, {"a.json"}, out, err);
  output.Add(StoredRow());
  ReceiptRow failed = FailedRow();
  failed.file = "no UTF-8: \xff";
  output.Add(failed);
  const std::vector<std::string> lines = absl::StrSplit(out.str(), '\n');
  ASSERT_EQ(lines.size(), 3U);
  const auto stored = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(stored["file"], "a.json");
  EXPECT_EQ(stored["disposition"], "STORED");
  EXPECT_EQ(stored["sequence"], 42);
  EXPECT_EQ(stored["left_out"].size(), 2U);
  EXPECT_EQ(stored["content_sha256"].get<std::string>().size(), 64U);
  const auto error = nlohmann::json::parse(lines[1])["error"];
  EXPECT_EQ(error["message"], "no such file");
  EXPECT_EQ(error["field_violations"][0]["field"], "study_id");
}

TEST(ReceiptOutput, OtherSequenceNumbersAreShown) {
  ReceiptRow row = StoredRow();
  row.receipt->add_other_sequences(7);
  row.receipt->add_other_sequences(9);
  row.left_out.clear();
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput(ReceiptOutput::Format::kTable, {}, out, err).Add(row);
  EXPECT_EQ(err.str(), "note: a.json: other sequence numbers: 7, 9\n");
  std::ostringstream json;
  ReceiptOutput(ReceiptOutput::Format::kJsonLines, {}, json, err).Add(row);
  EXPECT_EQ(nlohmann::json::parse(json.str())["other_sequences"],
            (std::vector<int>{7, 9}));
}

TEST(ReceiptOutput, ADispositionOfALaterServerIsANumber) {
  std::ostringstream out;
  std::ostringstream err;
  ReceiptOutput output(ReceiptOutput::Format::kTable, {}, out, err);
  ReceiptRow row = StoredRow();
  row.receipt->set_disposition(static_cast<v1::Receipt::Disposition>(77));
  output.Add(row);
  EXPECT_THAT(out.str(), HasSubstr("  77  "));
}

}  // namespace
}  // namespace sluice

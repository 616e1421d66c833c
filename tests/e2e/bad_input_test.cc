// Tests input that no correct client sends: each request gets a clear answer
// and harms no other caller. tests/e2e/connections_test.cc tests the layers
// below gRPC.

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/raw_caller.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::Receipt;

constexpr char kSubmit[] = "/sluice.v1.Ingestion/Submit";
constexpr char kStream[] = "/sluice.v1.Ingestion/SubmitStream";
constexpr char kImport[] = "/sluice.v1.Ingestion/ImportPatients";
constexpr char kEvents[] = "/sluice.v1.Ingestion/RecordEvents";
constexpr char kLookup[] = "/sluice.v1.Ingestion/GetReceipts";

constexpr const char* kUnaryMethods[] = {kSubmit, kImport, kEvents, kLookup};

constexpr char kNotUtf8[] = "caf\xE9";

const std::string kLongId(129, 'x');

v1::ImportPatientsRequest MakeImport() {
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  request.set_site_id("site");
  auto* record = request.add_records();
  record->set_record_id("record");
  record->set_data("{}");
  return request;
}

v1::RecordEventsRequest MakeEvents() {
  v1::RecordEventsRequest request;
  request.set_study_id("study");
  request.set_site_id("site");
  auto* event = request.add_events();
  event->set_event_id("event");
  (*event->mutable_attributes())["screen"] = "diary";
  return request;
}

v1::GetReceiptsRequest MakeLookup() {
  v1::GetReceiptsRequest request;
  request.set_study_id("study");
  request.add_submission_ids("1");
  return request;
}

std::string ValidRequest(std::string_view path) {
  if (path == kImport) return MakeImport().SerializeAsString();
  if (path == kEvents) return MakeEvents().SerializeAsString();
  if (path == kLookup) return MakeLookup().SerializeAsString();
  return MakeSubmit("1").SerializeAsString();
}

// Returns a length-delimited field.
std::string Field(int number, std::string_view content) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  std::size_t length = content.size();
  for (; length >= 0x80; length >>= 7) {
    field += static_cast<char>(length | 0x80);
  }
  field += static_cast<char>(length);
  return field.append(content);
}

// Returns the field of the only violation. Fails the test if the status is not
// INVALID_ARGUMENT.
std::string InvalidField(const grpc::Status& status) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
      << status.error_message();
  const auto details = FindDetail<google::rpc::BadRequest>(status);
  if (!details.has_value() || details->field_violations_size() != 1) {
    ADD_FAILURE() << "no BadRequest with one violation";
    return "";
  }
  const auto& violation = details->field_violations(0);
  EXPECT_NE(violation.description(), "");
  EXPECT_THAT(status.error_message(), HasSubstr(violation.description()));
  return violation.field();
}

template <typename Response>
Response Parse(const std::string& bytes) {
  Response response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  return response;
}

void ExpectServes(TestServer& server, std::string_view submission_id) {
  grpc::ClientContext context;
  Receipt receipt;
  const grpc::Status status =
      server.stub().Submit(&context, MakeSubmit(submission_id), &receipt);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
}

class BadInput : public ::testing::Test {
 protected:
  BadInput() : caller_(server_.NewChannel()) {}

  TestServer server_{SmallConfig("block", 64)};
  RawCaller caller_;
};

// --- Bytes that are not a message ---

TEST_F(BadInput, RandomBytesAreInvalidOnEveryMethod) {
  std::mt19937 random(20260301);
  for (const char* path : kUnaryMethods) {
    int invalid = 0;
    for (int i = 0; i < 500; ++i) {
      std::string bytes(1 + random() % 200, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      const grpc::Status status = caller_.Call(path, bytes);
      if (status.ok()) continue;
      InvalidField(status);
      ++invalid;
    }
    EXPECT_GT(invalid, 490) << path;
  }
  ExpectServes(server_, "1");
}

TEST_F(BadInput, ATruncatedRequestIsInvalidUnlessTheRestIsARequest) {
  const std::string whole = ValidRequest(kSubmit);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string bytes = whole.substr(0, size);
    v1::SubmitRequest request;
    const bool is_request = request.ParseFromString(bytes) &&
                            request.has_response() &&
                            !request.study_id().empty();
    const grpc::Status status = caller_.Call(kSubmit, bytes);
    if (is_request) {
      EXPECT_THAT(status.error_code(), AnyOf(grpc::StatusCode::OK,
                                             grpc::StatusCode::ALREADY_EXISTS));
    } else {
      InvalidField(status);
    }
  }
  for (const char* path : {kImport, kEvents, kLookup}) {
    const std::string request = ValidRequest(path);
    for (std::size_t size = 0; size < request.size(); ++size) {
      const grpc::Status status = caller_.Call(path, request.substr(0, size));
      if (!status.ok()) InvalidField(status);
    }
  }
}

TEST_F(BadInput, ADamagedRequestIsNeverKeptUnlessItParses) {
  std::mt19937 random(20260301);
  const std::string whole = ValidRequest(kSubmit);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = whole;
    for (std::size_t flips = 1 + random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const grpc::Status status = caller_.Call(kSubmit, bytes);
    if (!status.ok() &&
        status.error_code() != grpc::StatusCode::ALREADY_EXISTS) {
      InvalidField(status);
    }
  }
  for (const Submission& stored : server_.store().stored()) {
    EXPECT_TRUE(v1::SubmitRequest().ParseFromString(stored.content));
  }
}

TEST_F(BadInput, InAStreamEachBadMessageGetsAReceiptAndTheRestIsAccepted) {
  std::mt19937 random(20260301);
  std::vector<std::string> messages;
  for (int i = 0; i < 200; ++i) {
    std::string& bytes = messages.emplace_back(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
  }
  messages.push_back(ValidRequest(kSubmit));
  std::vector<std::string> responses;
  const grpc::Status status = caller_.Stream(kStream, messages, &responses);
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_THAT(responses, SizeIs(messages.size()));
  for (std::size_t i = 0; i + 1 < messages.size(); ++i) {
    const auto receipt = Parse<Receipt>(responses[i]);
    EXPECT_EQ(receipt.disposition(), Receipt::INVALID);
    EXPECT_THAT(receipt.issue(), SizeIs(1));
  }
  EXPECT_EQ(Parse<Receipt>(responses.back()).disposition(), Receipt::STORED);
}

TEST_F(BadInput, AnEmptyRequestIsAnsweredWithTheMissingFields) {
  EXPECT_EQ(InvalidField(caller_.Call(kSubmit, "")), "submission_id");
  for (const char* path : {kImport, kEvents, kLookup}) {
    EXPECT_EQ(InvalidField(caller_.Call(path, "")), "study_id") << path;
  }
}

// --- Depth and size ---

// Returns a submission whose items are nested `levels` deep.
std::string Nested(std::size_t levels) {
  constexpr int kItemOfResponse = 7;
  constexpr int kItemOfItem = 4;
  // Build the message from the inside out and from back to front, because each
  // length depends on the bytes after it.
  std::string reversed;
  for (std::size_t level = levels; level > 0; --level) {
    const std::string head =
        Field(level == 1 ? kItemOfResponse : kItemOfItem, "");
    std::string length;
    std::size_t bytes = reversed.size();
    for (; bytes >= 0x80; bytes >>= 7) {
      length += static_cast<char>(bytes | 0x80);
    }
    length += static_cast<char>(bytes);
    reversed.append(length.rbegin(), length.rend());
    reversed += head[0];
  }
  constexpr int kStudyId = 2;
  constexpr int kResponse = 4;
  return Field(1, "nested") + Field(kStudyId, "study") +
         Field(kResponse, std::string(reversed.rbegin(), reversed.rend()));
}

TEST_F(BadInput, ItemsNestedTooDeepAreInvalid) {
  // The request and the response count as two levels.
  const auto deepest = static_cast<std::size_t>(LimitsConfig().nesting) - 2;
  EXPECT_TRUE(caller_.Call(kSubmit, Nested(deepest)).ok());
  for (const std::size_t levels : {deepest + 1, std::size_t{100},
                                   std::size_t{1000}, std::size_t{100'000}}) {
    const grpc::Status status = caller_.Call(kSubmit, Nested(levels));
    InvalidField(status);
    EXPECT_THAT(status.error_message(), HasSubstr("nested deeper than 64"));
    EXPECT_LT(status.error_message().size(), 2000u);
  }
}

TEST_F(BadInput, MoreItemsThanTheLimitAreInvalid) {
  const auto wide = [](std::size_t count) {
    std::string items;
    for (std::size_t i = 0; i < count; ++i) items += Field(7, "");
    return Field(1, "wide") + Field(2, "study") + Field(4, items);
  };
  const std::size_t most = LimitsConfig().answers;
  EXPECT_TRUE(caller_.Call(kSubmit, wide(most)).ok());
  for (const std::size_t count : {most + 1, std::size_t{1'000'000}}) {
    const grpc::Status status = caller_.Call(kSubmit, wide(count));
    InvalidField(status);
    EXPECT_THAT(status.error_message(),
                HasSubstr("limits.answers allows (10000)"));
    EXPECT_LT(status.error_message().size(), 2000u);
  }
}

std::size_t ResidentBytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * 4096;
}

TEST_F(BadInput, ATooLargeRequestIsAnsweredWithTheLimitAndItsMemoryIsFreed) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const std::string large(kBytes, 'x');
  const auto send_several = [&] {
    std::vector<std::thread> senders;
    for (const char* path : kUnaryMethods) {
      senders.emplace_back([&, path] {
        RawCaller caller(server_.NewChannel());
        const grpc::Status status = caller.Call(path, large);
        EXPECT_EQ(InvalidField(status), "");
        EXPECT_THAT(status.error_message(),
                    HasSubstr("limits.message_bytes allows (16777216)"));
      });
    }
    for (std::thread& sender : senders) sender.join();
  };
  send_several();
  const std::size_t before = ResidentBytes();
  for (int i = 0; i < 5; ++i) send_several();
  // 1,280 MiB were sent and freed. The allocator keeps some memory.
  EXPECT_LT(ResidentBytes(), before + 5 * kBytes);
  ExpectServes(server_, "1");
}

TEST_F(BadInput, ATooLargeMessageOfAStreamHasItsReceipt) {
  std::vector<std::string> responses;
  const grpc::Status status = caller_.Stream(
      kStream, {std::string(std::size_t{17} << 20, 'x'), ValidRequest(kSubmit)},
      &responses);
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_THAT(responses, SizeIs(2));
  const auto receipt = Parse<Receipt>(responses[0]);
  EXPECT_EQ(receipt.disposition(), Receipt::INVALID);
  ASSERT_THAT(receipt.issue(), SizeIs(1));
  EXPECT_THAT(receipt.issue(0).description(),
              HasSubstr("limits.message_bytes"));
  EXPECT_EQ(Parse<Receipt>(responses[1]).disposition(), Receipt::STORED);
}

TEST_F(BadInput, WhatGrpcItselfRefusesToReadEndsThatCallAlone) {
  const std::string enormous(std::size_t{130} << 20, 'x');
  EXPECT_EQ(caller_.Call(kSubmit, enormous).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(caller_.Call(kSubmit, ValidRequest(kSubmit)).ok());
}

TEST_F(BadInput, MoreEntriesThanAllowedAreInvalid) {
  v1::ImportPatientsRequest import = MakeImport();
  v1::GetReceiptsRequest lookup = MakeLookup();
  while (import.records_size() <= 10'000) import.add_records();
  while (lookup.submission_ids_size() <= 10'000) lookup.add_submission_ids("x");
  EXPECT_EQ(InvalidField(caller_.Call(kImport, import.SerializeAsString())),
            "records");
  EXPECT_EQ(InvalidField(caller_.Call(kLookup, lookup.SerializeAsString())),
            "submission_ids");
}

// --- Ids and texts ---

TEST_F(BadInput, MissingAndOverlongIdsOfASubmissionAreNamed) {
  using Change = void (*)(v1::SubmitRequest*);
  const std::vector<std::pair<std::string, Change>> changes = {
      {"submission_id", [](auto* r) { r->clear_submission_id(); }},
      {"submission_id", [](auto* r) { r->set_submission_id(kLongId); }},
      {"study_id", [](auto* r) { r->clear_study_id(); }},
      {"study_id", [](auto* r) { r->set_study_id(kLongId); }},
      {"site_id", [](auto* r) { r->set_site_id(kLongId); }},
      {"response", [](auto* r) { r->clear_response(); }},
      {"supersedes_submission_id",
       [](auto* r) { r->set_supersedes_submission_id(kLongId); }},
  };
  for (const auto& [field, change] : changes) {
    v1::SubmitRequest request = MakeSubmit("1");
    change(&request);
    EXPECT_EQ(InvalidField(caller_.Call(kSubmit, request.SerializeAsString())),
              field);
  }
  v1::SubmitRequest longest = MakeSubmit(std::string(128, 'x'));
  longest.clear_site_id();
  EXPECT_TRUE(caller_.Call(kSubmit, longest.SerializeAsString()).ok());
}

TEST_F(BadInput, TextThatIsNotUtf8IsInvalidWhereverItIs) {
  const std::string item = Field(1, "q") + Field(2, kNotUtf8);
  const std::string answer = Field(3, Field(7, kNotUtf8));
  const std::vector<std::pair<std::string, std::string>> requests = {
      {"submission_id", Field(1, kNotUtf8)},
      {"study_id", Field(2, kNotUtf8)},
      {"site_id", Field(3, kNotUtf8)},
      {"response.questionnaire", Field(4, Field(1, kNotUtf8))},
      {"response.subject.reference", Field(4, Field(3, Field(1, kNotUtf8)))},
      {"response.authored", Field(4, Field(4, kNotUtf8))},
      {"response.item[0].text", Field(4, Field(7, item))},
      {"response.item[0].answer[0].string", Field(4, Field(7, answer))},
      {"capture.device", Field(5, Field(1, kNotUtf8))},
      {"supersedes_submission_id", Field(6, kNotUtf8)},
      {"reason_for_change", Field(7, kNotUtf8)},
  };
  for (const auto& [field, bytes] : requests) {
    const grpc::Status status =
        caller_.Call(kSubmit, bytes + Field(1, "1") + Field(2, "study"));
    EXPECT_EQ(InvalidField(status), field);
    EXPECT_THAT(status.error_message(), HasSubstr("not valid UTF-8"));
  }
  for (const char* path : {kImport, kEvents, kLookup}) {
    EXPECT_EQ(InvalidField(caller_.Call(path, Field(1, kNotUtf8))), "study_id");
  }
  EXPECT_EQ(InvalidField(
                caller_.Call(kLookup, Field(1, "study") + Field(2, kNotUtf8))),
            "submission_ids[0]");
  EXPECT_EQ(InvalidField(
                caller_.Call(kLookup, Field(1, "study") + Field(2, kLongId))),
            "submission_ids[0]");
}

TEST_F(BadInput, OfAnEntryHoldsBackNoneOfTheOthers) {
  const auto record = [](std::string_view content) {
    return Field(3, content);
  };
  const std::string request =
      Field(1, "study") + Field(2, "site") + record("\xFF") + record("") +
      record(Field(1, kLongId)) + record(Field(1, kNotUtf8)) +
      record(Field(1, "good") + Field(3, kNotUtf8));
  std::string bytes;
  ASSERT_TRUE(caller_.Call(kImport, request, &bytes).ok());
  const auto response = Parse<v1::ImportPatientsResponse>(bytes);
  std::vector<std::string> fields;
  for (const Receipt& receipt : response.receipts()) {
    fields.push_back(receipt.issue_size() > 0 ? receipt.issue(0).field() : "");
  }
  EXPECT_THAT(fields,
              ElementsAre("records[0]", "records[1].record_id",
                          "records[2].record_id", "records[3].record_id", ""));
  EXPECT_EQ(response.counts().invalid(), 4);
  EXPECT_EQ(response.counts().stored(), 1);
}

// --- Compression, metadata and paths ---

TEST_F(BadInput, ACompressedRequestIsUnimplementedAndNotUnpacked) {
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::SubmitRequest request = MakeSubmit("1");
    request.set_reason_for_change(std::string(100'000, 'x'));
    const grpc::Status status =
        caller_.Call(&context, kSubmit, request.SerializeAsString());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_THAT(
        status.error_message(),
        HasSubstr(algorithm == GRPC_COMPRESS_GZIP ? "gzip" : "deflate"));
  }
  EXPECT_TRUE(server_.store().stored().empty());
}

TEST_F(BadInput, MalformedMetadataIsNamed) {
  for (const char* sent_at :
       {"", "yesterday", "2026-03-01", "1772395200", "2026-02-30T00:00:00Z",
        "2026-03-01T20:15:00+01:00 "}) {
    for (const char* path : kUnaryMethods) {
      if (path == kLookup) continue;
      grpc::ClientContext context;
      context.AddMetadata("sluice-sent-at", sent_at);
      const grpc::Status status =
          caller_.Call(&context, path, ValidRequest(path));
      EXPECT_EQ(InvalidField(status), "sluice-sent-at") << sent_at;
    }
  }
}

TEST_F(BadInput, TooMuchMetadataIsRefusedByGrpc) {
  grpc::ClientContext large;
  large.AddMetadata("x", std::string(1'000'000, 'x'));
  EXPECT_EQ(caller_.Call(&large, kSubmit, ValidRequest(kSubmit)).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext many;
  for (int i = 0; i < 10'000; ++i) many.AddMetadata(absl::StrCat("x-", i), "x");
  // In this case gRPC closes the connection.
  EXPECT_THAT(caller_.Call(&many, kSubmit, ValidRequest(kSubmit)).error_code(),
              AnyOf(grpc::StatusCode::RESOURCE_EXHAUSTED,
                    grpc::StatusCode::UNAVAILABLE));
  ExpectServes(server_, "1");
}

TEST_F(BadInput, UnknownMethodsAreUnimplemented) {
  for (const char* path :
       {"/sluice.v1.Ingestion/submit", "/sluice.v1.Ingestion/",
        "/sluice.v2.Ingestion/Submit", "/", "", "Submit", "//", "/a/b/c",
        "/sluice.v1.Ingestion/Submit/", "/sluice.v1.Ingestion/Submit?x=y",
        "/sluice.v1.Ingestion/%53ubmit"}) {
    EXPECT_EQ(caller_.Call(path, "").error_code(),
              grpc::StatusCode::UNIMPLEMENTED)
        << path;
  }
}

TEST_F(BadInput, AStreamOnAUnaryMethodAndTheReverseAreAnswered) {
  std::vector<std::string> responses;
  EXPECT_TRUE(
      caller_.Stream(kSubmit, {ValidRequest(kSubmit)}, &responses).ok());
  EXPECT_THAT(responses, SizeIs(1));
  std::string response;
  EXPECT_TRUE(caller_.Call(kStream, ValidRequest(kSubmit), &response).ok());
  EXPECT_EQ(Parse<Receipt>(response).disposition(), Receipt::DUPLICATE);
}

// --- Callers that cancel or disconnect ---

TEST(ACallThatCancels, MayDoSoAtAnyMoment) {
  TestServer server(SmallConfig("block", 4));
  std::mt19937 random(20260301);
  AsyncCaller caller(server.NewChannel());
  std::vector<AsyncSubmit*> calls;
  for (int i = 0; i < 2000; ++i) {
    calls.push_back(&caller.Submit(MakeSubmit(absl::StrCat(i))));
    // Cancels one of the last calls, which may be in any state.
    const std::size_t back = random() % std::min<std::size_t>(calls.size(), 12);
    calls[calls.size() - 1 - back]->context.TryCancel();
    if (random() % 32 == 0) server.store().Hold();
    if (random() % 16 == 0) {
      server.store().Release();
      caller.AwaitEnded(random() % calls.size());
    }
  }
  server.store().Release();
  ASSERT_EQ(caller.AwaitEnded(calls.size()), calls.size());
  for (const AsyncSubmit* call : calls) {
    EXPECT_THAT(call->status.error_code(),
                AnyOf(grpc::StatusCode::OK, grpc::StatusCode::CANCELLED));
  }
}

TEST(ACallThatCancels, IsForgottenWhileParkedByTheTenThousand) {
  constexpr std::size_t kCalls = 10'000;
  Config config = SmallConfig("block", 1);
  config.pools["clinical"].waiting_max = kCalls;
  config.limits.calls_per_connection = kCalls + 10;
  TestServer server(config);
  server.store().Hold();
  AsyncCaller caller(server.NewChannel());
  std::vector<AsyncSubmit*> calls;
  for (std::size_t i = 0; i < kCalls; ++i) {
    calls.push_back(&caller.Submit(MakeSubmit(absl::StrCat(i))));
  }
  // One submission is in work, one is queued.
  server.AwaitWaiting(kCalls - 2);
  for (AsyncSubmit* call : calls) call->context.TryCancel();
  ASSERT_EQ(caller.AwaitEnded(kCalls), kCalls);
  // A caller learns of its cancellation before the server does. Some parked
  // submissions were admitted when others left the queue, and leave the queue
  // as well.
  server.AwaitWaiting(0);
  server.AwaitQueued(0);
  const MethodCounters counters = server.counters(Method::kSubmit);
  EXPECT_EQ(counters.not_admitted[TaskResult::kCancelled] +
                counters.completed[TaskResult::kCancelled],
            kCalls - 1);
  server.store().Release();
  ExpectServes(server, "afterwards");
}

}  // namespace
}  // namespace sluice

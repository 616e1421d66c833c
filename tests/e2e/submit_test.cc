// Tests the answers of Submit and the moments at which they are sent.

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sqlite_server.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using v1::Receipt;

Config QueuedAck(std::string_view on_full, std::size_t capacity) {
  Config config = SmallConfig(on_full, capacity);
  config.methods[Index(Method::kSubmit)].ack = Ack::kQueued;
  return config;
}

v1::SubmitRequest OtherContent(std::string_view submission_id) {
  v1::SubmitRequest request = MakeSubmit(submission_id);
  request.mutable_response()->mutable_item(0)->set_link_id("another");
  return request;
}

// Returns the same request with the fields in another order, as another client
// library might serialize it.
v1::SubmitRequest FieldsInAnotherOrder(v1::SubmitRequest request) {
  const std::string study_id = request.study_id();
  request.clear_study_id();
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(
      v1::SubmitRequest::kStudyIdFieldNumber, study_id);
  return request;
}

struct Reply {
  grpc::Status status;
  Receipt receipt;
};

Reply Submit(v1::Ingestion::Stub& stub, const v1::SubmitRequest& request,
             const std::string& sent_at = "") {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  if (!sent_at.empty()) context.AddMetadata("sluice-sent-at", sent_at);
  Reply reply;
  reply.status = stub.Submit(&context, request, &reply.receipt);
  return reply;
}

std::string DigestText(const Sha256Digest& digest) {
  return {digest.begin(), digest.end()};
}

TEST(Submit, IsStoredAsItArrivedAndAcknowledged) {
  TestServer server(SmallConfig("fail_fast", 4));
  const v1::SubmitRequest request = MakeSubmit("1");
  const Reply reply = Submit(server.stub(), request);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.receipt.disposition(), Receipt::STORED);
  EXPECT_EQ(reply.receipt.submission_id(), "1");
  EXPECT_EQ(reply.receipt.sequence(), 1);
  EXPECT_TRUE(reply.receipt.has_received_at());
  EXPECT_EQ(reply.receipt.content_sha256(),
            DigestText(Sha256(request.SerializeAsString())));
  ASSERT_EQ(server.store().stored().size(), 1u);
  EXPECT_EQ(server.store().stored()[0].content, request.SerializeAsString());
}

TEST(Submit, IsAcknowledgedAsStoredOnlyOnceTheStoreHasIt) {
  TestServer server(SmallConfig("fail_fast", 4));
  AsyncCaller caller(server.NewChannel());
  server.store().Hold();
  const AsyncSubmit& call = caller.Submit(MakeSubmit("1"));
  server.store().AwaitInFlight(1);
  EXPECT_FALSE(caller.Ended(call));
  server.store().Release();
  EXPECT_TRUE(caller.Await(call).status.ok());
}

TEST(Submit, SentAgainGivesTheFirstReceipt) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  Submit(sqlite.stub(), MakeSubmit("before"));
  const Reply first = Submit(sqlite.stub(), MakeSubmit("1"));
  const Reply again = Submit(sqlite.stub(), MakeSubmit("1"));
  ASSERT_TRUE(again.status.ok()) << again.status.error_message();
  EXPECT_EQ(again.receipt.disposition(), Receipt::DUPLICATE);
  Receipt expected = first.receipt;
  EXPECT_EQ(expected.disposition(), Receipt::STORED);
  expected.set_disposition(Receipt::DUPLICATE);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(again.receipt,
                                                                 expected));
}

TEST(Submit, SentAgainByAnotherLibraryIsADuplicateToo) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  const v1::SubmitRequest request = MakeSubmit("1");
  const v1::SubmitRequest reordered = FieldsInAnotherOrder(request);
  ASSERT_NE(request.SerializeAsString(), reordered.SerializeAsString());
  const Reply first = Submit(sqlite.stub(), request);
  const Reply again = Submit(sqlite.stub(), reordered);
  EXPECT_EQ(again.receipt.disposition(), Receipt::DUPLICATE);
  EXPECT_EQ(again.receipt.content_sha256(), first.receipt.content_sha256());
}

TEST(Submit, OtherContentUnderAKnownIdIsAConflictAndChangesNothing) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  Submit(sqlite.stub(), MakeSubmit("1"));
  const auto before = sqlite.Query("SELECT * FROM submissions");
  const Reply conflict = Submit(sqlite.stub(), OtherContent("1"));
  EXPECT_EQ(conflict.status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(sqlite.Query("SELECT * FROM submissions"), before);
  EXPECT_THAT(sqlite.Query("SELECT first_sequence, submission_id, hex("
                           "content_sha256) FROM conflicts"),
              ElementsAre(ElementsAre(
                  "1", "1",
                  absl::AsciiStrToUpper(absl::BytesToHexString(DigestText(
                      Sha256(OtherContent("1").SerializeAsString())))))));
  // The first submission is still recognised when it is sent again.
  EXPECT_EQ(Submit(sqlite.stub(), MakeSubmit("1")).receipt.disposition(),
            Receipt::DUPLICATE);
}

TEST(Submit, WhileAnotherProgramHasTheStoresLockCallersAreRefused) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  const auto circuit_is_open = [&] {
    return sqlite.server()
               .Get("/metrics")
               .find("sluice_store_circuit_open{pool=\"clinical\"} 1") !=
           std::string::npos;
  };
  auto other_program = sqlite.NewShell();
  other_program->Run("BEGIN IMMEDIATE");
  for (int i = 0; !circuit_is_open(); ++i) {
    ASSERT_LT(i, 20) << "the circuit does not open";
    EXPECT_EQ(
        Submit(sqlite.stub(), MakeSubmit(absl::StrCat(i))).status.error_code(),
        grpc::StatusCode::UNAVAILABLE);
  }
  other_program.reset();
  AwaitThat("the store is found again", [&] {
    return Submit(sqlite.stub(), MakeSubmit("after")).status.ok();
  });
}

TEST(Submit, AnIdIsOneOfItsStudy) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  v1::SubmitRequest elsewhere = OtherContent("1");
  elsewhere.set_study_id("another study");
  EXPECT_EQ(Submit(sqlite.stub(), MakeSubmit("1")).receipt.disposition(),
            Receipt::STORED);
  EXPECT_EQ(Submit(sqlite.stub(), elsewhere).receipt.disposition(),
            Receipt::STORED);
}

Config ManyAtOnce() {
  Config config = SmallConfig("block", 4);
  config.pools["clinical"].workers = {.min = 4, .max = 4};
  config.pools["clinical"].batch_max = 8;
  config.completion_queues = 2;
  return config;
}

// Returns the receipts of all calls, which are spread over several connections.
std::vector<const AsyncSubmit*> SubmitAtOnce(
    const std::vector<v1::SubmitRequest>& requests,
    const std::vector<std::unique_ptr<AsyncCaller>>& callers) {
  std::vector<const AsyncSubmit*> calls;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    calls.push_back(&callers[i % callers.size()]->Submit(requests[i]));
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    callers[i % callers.size()]->Await(*calls[i]);
  }
  return calls;
}

std::vector<std::unique_ptr<AsyncCaller>> Connect(const TestServer& server,
                                                  std::size_t connections) {
  std::vector<std::unique_ptr<AsyncCaller>> callers;
  for (std::size_t i = 0; i < connections; ++i) {
    callers.push_back(std::make_unique<AsyncCaller>(server.NewChannel()));
  }
  return callers;
}

TEST(Submit, TheSameFromManyCallersAtOnceIsOneRecordAndOneReceipt) {
  constexpr std::size_t kCallers = 64;
  SqliteServer sqlite(ManyAtOnce());
  const auto callers = Connect(sqlite.server(), 8);
  for (int round = 0; round < 10; ++round) {
    const std::string id = absl::StrCat("round ", round);
    const auto calls = SubmitAtOnce(
        std::vector<v1::SubmitRequest>(kCallers, MakeSubmit(id)), callers);
    int stored = 0;
    std::set<std::string> receipts;
    for (const AsyncSubmit* call : calls) {
      ASSERT_TRUE(call->status.ok()) << call->status.error_message();
      Receipt receipt = call->receipt;
      stored += receipt.disposition() == Receipt::STORED;
      receipt.clear_disposition();
      receipts.insert(receipt.SerializeAsString());
    }
    EXPECT_EQ(stored, 1);
    EXPECT_EQ(receipts.size(), 1u);
    EXPECT_THAT(sqlite.Query("SELECT count(*) FROM submissions WHERE "
                             "submission_id = '" +
                             id + "'"),
                ElementsAre(ElementsAre("1")));
  }
}

TEST(Submit, OfManyContentsAtOnceUnderOneIdOneIsStored) {
  SqliteServer sqlite(ManyAtOnce());
  const auto callers = Connect(sqlite.server(), 4);
  std::vector<v1::SubmitRequest> requests;
  for (int i = 0; i < 32; ++i) {
    requests.push_back(MakeSubmit("1"));
    requests.back().set_site_id(absl::StrCat("site ", i));
  }
  int stored = 0;
  for (const AsyncSubmit* call : SubmitAtOnce(requests, callers)) {
    if (call->status.ok()) {
      EXPECT_EQ(call->receipt.disposition(), Receipt::STORED);
      ++stored;
    } else {
      EXPECT_EQ(call->status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
    }
  }
  EXPECT_EQ(stored, 1);
}

TEST(AckQueued, AnswersBeforeTheStoreHasIt) {
  TestServer server(QueuedAck("fail_fast", 4));
  server.store().Hold();
  const v1::SubmitRequest request = MakeSubmit("1");
  const Reply reply = Submit(server.stub(), request);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.receipt.disposition(), Receipt::QUEUED);
  EXPECT_EQ(reply.receipt.sequence(), 1);
  EXPECT_EQ(reply.receipt.content_sha256(),
            DigestText(Sha256(request.SerializeAsString())));
  server.store().Release();
  AwaitThat("the submission is stored",
            [&] { return server.store().stored().size() == 1; });
  EXPECT_EQ(server.store().stored()[0].sequence, 1);
}

TEST(AckQueued, AParkedCallIsAnsweredWhenItEntersTheQueue) {
  FullServer full(QueuedAck("block", 1));
  const AsyncSubmit& call = full.Park(MakeSubmit("parked"));
  EXPECT_FALSE(full.caller().Ended(call));
  full.store().Release();
  EXPECT_EQ(full.caller().Await(call).receipt.disposition(), Receipt::QUEUED);
  EXPECT_EQ(call.receipt.sequence(), 3);
  AwaitThat("the submission is stored",
            [&] { return full.store().stored().size() == 3; });
}

TEST(AckQueued, AParkedCallThatCancelsIsNotKept) {
  FullServer full(QueuedAck("block", 1));
  AsyncSubmit& call = full.Park(MakeSubmit("parked"));
  call.context.TryCancel();
  full.server().AwaitWaiting(0);
  full.store().Release();
  full.server().Drain();
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
}

TEST(AckQueued, StoresAcknowledgedSubmissionsOfADisconnectedCaller) {
  TestServer server(QueuedAck("fail_fast", 16));
  server.store().Hold();
  {
    AsyncCaller caller(server.NewChannel());
    for (int i = 0; i < 8; ++i) {
      caller.SubmitAndWait(MakeSubmit(absl::StrCat(i)));
    }
  }
  server.store().Release();
  server.Drain();
  EXPECT_THAT(StoredIds(server.store()),
              ElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
}

TEST(AckStored, ACallThatCancelsInTheQueueIsNotStored) {
  FullServer full(SmallConfig("fail_fast", 2));
  full.queued(1).context.TryCancel();
  full.server().AwaitQueued(1);
  full.store().Release();
  full.caller().AwaitEnded(3);
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 2"));
}

TEST(AckStored, ACallThatCancelsInTheStoreIsStored) {
  TestServer server(SmallConfig("fail_fast", 2));
  AsyncCaller caller(server.NewChannel());
  server.store().Hold();
  AsyncSubmit& call = caller.Submit(MakeSubmit("1"));
  server.store().AwaitInFlight(1);
  call.context.TryCancel();
  caller.Await(call);
  server.store().Release();
  server.Drain();
  EXPECT_THAT(StoredIds(server.store()), ElementsAre("1"));
}

TEST(FailingStore, IsUnavailableUntilItRecovers) {
  TestServer server(SmallConfig("fail_fast", 4));
  AsyncCaller caller(server.NewChannel());
  server.AwaitReady();
  server.store().FailWith(absl::UnavailableError("no space left on device"));
  const AsyncSubmit& failed = caller.SubmitAndWait(MakeSubmit("1"));
  ExpectTryLater(failed.status, failed.context, grpc::StatusCode::UNAVAILABLE,
                 "STORE_UNAVAILABLE");
  server.AwaitDegraded("no space left on device");
  EXPECT_THAT(server.Get("/readyz"),
              testing::StartsWith("no method can acknowledge\n"));
  EXPECT_EQ(server.Get("/healthz"), "ok\n");

  server.store().FailWith(absl::OkStatus());
  const AsyncSubmit& again = caller.SubmitAndWait(MakeSubmit("1"));
  EXPECT_EQ(again.receipt.disposition(), Receipt::STORED);
  server.AwaitReady();
  const MethodCounters counters = server.counters(Method::kSubmit);
  EXPECT_EQ(counters.completed[TaskResult::kStoreUnavailable], 1u);
}

TEST(SentAt, IsKeptApartFromWhenItWasReceivedAndAuthored) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  v1::SubmitRequest request = MakeSubmit("1");
  request.mutable_response()->set_authored("2026-03-01T20:15:00+01:00");
  const Reply reply =
      Submit(sqlite.stub(), request, "2026-03-01T21:30:00.25+02:00");
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  const auto rows = sqlite.Query(
      "SELECT authored, authored_at, sent_at, received_at, "
      "abs(unixepoch('now') - unixepoch(received_at)) < 60 FROM submissions");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0][0], "2026-03-01T20:15:00+01:00");
  EXPECT_EQ(rows[0][1], "2026-03-01T19:15:00.000000Z");
  EXPECT_EQ(rows[0][2], "2026-03-01T19:30:00.250000Z");
  EXPECT_EQ(rows[0][4], "1") << rows[0][3];
}

TEST(SentAt, IsNoPartOfTheContent) {
  SqliteServer sqlite(SmallConfig("fail_fast", 4));
  Submit(sqlite.stub(), MakeSubmit("1"), "2026-03-01T21:30:00Z");
  EXPECT_EQ(Submit(sqlite.stub(), MakeSubmit("1"), "2026-03-01T21:31:00Z")
                .receipt.disposition(),
            Receipt::DUPLICATE);
}

TEST(SentAt, MalformedIsInvalid) {
  TestServer server(SmallConfig("fail_fast", 4));
  for (const char* sent_at :
       {"yesterday", "2026-13-01T00:00:00Z", "2026-03-01", "0"}) {
    const Reply reply = Submit(server.stub(), MakeSubmit("1"), sent_at);
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << sent_at;
    const auto bad = FindDetail<google::rpc::BadRequest>(reply.status);
    ASSERT_TRUE(bad.has_value());
    EXPECT_EQ(bad->field_violations(0).field(), "sluice-sent-at");
  }
  EXPECT_THAT(StoredIds(server.store()), Not(Contains("1")));
}

}  // namespace
}  // namespace sluice

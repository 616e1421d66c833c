// Tests each policy at a full queue, over real connections.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using v1::Receipt;

constexpr auto kExhausted = grpc::StatusCode::RESOURCE_EXHAUSTED;

std::uint64_t Rejected(FullServer& full, TaskResult reason) {
  return full.server().counters(Method::kSubmit).not_admitted[reason];
}

Config TimedWait(absl::Duration max_wait) {
  Config config = SmallConfig("timed_wait", 1);
  for (MethodConfig& method : config.methods) method.max_wait = max_wait;
  return config;
}

TEST(Block, ParksUntilThereIsRoomAndTheFirstToComeIsTheFirstToEnter) {
  FullServer full(SmallConfig("block", 1));
  std::vector<const AsyncSubmit*> parked;
  for (const char* id : {"c", "a", "b"}) {
    parked.push_back(&full.Park(MakeSubmit(id)));
  }
  for (const AsyncSubmit* call : parked)
    EXPECT_FALSE(full.caller().Ended(*call));

  full.store().Release();
  for (const AsyncSubmit* call : parked) {
    EXPECT_TRUE(full.caller().Await(*call).status.ok());
    EXPECT_EQ(call->receipt.disposition(), Receipt::STORED);
  }
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "c", "a", "b"));
}

TEST(Block, AParkedCallThatCancelsLeavesAtOnceAndItsPlaceCountsAgain) {
  Config config = SmallConfig("block", 1);
  config.pools["clinical"].waiting_max = 2;
  FullServer full(config);
  AsyncSubmit& leaves = full.Park(MakeSubmit("leaves"));
  full.Park(MakeSubmit("stays"));
  const AsyncSubmit& refused = full.caller().SubmitAndWait(MakeSubmit("no"));
  ExpectTryLater(refused.status, refused.context, kExhausted,
                 "WAITING_ROOM_FULL");

  leaves.context.TryCancel();
  EXPECT_EQ(full.caller().Await(leaves).status.error_code(),
            grpc::StatusCode::CANCELLED);
  full.server().AwaitWaiting(1);
  full.Park(MakeSubmit("takes the place"));

  full.store().Release();
  full.caller().AwaitEnded(6);
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "stays", "takes the place"));
  const MethodCounters counters = full.server().counters(Method::kSubmit);
  EXPECT_EQ(counters.not_admitted[TaskResult::kCancelled], 1u);
  EXPECT_EQ(Rejected(full, TaskResult::kWaitingRoomFull), 1u);
}

TEST(Block, AParkedCallLeavesAtItsOwnDeadline) {
  Config config = SmallConfig("block", 1);
  config.pools["clinical"].waiting_max = 1;
  FullServer full(config);
  const AsyncSubmit& call =
      full.caller().Submit(MakeSubmit("impatient"), absl::Seconds(1));
  EXPECT_EQ(full.caller().Await(call).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  AwaitThat("the call has left the waiting room", [&] {
    // The client and the server each watch the deadline. The server sees either
    // its own deadline or the client's cancellation.
    const MethodCounters counters = full.server().counters(Method::kSubmit);
    return counters.not_admitted[TaskResult::kCancelled] +
               counters.not_admitted[TaskResult::kDeadline] ==
           1;
  });
  full.Park(MakeSubmit("takes the place"));

  full.store().Release();
  full.caller().AwaitEnded(4);
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "takes the place"));
}

TEST(Block, AQueuedCallThatCancelsMakesRoomForTheNext) {
  FullServer full(SmallConfig("block", 1));
  full.Park(MakeSubmit("next"));
  full.queued(1).context.TryCancel();
  full.server().AwaitWaiting(0);
  EXPECT_EQ(full.server().view().depth, 1u);
  full.store().Release();
  full.caller().AwaitEnded(3);
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "next"));
}

TEST(TimedWait, RefusesAfterMaxWait) {
  constexpr absl::Duration kMaxWait = absl::Milliseconds(100);
  FullServer full(TimedWait(kMaxWait));
  const absl::Time begun = absl::Now();
  const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit("late"));
  EXPECT_GE(absl::Now() - begun, kMaxWait);
  ExpectTryLater(call.status, call.context, kExhausted, "WAIT_OVER");
  EXPECT_EQ(Rejected(full, TaskResult::kWaitOver), 1u);
  EXPECT_EQ(full.server().view().waiting, 0u);

  full.store().Release();
  full.caller().AwaitEnded(3);
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
}

TEST(TimedWait, AdmitsACallThatFindsRoomInTime) {
  FullServer full(TimedWait(absl::Hours(1)));
  const AsyncSubmit& call = full.Park(MakeSubmit("in time"));
  full.store().Release();
  EXPECT_TRUE(full.caller().Await(call).status.ok());
  EXPECT_EQ(call.receipt.disposition(), Receipt::STORED);
}

TEST(TimedWait, TheCallersOwnDeadlineEndsALongerWait) {
  FullServer full(TimedWait(absl::Hours(1)));
  const AsyncSubmit& call =
      full.caller().Submit(MakeSubmit("impatient"), absl::Milliseconds(50));
  EXPECT_EQ(full.caller().Await(call).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  full.server().AwaitWaiting(0);
}

TEST(FailFast, RefusesAtOnceAndKeepsNothing) {
  FullServer full(SmallConfig("fail_fast", 2));
  const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit("refused"));
  ExpectTryLater(call.status, call.context, kExhausted, "QUEUE_FULL");
  EXPECT_EQ(Rejected(full, TaskResult::kQueueFull), 1u);
  EXPECT_EQ(full.server().view().waiting, 0u);

  full.store().Release();
  full.caller().AwaitEnded(4);
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "queued 2"));
  EXPECT_TRUE(full.caller().SubmitAndWait(MakeSubmit("refused")).status.ok());
}

TEST(FailFast, RefusesARequestThatItHasNotRead) {
  FullServer full(SmallConfig("fail_fast", 1));
  v1::SubmitRequest no_id = MakeSubmit("");
  const AsyncSubmit& full_call = full.caller().SubmitAndWait(no_id);
  EXPECT_EQ(full_call.status.error_code(), kExhausted);
  EXPECT_EQ(full.server()
                .counters(Method::kSubmit)
                .not_admitted[TaskResult::kInvalid],
            0u);

  full.store().Release();
  full.caller().AwaitEnded(3);
  const AsyncSubmit& open_call = full.caller().SubmitAndWait(no_id);
  EXPECT_EQ(open_call.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(FailFast, RefusesCallsOfEveryForm) {
  FullServer full(SmallConfig("fail_fast", 1));
  grpc::ClientContext import;
  v1::ImportPatientsResponse import_response;
  ExpectTryLater(
      full.server().stub().ImportPatients(&import, {}, &import_response),
      import, kExhausted, "QUEUE_FULL");
  grpc::ClientContext events;
  v1::RecordEventsResponse events_response;
  ExpectTryLater(
      full.server().stub().RecordEvents(&events, {}, &events_response), events,
      kExhausted, "QUEUE_FULL");
}

TEST(Drop, AnswersThatItKeptNothing) {
  FullServer full(SmallConfig("drop", 1));
  const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit("dropped"));
  EXPECT_TRUE(call.status.ok()) << call.status.error_message();
  EXPECT_EQ(call.receipt.disposition(), Receipt::DROPPED);
  EXPECT_EQ(call.receipt.submission_id(), "dropped");
  EXPECT_EQ(call.receipt.sequence(), 0);
  EXPECT_THAT(call.receipt.content_sha256(), IsEmpty());
  EXPECT_EQ(full.server()
                .counters(Method::kSubmit)
                .not_admitted[TaskResult::kDropped],
            1u);

  full.store().Release();
  full.caller().AwaitEnded(3);
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
}

TEST(Drop, DoesNotHideThatARequestIsMalformed) {
  FullServer full(SmallConfig("drop", 1));
  const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit(""));
  EXPECT_EQ(call.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

std::uint64_t DroppedFromQueue(TestServer& server, Method method) {
  return server.counters(method).completed[TaskResult::kDropped];
}

TEST(DropOldest, TheOldestIsAnsweredDroppedAndTheArrivalIsStored) {
  FullServer full(SmallConfig("drop_oldest", 2));
  const AsyncSubmit& latest = full.caller().Submit(MakeSubmit("latest"));
  const AsyncSubmit& oldest = full.caller().Await(full.queued(1));
  EXPECT_TRUE(oldest.status.ok()) << oldest.status.error_message();
  EXPECT_EQ(oldest.receipt.disposition(), Receipt::DROPPED);
  EXPECT_EQ(oldest.receipt.submission_id(), "queued 1");
  EXPECT_EQ(oldest.receipt.sequence(), 0);
  EXPECT_THAT(oldest.receipt.content_sha256(), IsEmpty());
  EXPECT_EQ(DroppedFromQueue(full.server(), Method::kSubmit), 1u);
  EXPECT_EQ(full.server()
                .counters(Method::kSubmit)
                .not_admitted[TaskResult::kDropped],
            0u);

  full.store().Release();
  EXPECT_EQ(full.caller().Await(latest).receipt.disposition(), Receipt::STORED);
  full.caller().AwaitEnded(4);
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 2", "latest"));
}

TEST(DropOldest, ADroppedSubmissionMayBeSentAgain) {
  FullServer full(SmallConfig("drop_oldest", 1));
  full.caller().Submit(MakeSubmit("latest"));
  full.caller().Await(full.queued(1));
  const AsyncSubmit& again = full.caller().Submit(MakeSubmit("queued 1"));
  full.caller().AwaitEnded(2);
  full.store().Release();
  EXPECT_EQ(full.caller().Await(again).receipt.disposition(), Receipt::STORED);
  full.caller().AwaitEnded(4);
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
}

// Waits until `count` calls of Submit are in flight, so that the last one has
// arrived and follows an earlier call with its id.
void AwaitInFlight(TestServer& server, const std::string& count) {
  AwaitThat("the call has arrived", [&] {
    return server.Get("/metrics")
               .find("sluice_in_flight{method=\"Submit\"} " + count + "\n") !=
           std::string::npos;
  });
}

TEST(DropOldest, AFollowerOfTheOldestIsDroppedWithIt) {
  FullServer full(SmallConfig("drop_oldest", 1));
  const AsyncSubmit& follower = full.caller().Submit(MakeSubmit("queued 1"));
  AwaitInFlight(full.server(), "3");
  full.caller().Submit(MakeSubmit("latest"));
  EXPECT_EQ(full.caller().Await(follower).receipt.disposition(),
            Receipt::DROPPED);
  EXPECT_EQ(full.server()
                .counters(Method::kSubmit)
                .not_admitted[TaskResult::kDropped],
            1u);
}

TEST(DropOldest, AFollowerByAMethodThatLosesNothingIsRefused) {
  Config config = SmallConfig("drop_oldest", 1);
  config.methods[Index(Method::kSubmit)].on_full = "block";
  TestServer server(config);
  AsyncCaller caller(server.NewChannel());
  server.store().Hold();
  caller.Submit(MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  grpc::ClientContext context;
  const auto stream = server.stub().SubmitStream(&context);
  stream->Write(MakeSubmit("oldest"));
  server.AwaitQueued(1);
  const AsyncSubmit& follower = caller.Submit(MakeSubmit("oldest"));
  AwaitInFlight(server, "2");

  stream->Write(MakeSubmit("latest"));
  Receipt receipt;
  ASSERT_TRUE(stream->Read(&receipt));
  EXPECT_EQ(receipt.submission_id(), "oldest");
  EXPECT_EQ(receipt.disposition(), Receipt::DROPPED);
  caller.Await(follower);
  ExpectTryLater(follower.status, follower.context, kExhausted, "QUEUE_FULL");

  server.store().Release();
  stream->WritesDone();
  ASSERT_TRUE(stream->Read(&receipt));
  EXPECT_EQ(receipt.submission_id(), "latest");
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Shadow, ChangesNoAnswer) {
  for (const char* shadow : {"block", "drop", "drop_oldest", "fail_fast"}) {
    Config config = SmallConfig("fail_fast", 1);
    config.methods[Index(Method::kSubmit)].shadow.on_full = shadow;
    FullServer full(config);
    const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit("no"));
    ExpectTryLater(call.status, call.context, kExhausted, "QUEUE_FULL");
    full.store().Release();
    full.caller().AwaitEnded(3);
    EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
  }
}

TEST(Refusal, GivesEachCallerARetryDelayOfItsOwn) {
  FullServer full(SmallConfig("fail_fast", 1));
  std::set<absl::Duration> delays;
  for (int i = 0; i < 20; ++i) {
    const AsyncSubmit& call = full.caller().SubmitAndWait(MakeSubmit("again"));
    // No submission was stored yet, so the rate is unknown and the delay is
    // about a second.
    const absl::Duration delay =
        ExpectTryLater(call.status, call.context, kExhausted, "QUEUE_FULL");
    EXPECT_GE(delay, absl::Milliseconds(800));
    EXPECT_LE(delay, absl::Milliseconds(1200));
    delays.insert(delay);
  }
  EXPECT_GT(delays.size(), 10u);
}

// gRPC's own retries show that the refusal is well-formed: they do not retry a
// call with initial metadata, and wait as long as the trailer says.
TEST(Refusal, IsRetriedByGrpcAfterThePushback) {
  FullServer full(SmallConfig("fail_fast", 1));
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(R"({"methodConfig": [{
      "name": [{"service": "sluice.v1.Ingestion"}],
      "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.001s",
                      "maxBackoff": "0.001s", "backoffMultiplier": 1,
                      "retryableStatusCodes": ["RESOURCE_EXHAUSTED"]}}]})");
  AsyncCaller retrying(full.server().NewChannel(arguments));
  const absl::Time begun = absl::Now();
  const AsyncSubmit& call = retrying.Submit(MakeSubmit("persistent"));
  AwaitThat("the call is refused",
            [&] { return Rejected(full, TaskResult::kQueueFull) > 0; });
  full.store().Release();
  EXPECT_TRUE(retrying.Await(call).status.ok()) << call.status.error_message();
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(800));
  EXPECT_EQ(Rejected(full, TaskResult::kQueueFull), 1u);
}

std::size_t ThreadCount() {
  std::size_t threads = 0;
  for ([[maybe_unused]] const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    ++threads;
  }
  return threads;
}

std::size_t ResidentBytes() {
  std::size_t pages = 0;
  std::size_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages;
  return resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr std::size_t kBytesOfACall = std::size_t{512} << 10;
#else
constexpr std::size_t kBytesOfACall = std::size_t{64} << 10;
#endif

TEST(Block, TenThousandParkedCallsCostNoThreadAndLittleMemory) {
  constexpr std::size_t kConnections = 10;
  constexpr std::size_t kParkedOnEach = 1000;
  constexpr std::size_t kParked = kConnections * kParkedOnEach;
  constexpr std::size_t kWorkers = 4;
  constexpr std::size_t kInside = kWorkers + 4;

  Config config = SmallConfig("block", kInside - kWorkers);
  config.pools["clinical"].workers = {.min = kWorkers, .max = kWorkers};
  config.pools["clinical"].waiting_max = kParked;
  TestServer server(config);
  std::vector<std::unique_ptr<AsyncCaller>> callers;
  for (std::size_t i = 0; i <= kConnections; ++i) {
    callers.push_back(std::make_unique<AsyncCaller>(server.NewChannel()));
    callers.back()->SubmitAndWait(MakeSubmit(absl::StrCat("warm-up ", i)));
  }
  server.store().Hold();
  for (std::size_t i = 0; i < kInside; ++i) {
    callers[kConnections]->Submit(MakeSubmit(absl::StrCat("inside ", i)));
  }
  server.AwaitQueued(kInside - kWorkers);

  const std::size_t threads = ThreadCount();
  const std::size_t resident = ResidentBytes();
  std::vector<const AsyncSubmit*> calls;
  for (std::size_t i = 0; i < kParked; ++i) {
    AsyncCaller& caller = *callers[i / kParkedOnEach];
    calls.push_back(&caller.Submit(MakeSubmit(absl::StrCat("parked ", i))));
    if ((i + 1) % kParkedOnEach == 0) server.AwaitWaiting(i + 1);
  }
  // gRPC may have started a few threads. Calls have no threads.
  EXPECT_LE(ThreadCount(), threads + 8);
  // Both ends of each call are in this process.
  EXPECT_LE(ResidentBytes() - resident, kParked * kBytesOfACall);
  const AsyncSubmit& refused =
      callers[kConnections]->SubmitAndWait(MakeSubmit("one too many"));
  EXPECT_EQ(refused.status.error_code(), kExhausted);

  server.store().Release();
  std::set<std::int64_t> sequences;
  std::int64_t last_sequence_before = 0;
  for (std::size_t i = 0; i < kParked; ++i) {
    ASSERT_TRUE(callers[i / kParkedOnEach]->Await(*calls[i]).status.ok());
    EXPECT_EQ(calls[i]->receipt.disposition(), Receipt::STORED);
    // All calls of a connection were parked before the calls of the next one.
    if (i > 0 && i % kParkedOnEach == 0) {
      last_sequence_before = *sequences.rbegin();
    }
    EXPECT_GT(calls[i]->receipt.sequence(), last_sequence_before);
    sequences.insert(calls[i]->receipt.sequence());
  }
  EXPECT_EQ(sequences.size(), kParked);
  EXPECT_EQ(*sequences.rbegin() - *sequences.begin(), kParked - 1);
  EXPECT_EQ(server.store().peak_in_flight(), kWorkers);
  const std::vector<std::string> ids = StoredIds(server.store());
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  EXPECT_EQ(ids.size(), kConnections + 1 + kInside + kParked);
}

}  // namespace
}  // namespace sluice

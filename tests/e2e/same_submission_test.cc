// Tests the same submission arriving by several methods at once. The calls
// share one outcome. They share an acknowledgement if it is durable enough for
// each method.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using v1::Receipt;

// Returns a configuration that acknowledges Submit once the store has it, and
// SubmitStream once it is queued in memory.
Config MixedConfig() {
  Config config = SmallConfig("block", 1);
  config.methods[Index(Method::kSubmitStream)].ack = Ack::kQueued;
  return config;
}

v1::SubmitRequest Other(const std::string& id) {
  v1::SubmitRequest request = MakeSubmit(id);
  request.set_site_id("another");
  return request;
}

class Stream {
 public:
  explicit Stream(TestServer& server)
      : stream_(server.stub().SubmitStream(&context_)) {}
  ~Stream() {
    stream_->WritesDone();
    EXPECT_TRUE(stream_->Finish().ok());
  }

  void Write(const v1::SubmitRequest& request) {
    EXPECT_TRUE(stream_->Write(request));
  }
  Receipt Read() {
    Receipt receipt;
    EXPECT_TRUE(stream_->Read(&receipt));
    return receipt;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SubmitRequest, Receipt>> stream_;
};

// Waits until the server has this many calls of Submit, or `call` has ended.
void AwaitArrived(TestServer& server, int count, const AsyncCaller& caller,
                  const AsyncSubmit& call) {
  const std::string line =
      absl::StrCat("sluice_in_flight{method=\"Submit\"} ", count, "\n");
  AwaitThat("the call has arrived", [&] {
    return caller.Ended(call) ||
           server.Get("/metrics").find(line) != std::string::npos;
  });
}

TEST(TheSame, IsAnsweredTogetherWhenTheJournalHasIt) {
  FaultyDisk disk;
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().Hold();
  disk.HoldSyncs();
  AsyncCaller caller(server.NewChannel());
  const AsyncSubmit& first = caller.Submit(MakeSubmit("1"));
  EXPECT_TRUE(disk.WaitForHeldSync());
  const AsyncSubmit& follower = caller.Submit(MakeSubmit("1"));
  AwaitArrived(server, 2, caller, follower);
  disk.ReleaseSyncs();
  for (const AsyncSubmit* call : {&first, &follower}) {
    EXPECT_EQ(caller.Await(*call).receipt.disposition(), Receipt::QUEUED);
    EXPECT_EQ(call->receipt.sequence(), 1);
  }
  server.store().Release();
}

TEST(TheSame, StillWaitsForTheStoreWhenTheFirstIsAnsweredFromMemory) {
  TestServer server(MixedConfig());
  server.store().Hold();
  AsyncCaller caller(server.NewChannel());
  caller.Submit(MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  caller.Submit(MakeSubmit("queued"));
  server.AwaitQueued(1);
  Stream stream(server);
  stream.Write(MakeSubmit("1"));
  server.AwaitWaiting(1);
  const AsyncSubmit& follower = caller.Submit(MakeSubmit("1"));
  AwaitArrived(server, 3, caller, follower);
  server.store().Release();
  EXPECT_EQ(stream.Read().disposition(), Receipt::QUEUED);
  EXPECT_EQ(caller.Await(follower).receipt.disposition(), Receipt::DUPLICATE);
}

TEST(TheSame, IsNotAnsweredQueuedIfItWaitsForTheStore) {
  TestServer server(MixedConfig());
  server.store().Hold();
  Stream stream(server);
  stream.Write(MakeSubmit("1"));
  EXPECT_EQ(stream.Read().disposition(), Receipt::QUEUED);
  AsyncCaller caller(server.NewChannel());
  const AsyncSubmit& again = caller.Submit(MakeSubmit("1"));
  AwaitArrived(server, 1, caller, again);
  EXPECT_FALSE(caller.Ended(again));
  server.store().Release();
  EXPECT_EQ(caller.Await(again).receipt.disposition(), Receipt::DUPLICATE);
}

TEST(AnotherContentOfAnId, ThatIsCancelledEndsNothingOfTheFirst) {
  TestServer server(SmallConfig("block", 1));
  server.store().Hold();
  AsyncCaller caller(server.NewChannel());
  caller.Submit(MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  const AsyncSubmit& first = caller.Submit(MakeSubmit("1"));
  server.AwaitQueued(1);
  const AsyncSubmit& follower = caller.Submit(MakeSubmit("1"));
  AwaitArrived(server, 3, caller, follower);
  AsyncSubmit& other = caller.Submit(Other("1"));
  server.AwaitWaiting(1);
  other.context.TryCancel();
  server.AwaitWaiting(0);
  EXPECT_FALSE(caller.Ended(follower));
  server.store().Release();
  EXPECT_EQ(caller.Await(first).receipt.disposition(), Receipt::STORED);
  EXPECT_EQ(caller.Await(follower).receipt.disposition(), Receipt::DUPLICATE);
}

TEST(AnotherContentOfAnId, ThatIsAcknowledgedLeavesTheReceiptOfTheFirst) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().Hold();
  const Receipt first = Submit(server, MakeSubmit("1"));
  EXPECT_EQ(Submit(server, Other("1")).sequence(), first.sequence() + 1);
  EXPECT_EQ(Submit(server, MakeSubmit("1")).SerializeAsString(),
            first.SerializeAsString());
  EXPECT_EQ(Lookup(server, "1").content_sha256(), first.content_sha256());
  server.store().Release();
}

}  // namespace
}  // namespace sluice

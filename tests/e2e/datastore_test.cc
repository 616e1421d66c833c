// Tests Sluice with the datastore store, whose datastore is another program.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/submissions/decode.h"
#include "stores/kinds/kinds.h"
#include "stores/registry.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using v1::Receipt;

// Returns the number after `name=` in the output of a program, or 0.
int NumberIn(const std::string& text, const std::string& name) {
  const std::vector<std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(absl::StrCat(name, "="), 1));
  int number = 0;
  if (parts.size() < 2 ||
      !absl::SimpleAtoi(
          std::string(parts[1], 0, parts[1].find_first_not_of("0123456789")),
          &number)) {
    return 0;
  }
  return number;
}

// The program sluice-datastore with its own database.
class DatastoreProgram {
 public:
  explicit DatastoreProgram(std::vector<std::string> flags = {})
      : flags_(std::move(flags)) {
    Start();
  }

  // Starts the program. Later starts use the port of the first.
  void Start() {
    std::vector<std::string> arguments = flags_;
    arguments.push_back(absl::StrCat("--listen=127.0.0.1:", port_));
    arguments.push_back(absl::StrCat("--path=", folder_ / "datastore.db"));
    program_ = std::make_unique<Program>(SLUICE_DATASTORE, arguments);
    AwaitThat("the datastore serves",
              [this] { return NumberIn(program_->out(), "port") > 0; });
    port_ = NumberIn(program_->out(), "port");
  }

  void Kill() {
    program_->Signal(SIGKILL);
    EXPECT_EQ(program_->Wait().signal, SIGKILL);
  }

  // Stops the program. Returns its output, which ends with a summary.
  std::string End() {
    program_->Signal(SIGTERM);
    EXPECT_EQ(program_->Wait().exit_code, 0);
    return program_->out();
  }

  std::string target() const { return absl::StrCat("127.0.0.1:", port_); }

  Shell::Rows Sql(const std::string& sql) const {
    return Shell(folder_ / "datastore.db").Run(sql);
  }

 private:
  const TempFolder folder_;
  const std::vector<std::string> flags_;
  int port_ = 0;
  std::unique_ptr<Program> program_;
};

std::unique_ptr<Store> OpenStore(const DatastoreProgram& datastore,
                                 StoreOptions options = {}) {
  options["target"] = datastore.target();
  EXPECT_TRUE(FindStoreKind("datastore")->check(options).empty());
  auto store = OpenStore("datastore", options, SameContentOfKind);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

TEST(Datastore, SubmissionsEndUpInItAndAreFoundThere) {
  DatastoreProgram datastore;
  TestServer server(SmallConfig("block", 4), OpenStore(datastore));
  AsyncCaller caller(server.NewChannel());
  const AsyncSubmit& first = caller.SubmitAndWait(MakeSubmit("1"));
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  EXPECT_EQ(first.receipt.disposition(), Receipt::STORED);
  const AsyncSubmit& again = caller.SubmitAndWait(MakeSubmit("1"));
  EXPECT_EQ(again.receipt.disposition(), Receipt::DUPLICATE);
  EXPECT_EQ(again.receipt.sequence(), first.receipt.sequence());

  v1::SubmitRequest other = MakeSubmit("1");
  other.mutable_response()->mutable_item(0)->set_link_id("another");
  EXPECT_EQ(caller.SubmitAndWait(other).status.error_code(),
            grpc::StatusCode::ALREADY_EXISTS);

  const Receipt found = Lookup(server, "1");
  EXPECT_EQ(found.disposition(), Receipt::STORED);
  EXPECT_EQ(found.content_sha256(), first.receipt.content_sha256());
  EXPECT_EQ(Lookup(server, "2").disposition(), Receipt::UNKNOWN);
  EXPECT_THAT(
      datastore.Sql("SELECT submission_id, link_id, subject FROM answers"),
      ElementsAre(ElementsAre("1", "44250-9", "Patient/1")));
}

TEST(Datastore, RefusalsHaveARetryDelayWhileItIsUnavailable) {
  DatastoreProgram datastore;
  TestServer server(SmallConfig("block", 4), OpenStore(datastore));
  AsyncCaller caller(server.NewChannel());
  ASSERT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());

  datastore.Kill();
  const AsyncSubmit& refused = caller.SubmitAndWait(MakeSubmit("2"));
  ExpectTryLater(refused.status, refused.context, grpc::StatusCode::UNAVAILABLE,
                 "STORE_UNAVAILABLE");
  server.AwaitDegraded("the store");

  datastore.Start();
  AwaitThat("the datastore is found again",
            [&] { return caller.SubmitAndWait(MakeSubmit("2")).status.ok(); });
  server.AwaitReady();
  EXPECT_EQ(Lookup(server, "1").disposition(), Receipt::STORED);
  EXPECT_EQ(Lookup(server, "2").disposition(), Receipt::STORED);
}

TEST(Datastore, SequencesGoOnAfterARestart) {
  DatastoreProgram datastore;
  std::int64_t last = 0;
  for (int i = 0; i < 2; ++i) {
    TestServer server(SmallConfig("block", 4), OpenStore(datastore));
    AsyncCaller caller(server.NewChannel());
    const Receipt receipt =
        caller.SubmitAndWait(MakeSubmit(absl::StrCat(i))).receipt;
    EXPECT_EQ(receipt.disposition(), Receipt::STORED);
    EXPECT_GT(receipt.sequence(), last);
    last = receipt.sequence();
  }
}

// Imports 40 records in batches of one, with 4 workers. Returns the peak number
// of batches in flight at the datastore.
int PeakOfAnImport(const StoreOptions& options) {
  DatastoreProgram datastore({"--delay=2ms"});
  Config config = SmallConfig("block", 100);
  config.pools["clinical"].workers = {.min = 4, .max = 4};
  TestServer server(config, OpenStore(datastore, options));
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  for (int i = 0; i < 40; ++i) {
    request.add_records()->set_record_id(absl::StrCat(i));
  }
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  EXPECT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  EXPECT_EQ(response.counts().stored(), 40);
  const std::string words = datastore.End();
  EXPECT_EQ(NumberIn(words, "submissions"), 40);
  return NumberIn(words, "peak_in_flight");
}

TEST(Datastore, HasNoMoreBatchesInFlightThanThereAreWorkers) {
  const int peak = PeakOfAnImport({});
  EXPECT_GE(peak, 1);
  EXPECT_LE(peak, 4);
}

TEST(Datastore, HasNoMoreBatchesInFlightThanItIsConfiguredFor) {
  const int peak = PeakOfAnImport({{"max_in_flight", "2"}});
  EXPECT_GE(peak, 1);
  EXPECT_LE(peak, 2);
}

}  // namespace
}  // namespace sluice

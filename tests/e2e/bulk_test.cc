// ImportPatients and RecordEvents: each entry of a call has its own result,
// whatever happens to the other entries.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/sqlite_server.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using v1::Receipt;

v1::ImportPatientsRequest MakeImport(std::size_t records) {
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  request.set_site_id("site");
  for (std::size_t i = 0; i < records; ++i) {
    v1::PatientRecord* record = request.add_records();
    record->set_record_id(absl::StrCat("record ", i));
    record->set_patient_id(absl::StrCat("Patient/", i));
    record->set_data(absl::StrCat("baseline of ", i));
  }
  return request;
}

v1::RecordEventsRequest MakeEvents(std::size_t events) {
  v1::RecordEventsRequest request;
  request.set_study_id("study");
  for (std::size_t i = 0; i < events; ++i) {
    v1::AppEvent* event = request.add_events();
    event->set_event_id(absl::StrCat("event ", i));
    event->set_name("opened");
  }
  return request;
}

// A call of ImportPatients on its own thread.
class Import {
 public:
  Import(TestServer* server, const v1::ImportPatientsRequest& request)
      : thread_([this, server, request] {
          status_ =
              server->stub().ImportPatients(&context_, request, &response_);
          ended_.Notify();
        }) {}
  ~Import() { thread_.join(); }

  grpc::ClientContext& context() { return context_; }
  bool ended() const { return ended_.HasBeenNotified(); }
  // Wait for the end of the call.
  const grpc::Status& status() const {
    ended_.WaitForNotification();
    return status_;
  }
  const v1::ImportPatientsResponse& response() const {
    ended_.WaitForNotification();
    return response_;
  }

 private:
  grpc::ClientContext context_;
  grpc::Status status_;
  v1::ImportPatientsResponse response_;
  absl::Notification ended_;
  std::thread thread_;
};

template <typename Response>
std::vector<Receipt::Disposition> Dispositions(const Response& response) {
  std::vector<Receipt::Disposition> dispositions;
  for (const Receipt& receipt : response.receipts()) {
    dispositions.push_back(receipt.disposition());
  }
  return dispositions;
}

template <typename Response>
std::vector<std::string> Ids(const Response& response) {
  std::vector<std::string> ids;
  for (const Receipt& receipt : response.receipts()) {
    ids.push_back(receipt.submission_id());
  }
  return ids;
}

TEST(ImportPatients, GivesTenThousandRecordsAResultEachByTenWorkers) {
  constexpr std::size_t kRecords = 10000;
  Config config = SmallConfig("block", 64);
  config.pools["clinical"].workers = {.min = 10, .max = 10};
  TestServer server(config);
  server.store().Hold();
  Import import(&server, MakeImport(kRecords));
  server.store().AwaitInFlight(10);
  server.AwaitQueued(64);
  server.AwaitWaiting(1);
  EXPECT_FALSE(import.ended());
  server.store().Release();

  ASSERT_TRUE(import.status().ok()) << import.status().error_message();
  ASSERT_EQ(import.response().receipts_size(), static_cast<int>(kRecords));
  std::set<std::int64_t> sequences;
  for (std::size_t i = 0; i < kRecords; ++i) {
    const Receipt& receipt = import.response().receipts(static_cast<int>(i));
    ASSERT_EQ(receipt.submission_id(), absl::StrCat("record ", i));
    ASSERT_EQ(receipt.disposition(), Receipt::STORED);
    sequences.insert(receipt.sequence());
  }
  EXPECT_EQ(sequences.size(), kRecords);
  EXPECT_EQ(import.response().counts().stored(),
            static_cast<std::int64_t>(kRecords));
  EXPECT_EQ(server.store().peak_in_flight(), 10u);
  EXPECT_THAT(server.store().batches(), Each(1u));
  EXPECT_EQ(server.store().stored().size(), kRecords);
}

TEST(ImportPatients, ABadRecordHoldsBackNoneOfTheOthers) {
  SqliteServer sqlite(SmallConfig("block", 4));
  v1::ImportPatientsRequest request = MakeImport(6);
  request.mutable_records(1)->clear_record_id();
  request.mutable_records(1)->clear_patient_id();
  request.mutable_records(2)->clear_record_id();
  request.mutable_records(3)->set_record_id(std::string(129, 'x'));
  *request.mutable_records(4) = request.records(0);
  request.mutable_records(5)->set_record_id("record 0");

  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  const grpc::Status status =
      sqlite.stub().ImportPatients(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(
      Dispositions(response),
      ElementsAre(Receipt::STORED, Receipt::INVALID, Receipt::STORED,
                  Receipt::INVALID, Receipt::DUPLICATE, Receipt::CONFLICT));
  EXPECT_THAT(Ids(response),
              ElementsAre("record 0", "", "Patient/2",
                          testing::StrNe("record 3"), "record 0", "record 0"));
  EXPECT_EQ(response.receipts(1).issue(0).field(), "records[1].record_id");
  EXPECT_EQ(response.counts().stored(), 2);
  EXPECT_EQ(response.counts().invalid(), 2);
  EXPECT_EQ(response.counts().duplicate(), 1);
  EXPECT_EQ(response.counts().conflict(), 1);
  EXPECT_THAT(sqlite.Query("SELECT kind, subject FROM submissions ORDER BY "
                           "sequence"),
              ElementsAre(ElementsAre("patient_record", "Patient/0"),
                          ElementsAre("patient_record", "Patient/2")));
}

TEST(ImportPatients, AnEmptyListIsAnAnswer) {
  TestServer server(SmallConfig("block", 4));
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  EXPECT_TRUE(
      server.stub().ImportPatients(&context, MakeImport(0), &response).ok());
  EXPECT_THAT(response.receipts(), IsEmpty());
  grpc::ClientContext without_study;
  EXPECT_EQ(
      server.stub().ImportPatients(&without_study, {}, &response).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(ImportPatients, TakesNoMoreThanOnePlaceInTheWaitingRoom) {
  FullServer full(SmallConfig("block", 1));
  Import first(&full.server(), MakeImport(100));
  full.server().AwaitWaiting(1);
  v1::ImportPatientsRequest others = MakeImport(100);
  others.set_study_id("another");
  Import second(&full.server(), others);
  full.server().AwaitWaiting(2);
  EXPECT_EQ(full.server().counters(Method::kImportPatients).received, 2u);

  full.store().Release();
  EXPECT_EQ(first.response().counts().stored(), 100);
  EXPECT_EQ(second.response().counts().stored(), 100);
  EXPECT_EQ(full.server().counters(Method::kImportPatients).received, 200u);
}

TEST(ImportPatients, RefusesRecordsForWhichThereIsNoRoomAndTakesTheRest) {
  TestServer server(SmallConfig("fail_fast", 2));
  server.store().Hold();
  Import import(&server, MakeImport(8));
  server.store().AwaitInFlight(1);
  AwaitThat("all records have arrived", [&] {
    return server.counters(Method::kImportPatients).received == 8;
  });
  server.store().Release();
  ASSERT_TRUE(import.status().ok()) << import.status().error_message();
  const auto dispositions = Dispositions(import.response());
  std::size_t stored = 0;
  for (const Receipt& receipt : import.response().receipts()) {
    if (receipt.disposition() == Receipt::STORED) {
      ++stored;
      continue;
    }
    EXPECT_EQ(receipt.disposition(), Receipt::REFUSED);
    EXPECT_TRUE(receipt.has_retry_delay());
    EXPECT_THAT(receipt.content_sha256(), IsEmpty());
  }
  EXPECT_EQ(dispositions[0], Receipt::STORED);
  EXPECT_EQ(import.response().counts().refused(),
            static_cast<std::int64_t>(8 - stored));
  EXPECT_EQ(server.store().stored().size(), stored);
  EXPECT_LE(stored, 3u);
}

TEST(ImportPatients, ACancelledCallWithdrawsRecordsThatAreNotBegun) {
  FullServer full(SmallConfig("block", 2));
  Import import(&full.server(), MakeImport(100));
  full.server().AwaitWaiting(1);
  import.context().TryCancel();
  EXPECT_EQ(import.status().error_code(), grpc::StatusCode::CANCELLED);
  full.server().AwaitWaiting(0);
  full.store().Release();
  full.server().Drain();
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "queued 2"));
  EXPECT_EQ(full.server().counters(Method::kImportPatients).received, 1u);
}

TEST(ImportPatients, MayBeCancelledAtAnyMoment) {
  Config config = SmallConfig("block", 2);
  config.pools["clinical"].workers = {.min = 2, .max = 2};
  TestServer server(config);
  constexpr std::size_t kRecords = 200;
  for (std::size_t moment = 0; moment < 40; ++moment) {
    v1::ImportPatientsRequest request = MakeImport(kRecords);
    request.set_study_id(absl::StrCat("study ", moment));
    const std::size_t until = server.store().stored().size() + 4 * moment;
    Import import(&server, request);
    AwaitThat(absl::StrCat(until, " records are stored"),
              [&] { return server.store().stored().size() >= until; });
    import.context().TryCancel();
    import.status();
    AwaitThat("the pool is empty", [&] {
      const PoolView view = server.view();
      return view.waiting == 0 && view.depth == 0 && view.held_bytes == 0;
    });
  }
}

// A call with many entries lets its loop handle other events after every 256
// entries, and can be cancelled then.
TEST(ImportPatients, MayBeCancelledBetweenItsRounds) {
  // The queue needs room for all entries, so that a call is read although the
  // store is blocked.
  TestServer server(SmallConfig("fail_fast", 200'000));
  server.store().Hold();
  constexpr std::size_t kRecords = 5000;
  std::uint64_t received = 0;
  for (std::size_t moment = 0; moment < 20; ++moment) {
    v1::ImportPatientsRequest request = MakeImport(kRecords);
    request.set_study_id(absl::StrCat("study ", moment));
    Import import(&server, request);
    AwaitThat("some records are offered", [&] {
      return server.counters(Method::kImportPatients).received >
             received + 250 * moment;
    });
    import.context().TryCancel();
    import.status();
    received = server.counters(Method::kImportPatients).received;
  }
  server.store().Release();
  server.Drain();
  const MethodCounters counters = server.counters(Method::kImportPatients);
  EXPECT_TRUE(counters.Balanced());
  EXPECT_LE(counters.received, 20 * kRecords);
}

TEST(ImportPatients, AllRecordsOfALargeCallHaveReceipts) {
  Config config = SmallConfig("block", 100);
  config.pools["clinical"].batch_max = 100;
  TestServer server(config);
  constexpr std::size_t kRecords = 1000;
  Import import(&server, MakeImport(kRecords));
  ASSERT_TRUE(import.status().ok()) << import.status().error_message();
  EXPECT_THAT(Dispositions(import.response()), Each(Receipt::STORED));
  EXPECT_EQ(server.store().stored().size(), kRecords);
}

TEST(RecordEvents, AreAnsweredQueuedAndDroppedEachForItself) {
  Config config = SmallConfig("drop", 4);
  config.methods[Index(Method::kRecordEvents)].ack = Ack::kQueued;
  TestServer server(config);
  server.store().Hold();
  grpc::ClientContext first;
  v1::RecordEventsResponse response;
  v1::RecordEventsRequest request = MakeEvents(1);
  request.mutable_events(0)->set_event_id("in work");
  ASSERT_TRUE(server.stub().RecordEvents(&first, request, &response).ok());
  server.store().AwaitInFlight(1);

  grpc::ClientContext context;
  request = MakeEvents(8);
  request.mutable_events(2)->clear_event_id();
  const grpc::Status status =
      server.stub().RecordEvents(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Dispositions(response),
              ElementsAre(Receipt::QUEUED, Receipt::QUEUED, Receipt::INVALID,
                          Receipt::QUEUED, Receipt::QUEUED, Receipt::DROPPED,
                          Receipt::DROPPED, Receipt::DROPPED));
  EXPECT_THAT(Ids(response),
              ElementsAre("event 0", "event 1", "", "event 3", "event 4",
                          "event 5", "event 6", "event 7"));
  EXPECT_EQ(response.counts().queued(), 4);
  EXPECT_EQ(response.counts().dropped(), 3);
  EXPECT_EQ(response.counts().invalid(), 1);
  EXPECT_EQ(
      server.counters(Method::kRecordEvents).not_admitted[TaskResult::kDropped],
      3u);

  server.store().Release();
  server.Drain();
  EXPECT_THAT(
      StoredIds(server.store()),
      ElementsAre("in work", "event 0", "event 1", "event 3", "event 4"));
}

TEST(RecordEvents, TheOldestAreDroppedForTheLatestOfTheSameCallToo) {
  TestServer server(SmallConfig("drop_oldest", 3));
  server.store().Hold();
  v1::RecordEventsRequest first = MakeEvents(1);
  first.mutable_events(0)->set_event_id("in work");
  std::thread caller([&] {
    grpc::ClientContext context;
    v1::RecordEventsResponse response;
    EXPECT_TRUE(server.stub().RecordEvents(&context, first, &response).ok());
    EXPECT_THAT(Dispositions(response), ElementsAre(Receipt::STORED));
  });
  server.store().AwaitInFlight(1);
  std::thread releaser([&] {
    AwaitThat("all events have arrived", [&] {
      return server.counters(Method::kRecordEvents).received == 7;
    });
    server.store().Release();
  });

  grpc::ClientContext context;
  v1::RecordEventsResponse response;
  const grpc::Status status =
      server.stub().RecordEvents(&context, MakeEvents(6), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Dispositions(response),
              ElementsAre(Receipt::DROPPED, Receipt::DROPPED, Receipt::DROPPED,
                          Receipt::STORED, Receipt::STORED, Receipt::STORED));
  EXPECT_EQ(response.counts().dropped(), 3);
  caller.join();
  releaser.join();
  const MethodCounters counters = server.counters(Method::kRecordEvents);
  EXPECT_EQ(counters.admitted, 7u);
  EXPECT_EQ(counters.not_admitted[TaskResult::kDropped], 0u);
  EXPECT_THAT(StoredIds(server.store()),
              ElementsAre("in work", "event 3", "event 4", "event 5"));
}

TEST(RecordEvents, AnEmptyListIsAnAnswer) {
  TestServer server(SmallConfig("drop", 4));
  grpc::ClientContext context;
  v1::RecordEventsResponse response;
  EXPECT_TRUE(
      server.stub().RecordEvents(&context, MakeEvents(0), &response).ok());
  EXPECT_THAT(response.receipts(), IsEmpty());
}

TEST(ImportPatients, AFailingStoreRefusesEachRecordWithARetryDelay) {
  TestServer server(SmallConfig("block", 4));
  server.store().FailWith(absl::UnavailableError("full"));
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  EXPECT_TRUE(
      server.stub().ImportPatients(&context, MakeImport(3), &response).ok());
  EXPECT_THAT(Dispositions(response), Each(Receipt::REFUSED));
  for (const Receipt& receipt : response.receipts()) {
    EXPECT_TRUE(receipt.has_retry_delay());
  }
  EXPECT_THAT(server.store().stored(), IsEmpty());
}

}  // namespace
}  // namespace sluice

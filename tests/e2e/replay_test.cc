// Tests the start of a server whose journal has entries of an earlier run.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/ingestion_server.h"
#include "server/submissions/decode.h"
#include "stores/journal.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using v1::Receipt;

class Replay : public testing::Test {
 protected:
  // Writes the journal of a server that acknowledged `requests` and was killed.
  void Leave(const std::vector<v1::SubmitRequest>& requests) {
    std::deque<ReceivedSubmission> submissions;
    std::vector<NewJournalEntry> entries;
    for (const v1::SubmitRequest& request : requests) {
      ReceivedSubmission& submission = submissions.emplace_back();
      submission.sequence = static_cast<std::int64_t>(submissions.size());
      submission.study_id = request.study_id();
      submission.site_id = request.site_id();
      submission.submission_id = request.submission_id();
      submission.received_at = kReceivedAt;
      submission.content = request.SerializeAsString();
      submission.content_sha256 = Sha256(submission.content);
      entries.push_back({"Submit", &submission});
    }
    auto journal = Journal::Open(folder_ / "journal.db");
    ASSERT_TRUE(journal.ok()) << journal.status();
    ASSERT_TRUE((*journal)->Append(entries).ok());
  }

  // Returns the sequence numbers of the entries in the journal.
  std::vector<std::int64_t> Kept() const {
    auto journal = Journal::Open(folder_ / "journal.db");
    EXPECT_TRUE(journal.ok()) << journal.status();
    std::vector<std::int64_t> kept;
    const absl::Status status = (*journal)->Replay(
        [&](JournalEntry entry) { kept.push_back(entry.submission.sequence); });
    EXPECT_TRUE(status.ok()) << status;
    return kept;
  }

  const absl::Time kReceivedAt = absl::FromUnixSeconds(1'700'000'000);
  const TempFolder folder_;
};

TEST_F(Replay, IsOfWhatTheStoreDoesNotHave) {
  {
    TestServer server(JournalConfig(folder_));
    for (int i = 0; i < 10; ++i) Submit(server, MakeSubmit(absl::StrCat(i)));
    AwaitStored(server, 10);
  }
  EXPECT_THAT(Kept(), IsEmpty());
}

TEST_F(Replay, RecognisesAcknowledgedSubmissionsAgain) {
  Leave({MakeSubmit("1")});
  absl::Notification go_on;
  TestServer server(JournalConfig(folder_), [&](const Submission&) {
    EXPECT_TRUE(go_on.WaitForNotificationWithTimeout(kPatience));
  });
  const Receipt found = Lookup(server, "1");
  EXPECT_EQ(found.disposition(), Receipt::QUEUED);
  EXPECT_EQ(found.sequence(), 1);
  EXPECT_EQ(found.received_at().seconds(), absl::ToUnixSeconds(kReceivedAt));
  EXPECT_EQ(Submit(server, MakeSubmit("1")).SerializeAsString(),
            found.SerializeAsString());
  go_on.Notify();
  AwaitStored(server, 1);
  EXPECT_THAT(server.store().batches(), ElementsAre(1u));
}

TEST_F(Replay, KeepsTheOrderOfASubject) {
  Leave({Of("Patient/1", "first"), Of("Patient/1", "second"),
         Of("Patient/1", "third"), Of("Patient/2", "another's")});
  Config config = JournalConfig(folder_);
  config.pools["clinical"].workers = {.min = 4, .max = 4};
  config.pools["clinical"].batch_max = 1;
  absl::Notification go_on;
  TestServer server(config, [&](const Submission& submission) {
    if (submission.subject != "Patient/1") return;
    EXPECT_TRUE(go_on.WaitForNotificationWithTimeout(kPatience));
  });
  // The entry of Patient/2 arrived last, but was stored before the second and
  // third entry.
  AwaitStored(server, 1);
  AwaitThat("one submission is in work", [&] {
    return server.server().Snapshots().at("clinical").in_work == 1;
  });
  EXPECT_EQ(server.view().depth, 2u);
  go_on.Notify();
  AwaitStored(server, 4);
  std::vector<std::int64_t> sequences;
  for (const Submission& submission : server.store().stored()) {
    sequences.push_back(submission.sequence);
  }
  EXPECT_THAT(sequences, ElementsAre(4, 1, 2, 3));
}

// --- A journal with more entries than the queue may have ---

class LongReplay : public Replay {
 protected:
  LongReplay() : config_(JournalConfig(folder_)) {
    config_.pools["clinical"].queue_capacity = 4;
    config_.pools["clinical"].batch_max = 2;
    std::vector<v1::SubmitRequest> requests;
    for (int i = 1; i <= kCount; ++i) {
      requests.push_back(Of(absl::StrCat("Patient/", i % 3), absl::StrCat(i)));
    }
    Leave(requests);
  }

  static std::size_t InMemory(TestServer& server) {
    const MethodCounters counters = server.counters(Method::kSubmit);
    return counters.queued + counters.in_work;
  }
  static std::size_t InWork(TestServer& server) {
    return server.server().Snapshots().at("clinical").in_work;
  }

  static constexpr int kCount = 50;
  Config config_;
};

TEST_F(LongReplay, LoadsNoMoreThanTheQueueMayHave) {
  absl::Notification go_on;
  TestServer server(config_, [&](const Submission&) {
    EXPECT_TRUE(go_on.WaitForNotificationWithTimeout(kPatience));
  });
  // The worker may have taken its batch when only one entry was in the queue.
  AwaitThat("a batch is in work and the queue is full again", [&] {
    return InWork(server) > 0 && InMemory(server) == InWork(server) + 4;
  });
  EXPECT_LE(InWork(server), 2u);
  EXPECT_EQ(server.counters(Method::kSubmit).received, InMemory(server));
  EXPECT_EQ(server.view().depth, kCount - InWork(server));
  EXPECT_THAT(server.Get("/metrics"),
              testing::HasSubstr(absl::StrCat(
                  "sluice_journal_depth{pool=\"clinical\"} ", kCount, "\n")));
  // Unread entries are not admitted, so the counters balance.
  EXPECT_THAT(server.Get("/metrics"),
              testing::HasSubstr("sluice_queue_depth{pool=\"clinical\"} 4\n"));
  server.AwaitDegraded("replayed");

  // Arrivals are refused, also repeated submissions that are not read yet.
  for (const char* id : {"new", "50"}) {
    grpc::ClientContext context;
    Receipt receipt;
    const grpc::Status status =
        server.stub().Submit(&context, MakeSubmit(id), &receipt);
    ExpectTryLater(status, context, grpc::StatusCode::RESOURCE_EXHAUSTED,
                   "QUEUE_FULL");
  }
  // A look-up finds entries that are not read yet.
  for (const char* id : {"1", "6", "7", "50"}) {
    EXPECT_EQ(Lookup(server, id).disposition(), Receipt::QUEUED) << id;
    EXPECT_EQ(absl::StrCat(Lookup(server, id).sequence()), id);
  }
  EXPECT_EQ(Lookup(server, "51").disposition(), Receipt::UNKNOWN);

  go_on.Notify();
  AwaitStored(server, kCount);
  server.AwaitReady();
  EXPECT_EQ(Submit(server, MakeSubmit("new")).sequence(), kCount + 1);
  AwaitStored(server, kCount + 1);
  std::map<std::string, std::int64_t> last;
  for (const Submission& submission : server.store().stored()) {
    EXPECT_GT(submission.sequence, last[submission.subject]);
    last[submission.subject] = submission.sequence;
  }
}

TEST_F(LongReplay, IsLimitedByBytes) {
  config_.pools["clinical"].queue_capacity = 1000;
  const std::size_t bytes = Of("Patient/1", "10").ByteSizeLong();
  config_.pools["clinical"].queue_capacity_bytes = 3 * bytes + 1;
  absl::Notification go_on;
  TestServer server(config_, [&](const Submission&) {
    EXPECT_TRUE(go_on.WaitForNotificationWithTimeout(kPatience));
  });
  AwaitThat("a batch is in work", [&] { return InWork(server) > 0; });
  EXPECT_LE(server.view().held_bytes, 4 * bytes + 1) << "one entry too many";
  EXPECT_LE(InMemory(server), 5u);
  go_on.Notify();
  AwaitStored(server, kCount);
}

TEST_F(LongReplay, EndsWithADrainAndContinuesAtTheNextStart) {
  config_.drain_timeout = absl::Seconds(2);
  {
    TestServer server(config_);
    server.store().FailWith(absl::UnavailableError("unavailable"));
    const DrainReport report = server.Drain();
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.journaled, kCount - server.store().stored().size());
  }
  config_.drain_timeout = absl::Seconds(30);
  const std::size_t left = Kept().size();
  TestServer server(config_);
  AwaitStored(server, left);
}

// --- A start that fails after the journal was read ---

class FailedStart : public Replay {
 protected:
  FailedStart() : other_(JournalConfig(others_folder_)) {
    std::vector<v1::SubmitRequest> requests;
    for (int i = 0; i < kCount; ++i) {
      requests.push_back(MakeSubmit(absl::StrCat(i)));
      everything_.push_back(i + 1);
    }
    Leave(requests);
  }

  // Returns configurations in each of which another server uses a port.
  std::vector<Config> WithPortsTaken() {
    std::vector<Config> configs(2, JournalConfig(folder_));
    configs[0].metrics =
        absl::StrCat("127.0.0.1:", other_.server().metrics_port());
    configs[1].admin = absl::StrCat("127.0.0.1:", other_.server().admin_port());
    return configs;
  }

  static void ExpectNotToStart(const Config& config,
                               std::unique_ptr<Store> store) {
    const auto server = IngestionServer::Start(
        {.config = config, .store = std::move(store), .step = {}});
    EXPECT_FALSE(server.ok());
  }

  std::unique_ptr<Store> OpenStore() const {
    auto store =
        SqliteStore::Open({.path = folder_ / "sluice.db"}, SameContentOfKind);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  static constexpr int kCount = 50;
  std::vector<std::int64_t> everything_;
  const TempFolder others_folder_;
  TestServer other_;
};

TEST_F(FailedStart, LeavesTheJournalUnchangedIfTheStoreIsUnavailable) {
  for (const Config& config : WithPortsTaken()) {
    auto store = std::make_unique<GatedStore>();
    store->FailWith(absl::UnavailableError("unavailable"));
    ExpectNotToStart(config, std::move(store));
    EXPECT_EQ(Kept(), everything_);
  }
}

TEST_F(FailedStart, StoresOrKeepsEverything) {
  for (const Config& config : WithPortsTaken()) {
    ExpectNotToStart(config, OpenStore());
  }
  {
    TestServer server(JournalConfig(folder_), OpenStore());
    AwaitThat("all entries of the journal are stored",
              [&] { return server.view().depth == 0; });
  }
  EXPECT_THAT(Kept(), IsEmpty());
  const auto rows = Shell(folder_ / "sluice.db")
                        .Run("SELECT sequence FROM submissions ORDER BY 1");
  ASSERT_THAT(rows, SizeIs(kCount));
  EXPECT_EQ(rows.front().front(), "1");
  EXPECT_EQ(rows.back().front(), absl::StrCat(kCount));
}

}  // namespace
}  // namespace sluice

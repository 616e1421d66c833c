// Tests submissions that are acknowledged before they are stored. They must not
// be lost: they are processed again while the store is unavailable, and
// quarantined if they cannot be stored.

#include "stores/journal.h"

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/submissions/decode.h"
#include "server/submissions/submission_processor.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using v1::Receipt;

TEST(Journal, AnswersWhileTheStoreHangs) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().Hold();
  const Receipt receipt = Submit(server, MakeSubmit("1"));
  EXPECT_EQ(receipt.disposition(), Receipt::QUEUED);
  EXPECT_EQ(receipt.sequence(), 1);

  Receipt found = Lookup(server, "1");
  EXPECT_EQ(found.disposition(), Receipt::QUEUED);
  EXPECT_EQ(found.sequence(), 1);
  EXPECT_EQ(found.content_sha256(), receipt.content_sha256());

  server.store().Release();
  AwaitStored(server, 1);
  AwaitThat("the receipt is STORED", [&] {
    return Lookup(server, "1").disposition() == Receipt::STORED;
  });
}

TEST(Journal, LookupFindsTheStoredSubmissionWhileAnotherContentIsQueued) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  Submit(server, Of("Patient/1", "1"));
  AwaitStored(server, 1);
  server.store().Hold();
  EXPECT_EQ(Submit(server, Of("Patient/2", "1")).sequence(), 2);
  const Receipt found = Lookup(server, "1");
  EXPECT_EQ(found.disposition(), Receipt::STORED);
  EXPECT_EQ(found.sequence(), 1);
  server.store().Release();
}

TEST(Journal, RecognisesWhatItHas) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().Hold();
  const Receipt first = Submit(server, MakeSubmit("1"));
  EXPECT_EQ(first.disposition(), Receipt::QUEUED);
  EXPECT_EQ(Submit(server, MakeSubmit("1")).SerializeAsString(),
            first.SerializeAsString());
  server.store().Release();
  AwaitThat("the submission is a duplicate of the stored one", [&] {
    return Submit(server, MakeSubmit("1")).disposition() == Receipt::DUPLICATE;
  });
  EXPECT_EQ(Submit(server, MakeSubmit("1")).sequence(), 1);
  EXPECT_EQ(server.store().batches(), std::vector<std::size_t>{1});
}

TEST(Journal, WhatADrainLeavesIsStoredAfterTheNextStart) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.drain_timeout = absl::Seconds(2);
  std::vector<std::string> contents;
  {
    TestServer server(config);
    server.store().FailWith(absl::UnavailableError("unavailable"));
    for (int i = 0; i < 100; ++i) {
      const v1::SubmitRequest request = MakeSubmit(absl::StrCat(i));
      EXPECT_EQ(Submit(server, request).disposition(), Receipt::QUEUED);
      contents.push_back(request.SerializeAsString());
    }
    const DrainReport report = server.Drain();
    EXPECT_EQ(report.journaled, 100u);
    EXPECT_THAT(report.left, IsEmpty());
    EXPECT_TRUE(report.clean());
  }
  config.drain_timeout = absl::Seconds(30);
  TestServer server(config);
  AwaitStored(server, 100);
  EXPECT_EQ(server.counters(Method::kSubmit).received, 100u);
  const std::vector<Submission> stored = server.store().stored();
  for (std::size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(stored[i].sequence, static_cast<std::int64_t>(i + 1));
    EXPECT_EQ(stored[i].content, contents[i]);
  }
  // New sequence numbers continue after those of the previous run.
  EXPECT_EQ(Submit(server, MakeSubmit("next")).sequence(), 101);
  AwaitStored(server, 101);
}

TEST(Journal, TakesAnImportOfTenThousandAndStoresItThen) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().Hold();
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  for (int i = 0; i < 10'000; ++i) {
    request.add_records()->set_record_id(absl::StrCat(i));
  }
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  ASSERT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  EXPECT_EQ(response.counts().queued(), 10'000);
  server.store().Release();
  AwaitStored(server, 10'000);
}

TEST(Journal, FullOfCountsDoesWhatThePolicySays) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.pools["clinical"].queue_capacity = 4;
  config.pools["clinical"].batch_max = 1;
  TestServer server(config);
  server.store().Hold();
  Submit(server, MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  for (int i = 0; i < 4; ++i) Submit(server, MakeSubmit(absl::StrCat(i)));
  grpc::ClientContext context;
  Receipt receipt;
  const grpc::Status status =
      server.stub().Submit(&context, MakeSubmit("one more"), &receipt);
  ExpectTryLater(status, context, grpc::StatusCode::RESOURCE_EXHAUSTED,
                 "QUEUE_FULL");
  server.store().Release();
}

TEST(Journal, KeepsWhatHadToWaitForRoom) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.pools["clinical"].queue_capacity = 1;
  config.pools["clinical"].batch_max = 1;
  config.methods[Index(Method::kSubmit)].on_full = "block";
  TestServer server(config);
  server.store().Hold();
  Submit(server, MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  Submit(server, MakeSubmit("queued"));
  AsyncCaller caller(server.NewChannel());
  const AsyncSubmit& parked = caller.Submit(MakeSubmit("parked"));
  server.AwaitWaiting(1);
  server.store().Release();
  EXPECT_EQ(caller.Await(parked).receipt.disposition(), Receipt::QUEUED);
  AwaitStored(server, 3);
}

// --- An unavailable store ---

TEST(StoreUnavailable, DoesNotAffectCallersOfQueued) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().FailWith(absl::UnavailableError("unavailable"));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Submit(server, MakeSubmit(absl::StrCat(i))).disposition(),
              Receipt::QUEUED);
  }
  AwaitThat("the circuit opens", [&] {
    return server.server().Snapshots().at("clinical").circuit_open;
  });
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_store_circuit_open{pool=\"clinical\"} 1\n"));
  // Nothing but look-ups needs the store.
  server.AwaitDegraded("sluice.v1.Ingestion/GetReceipts: the store fails");
  EXPECT_THAT(server.Get("/readyz"),
              testing::AllOf(testing::StartsWith("ok\n"),
                             testing::Not(HasSubstr("Ingestion/Submit"))));
  EXPECT_EQ(Submit(server, MakeSubmit("while it is open")).disposition(),
            Receipt::QUEUED);
  server.store().FailWith(absl::OkStatus());
  AwaitStored(server, 51);
  AwaitThat("the circuit closes", [&] {
    return !server.server().Snapshots().at("clinical").circuit_open;
  });
}

// While the store is unavailable, failed tries do not count against a
// submission.
TEST(StoreUnavailable, QuarantinesNothing) {
  const TempFolder folder;
  FakeClock clock;
  TestServer server(JournalConfig(folder), {}, &clock);
  server.store().FailWith(absl::UnavailableError("unavailable"));
  Submit(server, MakeSubmit("1"));
  AwaitThat("the submission has been tried often", [&] {
    clock.Advance(std::chrono::seconds(20));  // longer than any pause
    return server.store().batches().size() >
           2 * SubmissionProcessor::kLoneTriesMax;
  });
  EXPECT_EQ(Lookup(server, "1").disposition(), Receipt::QUEUED);
  server.store().FailWith(absl::OkStatus());
  AwaitThat("the submission is stored", [&] {
    clock.Advance(std::chrono::seconds(20));
    return server.store().stored().size() == 1;
  });
}

// The store becomes available again after a failed try, before its state is
// checked.
TEST(StoreUnavailable, DoesNotCountTriesTowardsQuarantine) {
  const TempFolder folder;
  FakeClock clock;
  TestServer server(JournalConfig(folder), {}, &clock);
  const auto await_tries = [&](std::size_t tries) {
    const std::size_t before = server.store().batches().size();
    AwaitThat("the submission is tried again", [&] {
      clock.Advance(std::chrono::seconds(20));  // longer than any pause
      return server.store().batches().size() >= before + tries;
    });
  };
  server.store().FailWith(absl::UnavailableError("unavailable"));
  Submit(server, MakeSubmit("1"));
  await_tries(2 * SubmissionProcessor::kLoneTriesMax);
  server.store().FailFor("1", absl::UnavailableError("still unavailable"));
  server.store().FailWith(absl::OkStatus());
  await_tries(2);
  EXPECT_EQ(Lookup(server, "1").disposition(), Receipt::QUEUED);
  server.store().FailFor("1", absl::OkStatus());
  AwaitThat("the submission is stored", [&] {
    clock.Advance(std::chrono::seconds(20));
    return server.store().stored().size() == 1;
  });
}

// If readiness needed a submission, and load balancers sent none before the
// server is ready, the server would never become ready.
TEST(StoreUnavailable, ReadinessRecoversWithoutSubmissions) {
  TestServer server(SmallConfig("fail_fast", 64));
  server.store().FailWith(absl::UnavailableError("unavailable"));
  const auto submit = [&] {
    grpc::ClientContext context;
    Receipt receipt;
    return server.stub().Submit(&context, MakeSubmit("1"), &receipt).ok();
  };
  AwaitThat("the circuit opens", [&] {
    submit();
    return server.server().Snapshots().at("clinical").circuit_open;
  });
  server.AwaitDegraded("the store fails");
  server.store().FailWith(absl::OkStatus());
  server.AwaitReady();
  AwaitThat("the submission is stored", submit);
  EXPECT_FALSE(server.server().Snapshots().at("clinical").circuit_open);
}

TEST(StoreUnavailable, RefusesCallersOfStoredAtOnce) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.methods[Index(Method::kSubmit)].ack = Ack::kStored;
  TestServer server(config);
  server.store().FailWith(absl::UnavailableError("unavailable"));
  const auto submit = [&](const std::string& id) {
    grpc::ClientContext context;
    Receipt receipt;
    const grpc::Status status =
        server.stub().Submit(&context, MakeSubmit(id), &receipt);
    ExpectTryLater(status, context, grpc::StatusCode::UNAVAILABLE,
                   "STORE_UNAVAILABLE");
  };
  for (int i = 0; !server.server().Snapshots().at("clinical").circuit_open;
       ++i) {
    ASSERT_LT(i, 10'000);
    submit(absl::StrCat(i));
  }
  // The store is not called while the circuit is open.
  const std::size_t batches = server.store().batches().size();
  for (int i = 0; i < 10; ++i) submit(absl::StrCat("refused ", i));
  EXPECT_LE(server.store().batches().size(), batches + 1);
  server.store().FailWith(absl::OkStatus());
}

TEST(StoreUnavailable, KeepsTheOrderOfASubject) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.pools["clinical"].workers = {.min = 4, .max = 4};
  config.pools["clinical"].batch_max = 3;
  TestServer server(config);
  server.store().FailWith(absl::UnavailableError("unavailable"));
  constexpr int kSubjects = 5;
  for (int i = 0; i < 100; ++i) {
    Submit(server,
           Of(absl::StrCat("Patient/", i % kSubjects), absl::StrCat(i)));
    if (i == 60) server.store().FailWith(absl::OkStatus());
  }
  AwaitStored(server, 100);
  std::map<std::string, std::int64_t> last;
  for (const Submission& submission : server.store().stored()) {
    EXPECT_GT(submission.sequence, last[submission.subject])
        << submission.subject;
    last[submission.subject] = submission.sequence;
  }
  EXPECT_THAT(last, SizeIs(kSubjects));
}

// --- Submissions that cannot be stored ---

class Poison : public testing::Test {
 protected:
  std::unique_ptr<v1::Admin::Stub> Admin(TestServer& server) {
    return v1::Admin::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server.server().admin_port()),
        grpc::InsecureChannelCredentials()));
  }

  v1::RetryQuarantinedResponse RetryAll(TestServer& server) {
    grpc::ClientContext context;
    v1::RetryQuarantinedRequest request;
    request.set_all(true);
    v1::RetryQuarantinedResponse response;
    EXPECT_TRUE(
        Admin(server)->RetryQuarantined(&context, request, &response).ok());
    return response;
  }

  // Returns the gaps that an export reports.
  std::vector<std::string> Gaps(TestServer& server) {
    const auto admin = Admin(server);
    grpc::ClientContext context;
    const auto reader = admin->Export(&context, {});
    std::vector<std::string> gaps;
    for (v1::ExportResponse response; reader->Read(&response);) {
      if (!response.has_gap()) continue;
      const v1::SequenceGap& gap = response.gap();
      gaps.push_back(absl::StrCat(v1::SequenceGap::Reason_Name(gap.reason()),
                                  " ", gap.first(), "-", gap.last()));
    }
    EXPECT_TRUE(reader->Finish().ok());
    return gaps;
  }

  // Submits "poison" in a batch with two other submissions. Waits until the two
  // are stored and "poison" is quarantined.
  void SubmitAmongOthers(TestServer& server) {
    server.store().Hold();
    Submit(server, MakeSubmit("first"));
    server.store().AwaitInFlight(1);
    for (const char* id : {"before", "poison", "after"}) {
      EXPECT_EQ(Submit(server, MakeSubmit(id)).disposition(), Receipt::QUEUED);
    }
    server.store().Release();
    AwaitQuarantined(server, "poison");
    AwaitStored(server, 3);
  }

  void AwaitQuarantined(TestServer& server, const std::string& id) {
    AwaitThat(id + " is in quarantine", [&] {
      return Lookup(server, id).disposition() == Receipt::QUARANTINED;
    });
  }

  const TempFolder folder_;
};

TEST_F(Poison, ThatThrowsGoesIntoQuarantineAlone) {
  std::atomic<bool> throws{true};
  TestServer server(JournalConfig(folder_), [&](const Submission& submission) {
    if (throws && submission.submission_id == "poison") {
      throw std::runtime_error(submission.content);
    }
  });
  SubmitAmongOthers(server);
  EXPECT_THAT(Lookup(server, "poison").issue(0).description(),
              HasSubstr("processing threw an exception"));
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_quarantined{pool=\"clinical\"} 1\n"));

  // From now on processing succeeds, so the submission is stored.
  throws = false;
  grpc::ClientContext context;
  v1::RetryQuarantinedRequest request;
  request.set_pool("clinical");
  request.add_sequences(3);
  v1::RetryQuarantinedResponse response;
  ASSERT_TRUE(
      Admin(server)->RetryQuarantined(&context, request, &response).ok());
  AwaitStored(server, 4);
  EXPECT_EQ(server.store().stored()[3].sequence, 3);
  AwaitThat("the receipt is STORED", [&] {
    return Lookup(server, "poison").disposition() == Receipt::STORED;
  });
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_quarantined{pool=\"clinical\"} 0\n"));
}

// The retry comes while the lookup is between its searches of the queue and of
// the quarantine.
TEST_F(Poison, IsFoundDuringARetryAlthoughItsRepetitionWasDiscarded) {
  {
    auto journal = Journal::Open(folder_ / "journal.db");
    ASSERT_TRUE(journal.ok()) << journal.status();
    const v1::SubmitRequest request = MakeSubmit("poison");
    for (const std::int64_t sequence : {1, 2}) {
      ReceivedSubmission submission;
      submission.sequence = sequence;
      submission.study_id = request.study_id();
      submission.submission_id = request.submission_id();
      submission.content = request.SerializeAsString();
      submission.content_sha256 = Sha256(submission.content);
      const NewJournalEntry entry{"Submit", &submission};
      ASSERT_TRUE((*journal)->Append({&entry, 1}).ok());
      const UnstorableEntry unstorable{
          .position = sequence, .reason = "reason", .tries = 1};
      ASSERT_TRUE((*journal)->Quarantine({&unstorable, 1}).front().ok());
    }
  }
  TestServer server(JournalConfig(folder_));
  server.store().Hold();
  server.store().OnNextLookup([&] { RetryAll(server); });
  const Receipt found = Lookup(server, "poison");
  EXPECT_EQ(found.disposition(), Receipt::QUEUED);
  EXPECT_EQ(found.sequence(), 1);
  server.store().Release();
  AwaitStored(server, 1);
}

TEST_F(Poison, ThatTheStoreRefusesGoesIntoQuarantineAlone) {
  TestServer server(JournalConfig(folder_));
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  SubmitAmongOthers(server);
  EXPECT_THAT(Lookup(server, "poison").issue(0).description(),
              HasSubstr("the store rejected the submission"));
  grpc::ClientContext context;
  v1::ListQuarantineResponse response;
  ASSERT_TRUE(Admin(server)->ListQuarantine(&context, {}, &response).ok());
  ASSERT_EQ(response.entries_size(), 1);
  EXPECT_EQ(response.entries(0).tries(), SubmissionProcessor::kTriesMax);
}

// Submissions that are saved one by one are stored until the store becomes
// unavailable. The remaining submissions are processed again, in order.
TEST_F(Poison, KeepsTheOrderOfASubjectIfTheStoreFailsBetweenTwoSubmissions) {
  TestServer server(JournalConfig(folder_));
  server.store().Hold();
  Submit(server, Of("Patient/1", "first"));
  server.store().AwaitInFlight(1);
  // Once the last submission is answered, all earlier submissions are queued.
  for (const char* id : {"poison", "1", "2", "3", "4"}) {
    Submit(server, Of("Patient/1", id));
  }
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  server.store().FailFor("2", absl::UnavailableError("unavailable"));
  server.store().Release();
  // Batches: the first submission, the whole batch, the tries of the poison
  // submission, and two submissions by themselves.
  const std::size_t batches = 1 + 1 + SubmissionProcessor::kTriesMax + 2;
  AwaitThat("the store has failed for submission 2",
            [&] { return server.store().batches().size() >= batches; });
  server.store().FailFor("2", absl::OkStatus());
  AwaitStored(server, 5);
  std::vector<std::string> ids;
  for (const Submission& submission : server.store().stored()) {
    ids.push_back(submission.submission_id);
  }
  EXPECT_THAT(ids, ElementsAre("first", "1", "2", "3", "4"));
}

// Many datastores answer UNKNOWN to any fault of their own.
TEST_F(Poison, IsNothingAfterAShortRunOfErrorsThatAreNotClear) {
  TestServer server(JournalConfig(folder_));
  server.store().FailWith(Unclear(absl::UnknownError("exception")));
  for (int i = 0; i < 20; ++i) {
    Submit(server, Of(absl::StrCat("Patient/", i), absl::StrCat(i)));
  }
  AwaitThat("the store has failed several times",
            [&] { return server.store().batches().size() >= 6; });
  server.store().FailWith(absl::OkStatus());
  AwaitStored(server, 20);
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_quarantined{pool=\"clinical\"} 0\n"));
}

TEST_F(Poison, IsKeptWithTheMethodThatBroughtIt) {
  TestServer server(JournalConfig(folder_));
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  request.add_records()->set_record_id("poison");
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  ASSERT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  v1::ListQuarantineResponse quarantine;
  AwaitThat("the submission is in quarantine", [&] {
    grpc::ClientContext list_context;
    quarantine.Clear();
    return Admin(server)->ListQuarantine(&list_context, {}, &quarantine).ok() &&
           quarantine.entries_size() == 1;
  });
  EXPECT_EQ(quarantine.entries(0).method(), "ImportPatients");
}

TEST_F(Poison, ThatThrowsLessOftenThanItIsTriedIsStored) {
  std::atomic<int> throws{SubmissionProcessor::kTriesMax - 1};
  TestServer server(JournalConfig(folder_), [&](const Submission&) {
    if (throws-- > 0) throw std::runtime_error("not yet");
  });
  Submit(server, MakeSubmit("1"));
  AwaitStored(server, 1);
}

TEST_F(Poison, StaysInQuarantineWhereTheQueueHasNoRoomForARetry) {
  std::atomic<bool> throws{true};
  Config config = JournalConfig(folder_);
  config.pools["clinical"].queue_capacity = 2;
  config.pools["clinical"].batch_max = 1;
  TestServer server(config, [&](const Submission& submission) {
    if (throws && submission.submission_id == "poison") {
      throw std::runtime_error("bad");
    }
  });
  Submit(server, MakeSubmit("poison"));
  AwaitQuarantined(server, "poison");
  throws = false;
  server.store().Hold();
  Submit(server, MakeSubmit("in work"));
  server.store().AwaitInFlight(1);
  for (const char* id : {"queued 1", "queued 2"}) {
    Submit(server, MakeSubmit(id));
  }
  const v1::RetryQuarantinedResponse full = RetryAll(server);
  EXPECT_THAT(full.left(), ElementsAre(1));
  EXPECT_EQ(full.left_reason(), "the queue is full");
  EXPECT_THAT(full.retried(), IsEmpty());
  EXPECT_EQ(Lookup(server, "poison").disposition(), Receipt::QUARANTINED);

  server.store().Release();
  AwaitStored(server, 3);
  server.AwaitQueued(0);
  EXPECT_THAT(RetryAll(server).retried(), ElementsAre(1));
  AwaitStored(server, 4);
  EXPECT_EQ(server.store().stored()[3].sequence, 1);
}

// The submission does not delay other submissions, and is not lost. It stays in
// the queue, and is tried again later.
TEST_F(Poison, ThatCannotBeQuarantinedStaysInTheQueue) {
  FaultyDisk disk;
  FakeClock clock;
  Config config = JournalConfig(folder_);
  TestServer server(config, {}, &clock);
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  server.store().Hold();
  Submit(server, Of("Patient/1", "poison"));
  Submit(server, Of("Patient/2", "after"));
  server.store().AwaitInFlight(1);
  disk.SetFull(true);
  server.store().Release();
  AwaitStored(server, 1);
  AwaitThat("the submission is in the queue again", [&] {
    return server.server().Snapshots().at("clinical").retries == 1;
  });
  const std::size_t tries = server.store().batches().size();
  EXPECT_EQ(server.view().depth, 1u);
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_quarantined{pool=\"clinical\"} 0\n"));
  AwaitThat("the stored submission has left the journal", [&] {
    return absl::StrContains(server.Get("/metrics"),
                             "sluice_journal_depth{pool=\"clinical\"} 1\n");
  });
  server.AwaitDegraded("the journal of pool clinical");
  EXPECT_EQ(Lookup(server, "poison").disposition(), Receipt::QUEUED);
  EXPECT_EQ(server.store().batches().size(), tries) << "tried without a delay";

  disk.SetFull(false);
  clock.Advance(SubmissionProcessor::kQuarantineDelay);
  AwaitQuarantined(server, "poison");
  EXPECT_EQ(Lookup(server, "poison").sequence(), 1);
  EXPECT_EQ(server.view().depth, 0u);
}

// --- The room in quarantine ---

class QuarantineRoomOfStudies : public Poison {
 protected:
  // Two places in the queue, and room in quarantine for 16 submissions. A study
  // is refused once seven of its submissions are in quarantine.
  Config SmallQuarantine() const {
    Config config = JournalConfig(folder_);
    config.pools["clinical"].queue_capacity = 2;
    config.pools["clinical"].quarantine = {.max = 16,
                                           .max_bytes = std::size_t{8} << 30};
    return config;
  }

  static v1::SubmitRequest OfStudy(const std::string& study,
                                   const std::string& id) {
    v1::SubmitRequest request = MakeSubmit(id);
    request.set_study_id(study);
    return request;
  }

  // Submits and waits until the server has quarantined the submission.
  static void SubmitPoison(TestServer& server, const std::string& study,
                           int count) {
    const auto quarantined = [&] {
      return server.counters(Method::kSubmit)
          .completed[TaskResult::kQuarantined];
    };
    for (int i = 0; i < count; ++i) {
      const std::uint64_t before = quarantined();
      Submit(server, OfStudy(study, absl::StrCat("poison ", study, i)));
      AwaitThat("the submission is in quarantine",
                [&] { return quarantined() == before + 1; });
    }
  }

  static ProcessingStep ThrowsForPoison() {
    return [](const Submission& submission) {
      if (submission.submission_id.starts_with("poison")) {
        throw std::runtime_error("bad");
      }
    };
  }
};

TEST_F(QuarantineRoomOfStudies, RefusesOnlyTheStudyThatHasUsedItsShare) {
  TestServer server(SmallQuarantine(), ThrowsForPoison());
  SubmitPoison(server, "offender", 7);
  grpc::ClientContext context;
  Receipt receipt;
  const grpc::Status status =
      server.stub().Submit(&context, OfStudy("offender", "refused"), &receipt);
  ExpectTryLater(status, context, grpc::StatusCode::RESOURCE_EXHAUSTED,
                 "QUARANTINE_FULL");
  EXPECT_EQ(server.counters(Method::kSubmit)
                .not_admitted[TaskResult::kQuarantineFull],
            1u);
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_rejections_total{method=\"Submit\",policy="
                        "\"fail_fast\",reason=\"quarantine_full\"} 1\n"));
  // Other studies are served, even with a submission in quarantine.
  SubmitPoison(server, "honest", 1);
  EXPECT_EQ(Submit(server, OfStudy("honest", "served")).disposition(),
            Receipt::QUEUED);
  AwaitStored(server, 1);
  server.AwaitReady();
}

TEST_F(QuarantineRoomOfStudies, IsFreeAgainAfterADiscard) {
  TestServer server(SmallQuarantine(), ThrowsForPoison());
  SubmitPoison(server, "offender", 7);
  grpc::ClientContext context;
  v1::DiscardQuarantinedRequest request;
  request.set_sequence(3);
  request.set_reason("a test");
  request.set_by("operator");
  v1::DiscardQuarantinedResponse response;
  ASSERT_TRUE(
      Admin(server)->DiscardQuarantined(&context, request, &response).ok());
  EXPECT_EQ(Submit(server, OfStudy("offender", "served")).disposition(),
            Receipt::QUEUED);
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_quarantined{pool=\"clinical\"} 6\n"));
}

// The limits concern submissions that are acknowledged as QUEUED. A caller that
// waits for its submission to be stored learns the result itself.
TEST_F(QuarantineRoomOfStudies, DoesNotConcernCallersOfStored) {
  Config config = SmallQuarantine();
  config.methods[Index(Method::kImportPatients)].ack = Ack::kStored;
  TestServer server(config, ThrowsForPoison());
  SubmitPoison(server, "offender", 7);
  v1::ImportPatientsRequest request;
  request.set_study_id("offender");
  request.add_records()->set_record_id("served");
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  ASSERT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  EXPECT_EQ(response.counts().stored(), 1);
}

// A submission that was acknowledged earlier may find the quarantine full, e.g.
// because the limits were lowered. The submission then stays in the queue,
// within the limits of the queue.
TEST_F(QuarantineRoomOfStudies, ThatIsMissingKeepsEntriesInTheQueue) {
  Config config = SmallQuarantine();
  config.drain_timeout = absl::Seconds(2);
  {
    TestServer server(config);
    server.store().FailWith(absl::UnavailableError("unavailable"));
    Submit(server, OfStudy("study", "poison 1"));
    Submit(server, OfStudy("study", "poison 2"));
    EXPECT_EQ(server.Drain().journaled, 2u);
  }
  FakeClock clock;
  config.pools["clinical"].quarantine.max = 2;
  TestServer server(config, ThrowsForPoison(), &clock);
  AwaitThat("one submission is in the queue again", [&] {
    return server.server().Snapshots().at("clinical").retries == 1;
  });
  EXPECT_EQ(server.view().depth, 1u);
  EXPECT_EQ(Lookup(server, "poison 1").disposition(), Receipt::QUARANTINED);
  EXPECT_EQ(Lookup(server, "poison 2").disposition(), Receipt::QUEUED);
  clock.Advance(SubmissionProcessor::kQuarantineDelay);
  AwaitThat("the submission was tried again", [&] {
    return server.server().Snapshots().at("clinical").retries == 2;
  });

  config.pools["clinical"].quarantine.max = 16;
  ASSERT_TRUE(server.server().Apply(config).ok());
  clock.Advance(2 * SubmissionProcessor::kQuarantineDelay);
  AwaitQuarantined(server, "poison 2");
  EXPECT_EQ(server.view().depth, 0u);
}

// --- Discarding ---

TEST_F(Poison, ThatIsDiscardedIsAccountedFor) {
  TestServer server(JournalConfig(folder_));
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  const Receipt receipt = Submit(server, MakeSubmit("poison"));
  AwaitQuarantined(server, "poison");
  grpc::ClientContext context;
  v1::DiscardQuarantinedRequest request;
  request.set_sequence(receipt.sequence());
  request.set_reason("sent by a test device");
  request.set_by("operator");
  v1::DiscardQuarantinedResponse response;
  ASSERT_TRUE(
      Admin(server)->DiscardQuarantined(&context, request, &response).ok());

  const Receipt found = Lookup(server, "poison");
  EXPECT_EQ(found.disposition(), Receipt::DISCARDED);
  EXPECT_EQ(found.sequence(), receipt.sequence());
  EXPECT_EQ(found.content_sha256(), receipt.content_sha256());
  EXPECT_THAT(found.issue(0).description(),
              HasSubstr("the store rejected the submission"));
  EXPECT_THAT(found.issue(0).description(),
              testing::Not(HasSubstr("test device")));

  grpc::ClientContext list_context;
  v1::ListDiscardedResponse listed;
  ASSERT_TRUE(Admin(server)->ListDiscarded(&list_context, {}, &listed).ok());
  ASSERT_EQ(listed.records_size(), 1);
  EXPECT_EQ(listed.records(0).reason(), "sent by a test device");
  EXPECT_EQ(listed.records(0).by(), "operator");
  EXPECT_EQ(listed.records(0).entry().submission_id(), "poison");

  // If the submission is sent again, it is a new submission.
  server.store().FailFor("poison", absl::OkStatus());
  EXPECT_EQ(Submit(server, MakeSubmit("poison")).sequence(),
            receipt.sequence() + 1);
  AwaitThat("the submission is stored", [&] {
    return Lookup(server, "poison").disposition() == Receipt::STORED;
  });
}

TEST_F(Poison, ForWhichTheStoreAnswersUnavailableGoesIntoQuarantine) {
  FakeClock clock;
  TestServer server(JournalConfig(folder_), {}, &clock);
  server.store().FailFor("poison", absl::UnavailableError("looks unavailable"));
  Submit(server, MakeSubmit("poison"));
  Submit(server, MakeSubmit("after"));
  AwaitThat("the submission is in quarantine", [&] {
    clock.Advance(std::chrono::seconds(20));  // longer than any pause
    return Lookup(server, "poison").disposition() == Receipt::QUARANTINED;
  });
  AwaitThat("the other submission is stored", [&] {
    clock.Advance(std::chrono::seconds(20));
    return server.store().stored().size() == 1;
  });
}

TEST_F(Poison, ThatConflictsIsForgottenIfTheStoreKeepsIt) {
  {
    TestServer server(JournalConfig(folder_));
    server.store().KeepConflicts();
    Submit(server, Of("Patient/1", "1"));
    AwaitStored(server, 1);
    EXPECT_EQ(Submit(server, Of("Patient/2", "1")).disposition(),
              Receipt::QUEUED);
    AwaitThat("the submission is a conflict", [&] {
      return server.counters(Method::kSubmit)
                 .completed[TaskResult::kConflict] == 1;
    });
    EXPECT_THAT(server.Get("/metrics"),
                HasSubstr("sluice_quarantined{pool=\"clinical\"} 0\n"));
    const Receipt found = Lookup(server, "1");
    EXPECT_EQ(found.disposition(), Receipt::STORED);
    EXPECT_EQ(found.sequence(), 1);
    // From now on the conflict is known, and is not acknowledged again.
    const std::vector<std::size_t> batches = server.store().batches();
    grpc::ClientContext context;
    Receipt receipt;
    EXPECT_EQ(server.stub()
                  .Submit(&context, Of("Patient/2", "1"), &receipt)
                  .error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
    EXPECT_EQ(server.store().batches(), batches);
    EXPECT_EQ(server.Drain().journaled, 0u);
  }
  TestServer server(JournalConfig(folder_));
  EXPECT_EQ(server.counters(Method::kSubmit).received, 0u);
}

TEST_F(Poison, ThatConflictsWithAStoredSubmissionGoesIntoQuarantine) {
  TestServer server(JournalConfig(folder_));
  EXPECT_EQ(Submit(server, Of("Patient/1", "1")).disposition(),
            Receipt::QUEUED);
  AwaitStored(server, 1);
  EXPECT_EQ(Submit(server, Of("Patient/2", "1")).disposition(),
            Receipt::QUEUED);
  const auto admin = Admin(server);
  v1::ListQuarantineResponse response;
  AwaitThat("the submission is in quarantine", [&] {
    grpc::ClientContext context;
    response.Clear();
    return admin->ListQuarantine(&context, {}, &response).ok() &&
           response.entries_size() == 1;
  });
  EXPECT_THAT(response.entries(0).reason(), HasSubstr("different content"));
  EXPECT_EQ(server.store().stored()[0].subject, "Patient/1");
}

TEST_F(Poison, StaysInQuarantineOverARestart) {
  {
    TestServer server(JournalConfig(folder_));
    server.store().FailFor("poison", absl::InvalidArgumentError("no"));
    Submit(server, MakeSubmit("poison"));
    AwaitQuarantined(server, "poison");
  }
  TestServer server(JournalConfig(folder_));
  EXPECT_EQ(Lookup(server, "poison").disposition(), Receipt::QUARANTINED);
  // The sequence number of the quarantined submission is not assigned again.
  EXPECT_EQ(Submit(server, MakeSubmit("next")).sequence(), 2);
}

// Every number is accounted for.
TEST_F(Poison, SentAgainGetsNoSecondNumber) {
  std::atomic<bool> throws{true};
  const auto start = [&] {
    auto store =
        SqliteStore::Open({.path = folder_ / "sluice.db"}, SameContentOfKind);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::make_unique<TestServer>(
        JournalConfig(folder_), *std::move(store),
        [&](const Submission& submission) {
          if (throws && submission.submission_id == "poison") {
            throw std::runtime_error("no");
          }
        });
  };
  const auto await_stored = [](TestServer& server, const std::string& id) {
    AwaitThat(id + " is stored", [&] {
      return Lookup(server, id).disposition() == Receipt::STORED;
    });
  };
  auto server = start();
  const Receipt first = Submit(*server, MakeSubmit("poison"));
  EXPECT_EQ(first.sequence(), 1);
  AwaitQuarantined(*server, "poison");
  for (int round = 0; round < 2; ++round) {
    const Receipt again = Submit(*server, MakeSubmit("poison"));
    EXPECT_EQ(again.disposition(), Receipt::DUPLICATE);
    EXPECT_EQ(again.sequence(), 1);
    EXPECT_EQ(again.content_sha256(), first.content_sha256());
    EXPECT_EQ(again.received_at().seconds(), first.received_at().seconds());
    const std::string next = absl::StrCat("next-", round);
    EXPECT_EQ(Submit(*server, MakeSubmit(next)).sequence(), 2 + round);
    await_stored(*server, next);
    EXPECT_THAT(Gaps(*server), ElementsAre("QUARANTINED 1-1"));
    server.reset();
    server = start();
  }
  throws = false;
  EXPECT_EQ(RetryAll(*server).retried_size(), 1);
  await_stored(*server, "poison");
  EXPECT_EQ(Submit(*server, MakeSubmit("poison")).disposition(),
            Receipt::DUPLICATE);
  EXPECT_THAT(Gaps(*server), IsEmpty());
}

// The store has the first content, so only the store can answer for it.
TEST_F(Poison, ThatIsAConflictDoesNotHideTheStoredSubmission) {
  Config config = JournalConfig(folder_);
  config.limits.recent_ids = 0;
  TestServer server(config);
  Submit(server, Of("Patient/1", "1"));
  AwaitStored(server, 1);
  EXPECT_EQ(Submit(server, Of("Patient/2", "1")).sequence(), 2);
  AwaitThat("the conflict is in quarantine", [&] {
    return server.counters(Method::kSubmit)
               .completed[TaskResult::kQuarantined] == 1;
  });
  EXPECT_EQ(Submit(server, Of("Patient/2", "1")).disposition(),
            Receipt::DUPLICATE);
  EXPECT_EQ(Submit(server, Of("Patient/1", "1")).disposition(),
            Receipt::QUEUED);
  AwaitThat("both repetitions are duplicates", [&] {
    return server.counters(Method::kSubmit).completed[TaskResult::kDuplicate] ==
           2;
  });
}

// --- A journal on a disk that is nearly full ---

TEST(NearlyFullDisk, RefusesPromisesUntilThereIsRoom) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.methods[Index(Method::kImportPatients)].ack = Ack::kStored;
  config.pools["clinical"].min_free_disk = std::size_t{1} << 60;
  TestServer server(config);
  grpc::ClientContext context;
  Receipt receipt;
  const grpc::Status status =
      server.stub().Submit(&context, MakeSubmit("refused"), &receipt);
  ExpectTryLater(status, context, grpc::StatusCode::UNAVAILABLE, "DISK_FULL");
  server.AwaitDegraded("min_free_disk");
  EXPECT_THAT(server.Get("/metrics"),
              HasSubstr("sluice_rejections_total{method=\"Submit\",policy="
                        "\"fail_fast\",reason=\"disk_full\"} 1\n"));

  config.pools["clinical"].min_free_disk = 1;
  ASSERT_TRUE(server.server().Apply(config).ok());
  EXPECT_EQ(Submit(server, MakeSubmit("served")).disposition(),
            Receipt::QUEUED);
  server.AwaitReady();
  AwaitStored(server, 1);
}

// --- A journal that cannot be written ---

TEST(JournalOnAFullDisk, AcknowledgesNothingAndRecovers) {
  FaultyDisk disk;
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  Submit(server, MakeSubmit("before"));
  for (const auto& break_disk :
       {std::function<void(bool)>([&](bool on) { disk.SetFull(on); }),
        std::function<void(bool)>([&](bool on) { disk.SetSyncsFail(on); })}) {
    break_disk(true);
    grpc::ClientContext context;
    Receipt receipt;
    const grpc::Status status =
        server.stub().Submit(&context, MakeSubmit("refused"), &receipt);
    ExpectTryLater(status, context, grpc::StatusCode::UNAVAILABLE,
                   "STORE_UNAVAILABLE");
    EXPECT_EQ(Lookup(server, "refused").disposition(), Receipt::UNKNOWN);
    server.AwaitDegraded("the journal of pool clinical");
    EXPECT_THAT(server.Get("/readyz"),
                testing::StartsWith("no method can acknowledge\n"));
    break_disk(false);
    server.AwaitReady();
  }
  EXPECT_EQ(Submit(server, MakeSubmit("after")).disposition(), Receipt::QUEUED);
  AwaitStored(server, 2);
}

TEST(Journal, IsOfOneServerAtATime) {
  const TempFolder folder;
  const Config config = JournalConfig(folder);
  TestServer server(config);
  const auto second = IngestionServer::Start(
      {.config = config, .store = std::make_unique<GatedStore>(), .step = {}});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("pools.clinical.queue.path"));
}

// --- The same submission several times at once ---

TEST(TheSameAtTheSameMoment, IsOneSubmissionAtTheStore) {
  TestServer server(SmallConfig("block", 64));
  server.store().Hold();
  AsyncCaller caller(server.NewChannel());
  std::vector<const AsyncSubmit*> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(&caller.Submit(MakeSubmit("1")));
  server.store().AwaitInFlight(1);
  server.store().Release();
  int stored = 0;
  for (const AsyncSubmit* call : calls) {
    const Receipt& receipt = caller.Await(*call).receipt;
    EXPECT_EQ(receipt.sequence(), 1);
    stored += receipt.disposition() == Receipt::STORED;
  }
  EXPECT_EQ(stored, 1);
  EXPECT_THAT(server.store().batches(), ElementsAre(1u));
}

TEST(TheSameAtTheSameMoment, IsOneRecordAndOneReceiptOfAJournal) {
  const TempFolder folder;
  const std::string database = folder / "sluice.db";
  constexpr int kIds = 50;
  {
    auto store = SqliteStore::Open({.path = database}, SameContentOfKind);
    ASSERT_TRUE(store.ok()) << store.status();
    TestServer server(JournalConfig(folder), *std::move(store));
    std::array<std::unique_ptr<AsyncCaller>, 8> callers;
    for (auto& caller : callers) {
      caller = std::make_unique<AsyncCaller>(server.NewChannel());
    }
    for (int id = 0; id < kIds; ++id) {
      const v1::SubmitRequest request = MakeSubmit(absl::StrCat(id));
      std::vector<std::pair<AsyncCaller*, const AsyncSubmit*>> calls;
      for (int i = 0; i < 64; ++i) {
        AsyncCaller* caller = callers[static_cast<std::size_t>(i) % 8].get();
        calls.emplace_back(caller, &caller->Submit(request));
      }
      std::set<std::string> receipts;
      for (const auto& [caller, call] : calls) {
        const AsyncSubmit& ended = caller->Await(*call);
        ASSERT_TRUE(ended.status.ok()) << ended.status.error_message();
        // The answer is QUEUED, or DUPLICATE if the submission arrived after it
        // was stored.
        Receipt receipt = ended.receipt;
        receipt.clear_disposition();
        receipts.insert(receipt.SerializeAsString());
      }
      EXPECT_THAT(receipts, SizeIs(1));
    }
  }
  EXPECT_THAT(
      Shell(database).Run("SELECT count(*), max(sequence), (SELECT "
                          "count(*) FROM gaps) FROM submissions"),
      ElementsAre(ElementsAre(absl::StrCat(kIds), absl::StrCat(kIds), "0")));
}

// Submission 1 is in work, 2 is queued and 3 is parked. Calls with the id 3
// follow it.
class Followers : public testing::Test {
 protected:
  Followers() {
    server_.store().Hold();
    first_ = &caller_.Submit(MakeSubmit("1"));
    server_.store().AwaitInFlight(1);
    parked_ = &caller_.Submit(MakeSubmit("2"));
    server_.AwaitQueued(1);
    leader_ = &caller_.Submit(MakeSubmit("3"), absl::Minutes(10));
    server_.AwaitWaiting(1);
  }

  AsyncSubmit& Follow() {
    AsyncSubmit& follower = caller_.Submit(MakeSubmit("3"));
    AwaitThat("the follower has arrived", [&] {
      return server_.Get("/metrics")
                     .find(absl::StrCat("sluice_in_flight{method=\"Submit\"} ",
                                        ++expected_in_flight_, "\n")) !=
                 std::string::npos ||
             (--expected_in_flight_, false);
    });
    return follower;
  }

  TestServer server_{SmallConfig("block", 1)};
  AsyncCaller caller_{server_.NewChannel()};
  AsyncSubmit* first_ = nullptr;
  AsyncSubmit* parked_ = nullptr;
  AsyncSubmit* leader_ = nullptr;
  int expected_in_flight_ = 3;
};

TEST_F(Followers, AreStoredIfTheCallerOfTheLeaderCancels) {
  AsyncSubmit& follower = Follow();
  leader_->context.TryCancel();
  caller_.Await(*leader_);
  server_.store().Release();
  EXPECT_EQ(caller_.Await(follower).receipt.disposition(), Receipt::DUPLICATE);
  EXPECT_EQ(server_.store().stored().size(), 3u);
}

TEST_F(Followers, MayCancelBeforeTheLeader) {
  AsyncSubmit& follower = Follow();
  follower.context.TryCancel();
  EXPECT_EQ(caller_.Await(follower).status.error_code(),
            grpc::StatusCode::CANCELLED);
  AwaitThat("the follower is counted as cancelled", [&] {
    return server_.counters(Method::kSubmit)
               .not_admitted[TaskResult::kCancelled] == 1;
  });
  server_.store().Release();
  EXPECT_EQ(caller_.Await(*leader_).receipt.disposition(), Receipt::STORED);
}

TEST_F(Followers, TakeNoPlaceInTheWaitingRoom) {
  for (int i = 0; i < 5; ++i) Follow();
  EXPECT_EQ(server_.view().waiting, 1u);
  server_.store().Release();
  ASSERT_EQ(caller_.AwaitEnded(8), 8u);
  EXPECT_EQ(server_.store().stored().size(), 3u);
}

}  // namespace
}  // namespace sluice

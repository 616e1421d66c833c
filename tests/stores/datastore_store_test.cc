#include "stores/datastore_store.h"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/fake_datastore.h"
#include "tests/fakes/patience.h"
#include "tests/stores/store_fixture.h"
#include "tests/stores/test_certificate.h"
#include "tools/datastore/datastore_server.h"
#include "tools/datastore/datastore_service.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using Result = Saved::Result;

std::unique_ptr<DatastoreStore> Open(const DatastoreStoreOptions& options) {
  auto store = DatastoreStore::Open(options, SameInLowerCase);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

// Opens a store with a long timeout, so that no call reaches its deadline on a
// slow machine.
std::unique_ptr<DatastoreStore> Open(const std::string& target) {
  return Open({.target = target, .timeout = kPatience});
}

struct Outcome {
  absl::Status status;
  std::vector<Saved> saved;

  std::vector<Result> results() const {
    std::vector<Result> results;
    for (const Saved& one : saved) results.push_back(one.result);
    return results;
  }
};

Outcome Save(Store& store, const std::vector<Submission>& batch) {
  Outcome outcome;
  outcome.saved.resize(batch.size());
  outcome.status = store.SaveBatch(batch, absl::MakeSpan(outcome.saved));
  return outcome;
}

std::vector<Result> Results(Store& store,
                            const std::vector<Submission>& batch) {
  const Outcome outcome = Save(store, batch);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  return outcome.results();
}

// --- With a real datastore ---

// A datastore server on a SQLite database, and a store that calls it.
class SqliteDatastore {
 public:
  SqliteDatastore()
      : store_(*SqliteStore::Open({.path = path()}, SameInLowerCase)),
        service_(store_.get(), {}),
        server_(*DatastoreServer::Start("127.0.0.1:0", &service_)),
        client_(Open(absl::StrCat("127.0.0.1:", server_->port()))) {}

  Store& client() { return *client_; }
  Shell::Rows Sql(const std::string& sql) { return Shell(path()).Run(sql); }

 private:
  std::string path() const { return folder_ / "datastore.db"; }

  const TempFolder folder_;
  const std::unique_ptr<SqliteStore> store_;
  DatastoreService service_;
  const std::unique_ptr<DatastoreServer> server_;
  const std::unique_ptr<DatastoreStore> client_;
};

TEST(DatastoreStore, EveryFieldArrives) {
  SqliteDatastore datastore;
  const Submission s = EveryField(42, "id", std::string("\0\xff\n", 3));
  EXPECT_THAT(Results(datastore.client(), {s}), ElementsAre(Result::kStored));
  EXPECT_EQ(
      datastore.Sql(
          "SELECT sequence, kind, study_id, submission_id, site_id, subject,"
          " questionnaire, status, authored, authored_at, sent_at, received_at,"
          " supersedes_submission_id, reason_for_change, answers, hex(content)"
          " FROM submissions"),
      (Shell::Rows{{"42", "patient_record", "study", "id", "site-1",
                    "Patient/7", "http://example.org/q|1.0", "amended",
                    "2024-03-01T20:15:30+01:00", "2024-03-01T19:15:30.000000Z",
                    "2024-03-01T19:15:31.250000Z",
                    "2024-03-01T19:15:32.000001Z", "id-0", "typing error",
                    R"([{"link_id": "1"}])", "00FF0A"}}));
}

TEST(DatastoreStore, WhatIsNotThereStaysAway) {
  SqliteDatastore datastore;
  Submission s = MakeSubmission(1, "id");
  s.kind = SubmissionKind::kAppEvent;
  // A Timestamp cannot represent this time.
  s.authored_at = absl::InfiniteFuture();
  EXPECT_THAT(Results(datastore.client(), {s}), ElementsAre(Result::kStored));
  EXPECT_EQ(datastore.Sql("SELECT kind, authored_at, sent_at, subject, answers"
                          " FROM submissions"),
            (Shell::Rows{{"app_event", "NULL", "NULL", "NULL", "[]"}}));
}

TEST(DatastoreStore, FindsReceiptsInTheOrderOfTheIds) {
  SqliteDatastore datastore;
  Results(datastore.client(),
          {MakeSubmission(1, "0"), MakeSubmission(2, "9999")});
  std::vector<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(absl::StrCat(i));
  const auto receipts = datastore.client().FindReceipts("study", ids);
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  ASSERT_THAT(*receipts, SizeIs(10'000));
  EXPECT_EQ(receipts->at(0)->sequence, 1);
  EXPECT_EQ(receipts->at(9999)->sequence, 2);
  EXPECT_FALSE(receipts->at(1).has_value());
  EXPECT_FALSE(
      datastore.client().FindReceipts("another", {"0"})->at(0).has_value());
  EXPECT_THAT(*datastore.client().FindReceipts("study", {}), IsEmpty());
}

// --- Requests ---

TEST(DatastoreStore, ABatchOfNothingIsNotSent) {
  FakeDatastore fake;
  EXPECT_TRUE(Save(*Open(fake.target()), {}).status.ok());
  EXPECT_EQ(fake.saves(), 0);
}

TEST(DatastoreStore, LargeBatchesAreSplitIntoRequestsThatFitTheDefaultLimit) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  std::vector<Submission> batch;
  for (int i = 1; i <= 10; ++i) {
    batch.push_back(MakeSubmission(
        i, absl::StrCat(i), std::string((std::size_t{1} << 20) - 500, 'x')));
  }
  EXPECT_THAT(Results(*store, batch), Each(Result::kStored));
  EXPECT_THAT(fake.batches(), ElementsAre(3, 3, 3, 1));
  EXPECT_THAT(fake.stored(), SizeIs(10));
}

TEST(DatastoreStore, ASubmissionAboveTheLimitGoesByItself) {
  SqliteDatastore datastore;
  const std::vector<Submission> batch = {
      MakeSubmission(1, "small"),
      MakeSubmission(2, "large", std::string(std::size_t{20} << 20, 'x')),
      MakeSubmission(3, "small too")};
  EXPECT_THAT(Results(datastore.client(), batch), Each(Result::kStored));
  EXPECT_EQ(datastore.Sql("SELECT count(*) FROM submissions"),
            (Shell::Rows{{"3"}}));
}

TEST(DatastoreStore, ABatchThatFailedHalfwayIsRecognisedWhenItComesAgain) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  const std::string two_mib(std::size_t{2} << 20, 'x');
  const std::vector<Submission> batch = {MakeSubmission(1, "a", two_mib),
                                         MakeSubmission(2, "b", two_mib),
                                         MakeSubmission(3, "c", two_mib)};
  fake.AnswerNext({.code = grpc::StatusCode::OK});
  fake.AnswerNext({.code = grpc::StatusCode::INTERNAL});
  EXPECT_EQ(Save(*store, batch).status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(fake.stored(), SizeIs(1));

  EXPECT_THAT(Results(*store, batch), Each(Result::kStored));
  EXPECT_THAT(fake.stored(), SizeIs(3));
  EXPECT_THAT(fake.gaps(), IsEmpty());
}

TEST(DatastoreStore, HasNeverMoreBatchesInFlightThanItMay) {
  FakeDatastore fake;
  const auto store =
      Open({.target = fake.target(), .timeout = kPatience, .max_in_flight = 3});
  fake.Hold();
  std::vector<std::thread> threads;
  for (int i = 1; i <= 16; ++i) {
    threads.emplace_back([&store, i] {
      EXPECT_THAT(Results(*store, {MakeSubmission(i, absl::StrCat(i))}),
                  ElementsAre(Result::kStored));
    });
  }
  EXPECT_TRUE(fake.AwaitHeld(3));
  fake.Release();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fake.peak_in_flight(), 3);
  EXPECT_EQ(fake.saves(), 16);
}

TEST(DatastoreStore, LookUpsAndChecksDoNotWaitForBatches) {
  FakeDatastore fake;
  const auto store =
      Open({.target = fake.target(), .timeout = kPatience, .max_in_flight = 1});
  fake.Hold();
  std::thread saving([&store] { Save(*store, {MakeSubmission(1, "a")}); });
  EXPECT_TRUE(fake.AwaitHeld(1));
  EXPECT_FALSE(store->FindReceipts("study", {"a"})->at(0).has_value());
  EXPECT_TRUE(store->Read(0, 10, 1000)->last);
  EXPECT_TRUE(store->Check().ok());
  fake.Release();
  saving.join();
}

// --- Contents with different bytes ---

TEST(DatastoreStore, WhatMeansTheSameIsNoConflictOfADatastoreThatCannotTell) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  const Outcome outcome = Save(
      *store, {MakeSubmission(1, "a", "content"),
               MakeSubmission(2, "a", "CONTENT"), MakeSubmission(3, "b", "x"),
               MakeSubmission(4, "a", "other"), MakeSubmission(5, "c", "x")});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.results(),
              ElementsAre(Result::kStored, Result::kDuplicate, Result::kStored,
                          Result::kConflict, Result::kStored));
  EXPECT_EQ(outcome.saved[1].sequence, 1);
  EXPECT_EQ(outcome.saved[1].content_sha256, FakeDigest("content"));
  EXPECT_THAT(fake.gaps(), ElementsAre(Pair(2, false), Pair(4, true)));
  EXPECT_THAT(fake.batches(), ElementsAre(5, 2));
}

TEST(DatastoreStore, AsksAgainForContentsThatWereLeftOut) {
  FakeDatastore fake;
  fake.Change([](FakeDatastore& f) { f.leaves_contents_out = true; });
  const auto store = Open(fake.target());
  std::vector<Submission> batch = {MakeSubmission(1, "a", "content")};
  std::vector<Result> expected = {Result::kStored};
  for (int i = 2; i <= 9; ++i) {
    batch.push_back(MakeSubmission(
        i, "a", i % 2 == 0 ? absl::StrCat("Content") : absl::StrCat(i)));
    expected.push_back(i % 2 == 0 ? Result::kDuplicate : Result::kConflict);
  }
  EXPECT_EQ(Results(*store, batch), expected);
  EXPECT_THAT(fake.gaps(), SizeIs(8));
  EXPECT_THAT(fake.batches(), SizeIs(Le(2 * batch.size())));
}

TEST(DatastoreStore, EmptyContentIsAContent) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  EXPECT_THAT(Results(*store, {MakeSubmission(1, "a", ""),
                               MakeSubmission(2, "a", "x")}),
              ElementsAre(Result::kStored, Result::kConflict));
}

// --- Failures ---

TEST(DatastoreStore, ErrorsAreForNowOrForGoodAndQuoteNothing) {
  using Code = grpc::StatusCode;
  FakeDatastore fake;
  const auto store = Open(fake.target());
  for (const Code code :
       {Code::UNAVAILABLE, Code::RESOURCE_EXHAUSTED, Code::ABORTED,
        Code::DEADLINE_EXCEEDED, Code::CANCELLED, Code::UNAUTHENTICATED,
        Code::PERMISSION_DENIED, Code::UNIMPLEMENTED, Code::DATA_LOSS}) {
    fake.AnswerNext({.code = code, .pushback = "-1"});
    const absl::Status status = Save(*store, {MakeSubmission(1, "a")}).status;
    EXPECT_TRUE(IsTransient(status)) << code << status;
    EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  }
  for (const Code code :
       {Code::UNKNOWN, Code::INVALID_ARGUMENT, Code::NOT_FOUND,
        Code::ALREADY_EXISTS, Code::FAILED_PRECONDITION, Code::OUT_OF_RANGE,
        Code::INTERNAL}) {
    fake.AnswerNext({.code = code});
    const absl::Status status = Save(*store, {MakeSubmission(1, "a")}).status;
    EXPECT_EQ(static_cast<int>(status.code()), code);
    EXPECT_FALSE(IsTransient(status)) << code << status;
    // A datastore may return any code except INVALID_ARGUMENT for a fault of
    // its own.
    EXPECT_EQ(IsUnclear(status), code != Code::INVALID_ARGUMENT) << code;
    EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  }
  EXPECT_THAT(fake.stored(), IsEmpty());
  EXPECT_THAT(Results(*store, {MakeSubmission(1, "a")}),
              ElementsAre(Result::kStored));
}

TEST(DatastoreStore, FailuresForNowAreTriedAgainWithinTheCall) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  fake.AnswerNext({.code = grpc::StatusCode::UNAVAILABLE});
  fake.AnswerNext({.code = grpc::StatusCode::RESOURCE_EXHAUSTED});
  fake.AnswerNext({.code = grpc::StatusCode::ABORTED, .pushback = "1"});
  // The request is larger than gRPC's default buffer for retries.
  EXPECT_THAT(
      Results(*store, {MakeSubmission(1, "a", std::string(1 << 20, 'x'))}),
      ElementsAre(Result::kStored));
  EXPECT_EQ(fake.saves(), 4);
  fake.AnswerNext({.code = grpc::StatusCode::UNAVAILABLE});
  EXPECT_TRUE(store->LastSequence().ok());
}

TEST(DatastoreStore, TriesHaveALimit) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  for (int i = 0; i < 5; ++i) fake.AnswerNext({.pushback = "1"});
  EXPECT_EQ(Save(*store, {MakeSubmission(1, "a")}).status.code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(fake.saves(), 4);
}

TEST(DatastoreStore, WhatIsForGoodOrNotWantedAgainIsTriedOnce) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  fake.AnswerNext({.code = grpc::StatusCode::INTERNAL});
  EXPECT_FALSE(Save(*store, {MakeSubmission(1, "a")}).status.ok());
  EXPECT_EQ(fake.saves(), 1);
  fake.AnswerNext({.pushback = "-1"});
  EXPECT_FALSE(Save(*store, {MakeSubmission(1, "a")}).status.ok());
  EXPECT_EQ(fake.saves(), 2);
}

TEST(DatastoreStore, ADatastoreThatHangsIsGivenUp) {
  FakeDatastore fake;
  const auto store = Open({.target = fake.target(),
                           .timeout = absl::Milliseconds(50),
                           .max_in_flight = 1});
  fake.Hold();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Save(*store, {MakeSubmission(1, "a")}).status.code(),
              absl::StatusCode::kDeadlineExceeded);
  }
}

TEST(DatastoreStore, WaitingForAPlaceEndsToo) {
  CallPlaces places(1);
  EXPECT_TRUE(places.TakeWithin(absl::InfiniteDuration()));
  EXPECT_FALSE(places.TakeWithin(absl::ZeroDuration()));
  places.Return();
  EXPECT_TRUE(places.TakeWithin(absl::ZeroDuration()));
}

// Saves again and again until the store succeeds. Returns false after
// kPatience.
bool SavesInTheEnd(Store& store, const Submission& submission) {
  const absl::Time until = absl::Now() + kPatience;
  absl::Notification never;
  while (absl::Now() < until) {
    const Outcome outcome = Save(store, {submission});
    if (outcome.status.ok()) return true;
    EXPECT_TRUE(IsTransient(outcome.status)) << outcome.status;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
  return false;
}

TEST(DatastoreStore, FindsADatastoreThatWasAwayAgain) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  Results(*store, {MakeSubmission(1, "a")});
  for (int i = 2; i <= 3; ++i) {
    fake.Stop();
    EXPECT_EQ(Save(*store, {MakeSubmission(i, "b")}).status.code(),
              absl::StatusCode::kUnavailable);
    EXPECT_EQ(store->Check().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(store->LastSequence().status().code(),
              absl::StatusCode::kUnavailable);
    fake.Start();
    EXPECT_TRUE(SavesInTheEnd(*store, MakeSubmission(i, absl::StrCat(i))));
    EXPECT_TRUE(store->Check().ok());
  }
  EXPECT_THAT(fake.stored(), SizeIs(3));
}

TEST(DatastoreStore, ABatchWhoseConnectionBreaksIsTakenUpByTheNext) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  fake.Hold();
  absl::Notification broken;
  std::thread saving([&] {
    EXPECT_TRUE(IsTransient(Save(*store, {MakeSubmission(1, "a")}).status));
    broken.Notify();
    EXPECT_TRUE(SavesInTheEnd(*store, MakeSubmission(1, "a")));
  });
  EXPECT_TRUE(fake.AwaitHeld(1));
  std::thread stopping([&fake] { fake.Stop(); });
  EXPECT_TRUE(broken.WaitForNotificationWithTimeout(kPatience));
  // The submission is stored although the client has lost its connection.
  fake.Release();
  stopping.join();
  EXPECT_THAT(fake.stored(), SizeIs(1));
  fake.Start();
  saving.join();
  EXPECT_EQ(fake.saves(), 2);
  EXPECT_THAT(fake.stored(), SizeIs(1));
  EXPECT_THAT(fake.gaps(), IsEmpty());
}

// --- Wrong answers of the datastore ---

TEST(DatastoreStore, AnswersAreBoundedInSize) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  fake.Change([](FakeDatastore& f) {
    f.spoil_saved = [](v1::SaveBatchResponse* response) {
      response->mutable_saved(0)->set_first_content(std::string(65 << 20, 'x'));
    };
  });
  const absl::Status status = Save(*store, {MakeSubmission(1, "a")}).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST(DatastoreStore, MalformedAnswersToABatchAreErrorsForNow) {
  const std::vector<std::function<void(v1::SaveBatchResponse*)>> faults = {
      [](auto* r) { r->clear_saved(); }, [](auto* r) { r->add_saved(); },
      [](auto* r) { r->mutable_saved(1)->clear_result(); },
      [](auto* r) {
        r->mutable_saved(1)->set_result(
            static_cast<v1::SaveBatchResponse::Result>(99));
      },
      [](auto* r) { r->mutable_saved(1)->clear_first(); },
      [](auto* r) { r->mutable_saved(1)->mutable_first()->set_sequence(7); },
      [](auto* r) { r->mutable_saved(1)->mutable_first()->set_sequence(-1); },
      [](auto* r) {
        r->mutable_saved(1)->mutable_first()->set_content_sha256("short");
      },
      [](auto* r) {
        r->mutable_saved(1)->mutable_first()->clear_received_at();
      },
      [](auto* r) {
        r->mutable_saved(1)->mutable_first()->mutable_received_at()->set_nanos(
            -1);
      },
      [](auto* r) {
        r->mutable_saved(1)
            ->mutable_first()
            ->mutable_received_at()
            ->set_seconds(1LL << 60);
      },
      // The answers are DIFFERS without the first content, and DIFFERS again
      // after the verdict.
      [](auto* r) {
        r->mutable_saved(1)->set_result(v1::SaveBatchResponse::DIFFERS);
      },
      [](auto* r) {
        auto* last = r->mutable_saved(r->saved_size() - 1);
        last->set_result(v1::SaveBatchResponse::DIFFERS);
        last->set_first_content("x");
      }};
  for (std::size_t i = 0; i < faults.size(); ++i) {
    FakeDatastore fake;
    fake.Change([&](FakeDatastore& f) { f.spoil_saved = faults[i]; });
    const auto store = Open(fake.target());
    const absl::Status status =
        Save(*store, {MakeSubmission(1, "a"), MakeSubmission(2, "b")}).status;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << i;
    EXPECT_THAT(status.message(), HasSubstr("malformed")) << i;
  }
}

TEST(DatastoreStore, MalformedAnswersToLookUpsAreErrors) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  Results(*store, {MakeSubmission(1, "a"), MakeSubmission(2, "b")});

  fake.Change([](FakeDatastore& f) {
    f.spoil_found = [](auto* r) { r->add_found(); };
  });
  EXPECT_FALSE(store->FindReceipts("study", {"a"}).ok());
  fake.Change([](FakeDatastore& f) {
    f.spoil_found = [](auto* r) {
      r->mutable_found(0)->mutable_receipt()->set_sequence(-1);
      r->mutable_found(0)->mutable_receipt()->clear_content_sha256();
    };
  });
  EXPECT_FALSE(store->FindReceipts("study", {"a"}).ok());

  fake.Change([](FakeDatastore& f) {
    f.spoil_last = [](auto* r) { r->set_sequence(-1); };
  });
  EXPECT_FALSE(store->LastSequence().ok());

  const std::vector<std::function<void(v1::ReadResponse*)>> faults = {
      [](auto* r) { r->mutable_submissions()->SwapElements(0, 1); },
      [](auto* r) { *r->add_submissions() = r->submissions(1); },
      [](auto* r) { r->mutable_submissions(1)->clear_kind(); },
      [](auto* r) { r->mutable_submissions(1)->clear_received_at(); },
      [](auto* r) {
        r->mutable_submissions(1)->mutable_sent_at()->set_nanos(-1);
      },
      [](auto* r) {
        r->mutable_submissions(1)->mutable_authored_at()->set_nanos(-1);
      },
      [](auto* r) { r->mutable_submissions(1)->clear_content_sha256(); },
      [](auto* r) { r->add_gaps(); },
      [](auto* r) {
        r->clear_submissions();
        r->clear_last();
      }};
  EXPECT_TRUE(store->Read(0, 10, 1000).ok());
  for (std::size_t i = 0; i < faults.size(); ++i) {
    fake.Change([&](FakeDatastore& f) { f.spoil_read = faults[i]; });
    EXPECT_FALSE(store->Read(0, 10, 1000).ok()) << i;
  }
  fake.Change([](FakeDatastore& f) { f.spoil_read = nullptr; });
  fake.Change([](FakeDatastore& f) {
    f.spoil_read = [](auto* r) { *r->add_submissions() = r->submissions(0); };
  });
  EXPECT_FALSE(store->Read(0, 1, 1000).ok()) << "more than asked for";
}

// A datastore cannot give the receipt of a row that is damaged.
TEST(DatastoreStore, ADamagedReceiptConcernsItsIdOnly) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  Results(*store, {MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  const std::vector<std::function<void(v1::StoredReceipt*)>> damages = {
      [](auto* receipt) { receipt->clear_received_at(); },
      [](auto* receipt) { receipt->mutable_received_at()->set_nanos(-1); },
      [](auto* receipt) { receipt->clear_content_sha256(); }};
  for (std::size_t i = 0; i < damages.size(); ++i) {
    fake.Change([&](FakeDatastore& f) {
      f.spoil_found = [&damages, i](auto* r) {
        damages[i](r->mutable_found(0)->mutable_receipt());
      };
    });
    const auto found = store->FindReceipts("study", {"a", "b", "c"});
    ASSERT_TRUE(found.ok()) << i << found.status();
    EXPECT_TRUE(IsDamaged(found->at(0).value()));
    EXPECT_EQ(found->at(0)->sequence, 1);
    EXPECT_FALSE(IsDamaged(found->at(1).value()));
    EXPECT_EQ(found->at(1)->sequence, 2);
    EXPECT_FALSE(found->at(2).has_value());
  }
}

// --- Reading ---

TEST(DatastoreStore, ReadsInPagesWithTheirGaps) {
  FakeDatastore fake;
  const auto store = Open(fake.target());
  Results(*store, {MakeSubmission(1, "a"), MakeSubmission(2, "a"),
                   MakeSubmission(3, "b"), MakeSubmission(4, "c"),
                   MakeSubmission(5, "a", "other")});
  const auto sequences = [](const StorePage& page) {
    std::vector<std::int64_t> found;
    for (const Submission& s : page.submissions) found.push_back(s.sequence);
    return found;
  };
  const auto first = store->Read(0, 2, 1000);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(sequences(*first), ElementsAre(1, 3));
  EXPECT_THAT(first->gaps, ElementsAre(Gap{.sequence = 2, .conflict = false}));
  EXPECT_FALSE(first->last);

  // The first submission is returned although it exceeds the byte limit.
  const auto second = store->Read(1, 10, 1);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(sequences(*second), ElementsAre(3));
  EXPECT_FALSE(second->last);

  const auto third = store->Read(3, 10, 1000);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_THAT(sequences(*third), ElementsAre(4));
  EXPECT_THAT(third->gaps, ElementsAre(Gap{.sequence = 5, .conflict = true}));
  EXPECT_TRUE(third->last);
}

TEST(DatastoreStore, TellsADatastoreThatCannotBeRead) {
  FakeDatastore fake;
  fake.AnswerNext({.code = grpc::StatusCode::UNIMPLEMENTED});
  EXPECT_EQ(Open(fake.target())->Read(0, 10, 1000).status().code(),
            absl::StatusCode::kUnimplemented);
}

// --- TLS ---

TEST(DatastoreStore, SpeaksTlsWithADatastoreThatItsRootsVouchFor) {
  const TestCertificate certificate("127.0.0.1");
  FakeDatastore fake(certificate.server_credentials());
  const TempFolder folder;
  std::ofstream(folder / "roots.pem") << certificate.pem();
  std::ofstream(folder / "others.pem") << TestCertificate("127.0.0.1").pem();

  const auto trusting = Open({.target = fake.target(),
                              .timeout = kPatience,
                              .tls_root_certs = folder / "roots.pem"});
  EXPECT_THAT(Results(*trusting, {MakeSubmission(1, "a")}),
              ElementsAre(Result::kStored));
  for (const std::string& roots : {folder / "others.pem", std::string()}) {
    const auto other = Open({.target = fake.target(),
                             .timeout = kPatience,
                             .tls_root_certs = roots});
    EXPECT_EQ(Save(*other, {MakeSubmission(2, "b")}).status.code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_THAT(fake.stored(), SizeIs(1));
}

TEST(DatastoreStore, CertificatesThatCannotBeReadAreAnError) {
  const TempFolder folder;
  EXPECT_EQ(DatastoreStore::Open({.target = "127.0.0.1:1",
                                  .tls_root_certs = folder / "none.pem"},
                                 SameInLowerCase)
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice

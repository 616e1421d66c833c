// Tests the promises of stores/store.h, for every kind of store.
//
// To add a kind: write a StoreUnderTest for it below, and name it in the
// INSTANTIATE lines at the end. Features of one kind only are tested in the
// test of that store.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/datastore_store.h"
#include "stores/discard_store.h"
#include "stores/postgres_store.h"
#include "stores/sqlite_store.h"
#include "stores/store.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/postgres_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"
#include "tools/datastore/datastore_server.h"
#include "tools/datastore/datastore_service.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Result = Saved::Result;

// --- The stores ---

// A store under test, and ways to cause trouble from outside.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  // Opens the store, or closes it and opens it again with its data. `timeout`
  // limits how long a call waits for the database.
  virtual void Open(absl::Duration timeout, const SameContent& same) = 0;
  virtual Store& store() = 0;
  // Returns the refused submissions that the store has recorded, as rows of the
  // sequence number and the content in hexadecimal, or NULL.
  virtual Shell::Rows conflicts() { return {}; }

  // From Hang to Resume, the database does not answer statements that write.
  virtual void Hang() {}
  virtual void Resume() {}
  // From HoldSaves to ReleaseSaves, no SaveBatch ends. AwaitHeldSave waits
  // until a SaveBatch has begun, and returns false after a timeout.
  virtual void HoldSaves() {}
  virtual bool AwaitHeldSave() { return false; }
  virtual void ReleaseSaves() {}

  // Replaces the database: ends all connections to it, or replaces its file.
  // Says whether the store uses the replacement.
  enum class Replaced { kHasNoDatabase, kIsUsed, kIsNotUsed };
  virtual Replaced Replace() { return Replaced::kHasNoDatabase; }

  // Drops tables, so that later calls fail. Returns false if there are none.
  virtual bool DropTables() { return false; }
};

constexpr char kDropTables[] =
    "DROP TABLE gaps; DROP TABLE conflicts; DROP TABLE submissions";

Shell::Rows SqliteConflicts(const std::string& path) {
  return Shell(path).Run(
      "SELECT sequence, CASE WHEN content IS NOT NULL"
      " THEN lower(hex(content)) END FROM conflicts ORDER BY sequence");
}

class SqliteUnderTest : public StoreUnderTest {
 public:
  void Open(absl::Duration timeout, const SameContent& same) override {
    store_.reset();
    auto opened =
        SqliteStore::Open({.path = path_, .busy_timeout = timeout}, same);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  Store& store() override { return *store_; }
  Shell::Rows conflicts() override { return SqliteConflicts(path_); }

  // Lets another program hold the write lock.
  void Hang() override {
    shell_ = std::make_unique<Shell>(path_);
    shell_->Run("BEGIN IMMEDIATE");
  }
  void Resume() override { shell_.reset(); }
  void HoldSaves() override { disk_.HoldSyncs(); }
  bool AwaitHeldSave() override { return disk_.WaitForHeldSync(); }
  void ReleaseSaves() override { disk_.ReleaseSyncs(); }
  Replaced Replace() override {
    std::filesystem::rename(path_, path_ + ".before");
    std::filesystem::copy_file(path_ + ".before", path_);
    return Replaced::kIsNotUsed;
  }
  bool DropTables() override {
    Shell(path_).Run(kDropTables);
    return true;
  }

 private:
  const TempFolder folder_;
  const std::string path_ = folder_ / "data/sluice.db";
  FaultyDisk disk_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Shell> shell_;
};

class PostgresUnderTest : public StoreUnderTest {
 public:
  ~PostgresUnderTest() override { Resume(); }

  void Open(absl::Duration timeout, const SameContent& same) override {
    store_.reset();
    auto opened = PostgresStore::Open(
        {.url = url_, .timeout = std::max(timeout, absl::Seconds(1))}, same);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  Store& store() override { return *store_; }
  Shell::Rows conflicts() override {
    return PostgresShell(url_).Run(
        "SELECT sequence, encode(content, 'hex') FROM conflicts"
        " ORDER BY sequence");
  }

  // Stops all processes of the server that the store can communicate with: its
  // sessions and the postmaster.
  void Hang() override {
    PostgresShell shell(url_);
    for (const auto& row : shell.Run("SELECT pid FROM pg_stat_activity"
                                     " WHERE application_name = 'sluice'")) {
      stopped_.push_back(std::stoi(row[0]));
    }
    stopped_.push_back(std::stoi(
        shell.Get("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n',"
                  " 1)")));
    for (const pid_t pid : stopped_) EXPECT_EQ(kill(pid, SIGSTOP), 0);
  }
  void Resume() override {
    for (const pid_t pid : stopped_) kill(pid, SIGCONT);
    stopped_.clear();
  }
  void HoldSaves() override {
    shell_ = std::make_unique<PostgresShell>(url_);
    shell_->Run("BEGIN; LOCK TABLE submissions IN SHARE MODE");
  }
  bool AwaitHeldSave() override {
    PostgresShell watcher(url_);
    AwaitThat("a batch waits for the table", [&] {
      return watcher.Get(
                 "SELECT count(*) FROM pg_stat_activity WHERE"
                 " application_name = 'sluice'"
                 " AND wait_event_type = 'Lock'") == "1";
    });
    return true;
  }
  void ReleaseSaves() override { shell_.reset(); }
  Replaced Replace() override {
    PostgresServer::Shared().Stop();
    PostgresServer::Shared().Start();
    return Replaced::kIsUsed;
  }
  bool DropTables() override {
    PostgresShell(url_).Run(absl::StrCat(kDropTables, " CASCADE"));
    return true;
  }

 private:
  const std::string url_ = PostgresServer::Shared().NewSchema();
  std::unique_ptr<PostgresStore> store_;
  std::vector<pid_t> stopped_;
  std::unique_ptr<PostgresShell> shell_;
};

// Forwards calls to another store, or blocks them.
class HeldStore : public Store {
 public:
  explicit HeldStore(Store& store) : store_(store) {}

  void Hold(bool saves, bool others) {
    absl::MutexLock lock(&mutex_);
    hold_saves_ = saves;
    hold_others_ = others;
  }
  bool AwaitHeldSave() {
    absl::MutexLock lock(&mutex_);
    const auto held = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return held_saves_ > 0;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&held), kPatience);
  }

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    {
      absl::MutexLock lock(&mutex_);
      ++held_saves_;
      const auto released = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return !hold_saves_;
      };
      mutex_.Await(absl::Condition(&released));
      --held_saves_;
    }
    return store_.SaveBatch(batch, saved);
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    AwaitRelease();
    return store_.FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<std::int64_t> LastSequence() override {
    AwaitRelease();
    return store_.LastSequence();
  }
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override {
    AwaitRelease();
    return store_.Read(after, max, max_bytes);
  }
  absl::Status Check() override {
    AwaitRelease();
    return store_.Check();
  }

 private:
  void AwaitRelease() {
    absl::MutexLock lock(&mutex_);
    const auto released = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !hold_others_;
    };
    mutex_.Await(absl::Condition(&released));
  }

  Store& store_;
  absl::Mutex mutex_;
  bool hold_saves_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_others_ ABSL_GUARDED_BY(mutex_) = false;
  int held_saves_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The service of sluice-datastore, on SQLite, and a store that calls it.
class DatastoreUnderTest : public StoreUnderTest {
 public:
  ~DatastoreUnderTest() override { Close(); }

  void Open(absl::Duration timeout, const SameContent& same) override {
    Close();
    auto backend = SqliteStore::Open({.path = path_}, same);
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_ = *std::move(backend);
    held_ = std::make_unique<HeldStore>(*backend_);
    service_ = std::make_unique<DatastoreService>(held_.get(),
                                                  DatastoreServiceOptions{});
    auto server = DatastoreServer::Start("127.0.0.1:0", service_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto store = DatastoreStore::Open(
        {.target = absl::StrCat("127.0.0.1:", server_->port()),
         .timeout = std::max(timeout, absl::Milliseconds(200))},
        same);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  Store& store() override { return *store_; }
  Shell::Rows conflicts() override { return SqliteConflicts(path_); }

  // Makes the service accept calls without answering them.
  void Hang() override { held_->Hold(true, true); }
  void Resume() override { held_->Hold(false, false); }
  void HoldSaves() override { held_->Hold(true, false); }
  bool AwaitHeldSave() override { return held_->AwaitHeldSave(); }
  void ReleaseSaves() override { held_->Hold(false, false); }
  Replaced Replace() override {
    const int port = server_->port();
    server_.reset();
    auto server = DatastoreServer::Start(absl::StrCat("127.0.0.1:", port),
                                         service_.get());
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    return Replaced::kIsUsed;
  }
  bool DropTables() override {
    Shell(path_).Run(kDropTables);
    return true;
  }

 private:
  void Close() {
    if (held_ != nullptr) held_->Hold(false, false);
    store_.reset();
    server_.reset();
    service_.reset();
    held_.reset();
    backend_.reset();
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "datastore.db";
  std::unique_ptr<SqliteStore> backend_;
  std::unique_ptr<HeldStore> held_;
  std::unique_ptr<DatastoreService> service_;
  std::unique_ptr<DatastoreServer> server_;
  std::unique_ptr<DatastoreStore> store_;
};

class DiscardUnderTest : public StoreUnderTest {
 public:
  void Open(absl::Duration /*timeout*/, const SameContent& /*same*/) override {
    store_ = std::make_unique<DiscardStore>(DiscardStoreOptions{});
  }
  Store& store() override { return *store_; }

 private:
  std::unique_ptr<DiscardStore> store_;
};

// --- The suite ---

struct StoreCase {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

void PrintTo(const StoreCase& store, std::ostream* out) { *out << store.name; }

template <typename T>
StoreCase CaseOf(std::string name) {
  return {std::move(name), [] { return std::make_unique<T>(); }};
}

std::string NameOf(const testing::TestParamInfo<StoreCase>& info) {
  return info.param.name;
}

class AnyStoreContract : public testing::TestWithParam<StoreCase> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    Open();
  }

  void Open(absl::Duration timeout = kPatience) {
    under_test_->Open(timeout, [this](SubmissionKind kind, std::string_view a,
                                      std::string_view b) {
      ++compared_;
      last_compared_ = kind;
      return SameInLowerCase(kind, a, b);
    });
  }
  Store& store() { return under_test_->store(); }

  absl::Status TrySave(const std::vector<Submission>& batch) {
    saved_.assign(batch.size(), Saved());
    return store().SaveBatch(batch, absl::MakeSpan(saved_));
  }
  std::vector<Result> Save(const std::vector<Submission>& batch) {
    const absl::Status status = TrySave(batch);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<Result> results;
    for (const Saved& saved : saved_) results.push_back(saved.result);
    return results;
  }
  std::optional<StoredReceipt> Find(const std::string& id) {
    const auto receipts = store().FindReceipts("study", {id});
    EXPECT_TRUE(receipts.ok()) << receipts.status();
    return receipts.ok() ? receipts->at(0) : std::nullopt;
  }
  StorePage ReadAll() {
    const auto page = store().Read(0, 100'000, std::size_t{1} << 30);
    EXPECT_TRUE(page.ok()) << page.status();
    EXPECT_TRUE(page.ok() && page->last);
    return page.ok() ? *page : StorePage();
  }
  std::vector<std::int64_t> Sequences() {
    std::vector<std::int64_t> sequences;
    for (const Submission& s : ReadAll().submissions) {
      sequences.push_back(s.sequence);
    }
    return sequences;
  }

  std::vector<Saved> saved_;  // results of the last Save
  // Number of SameContent calls so far, and the kind of the last call.
  std::atomic<int> compared_{0};
  std::atomic<SubmissionKind> last_compared_{};
  // Destroyed first, since the store may still compare contents.
  std::unique_ptr<StoreUnderTest> under_test_;
};

// Promises of stores that keep submissions.
class StoreContract : public AnyStoreContract {};

TEST(IsTransient, TellsErrorsOfTheStoreFromErrorsOfTheSubmission) {
  using Code = absl::StatusCode;
  for (const Code code :
       {Code::kCancelled, Code::kDeadlineExceeded, Code::kPermissionDenied,
        Code::kResourceExhausted, Code::kAborted, Code::kUnimplemented,
        Code::kUnavailable, Code::kDataLoss, Code::kUnauthenticated}) {
    EXPECT_TRUE(IsTransient(absl::Status(code, ""))) << code;
  }
  for (const Code code :
       {Code::kOk, Code::kUnknown, Code::kInvalidArgument, Code::kNotFound,
        Code::kAlreadyExists, Code::kFailedPrecondition, Code::kOutOfRange,
        Code::kInternal}) {
    EXPECT_FALSE(IsTransient(absl::Status(code, ""))) << code;
  }
}

// --- Every store ---

TEST_P(AnyStoreContract, ReportsANewSubmissionAsStored) {
  const Submission s = MakeSubmission(7, "a");
  EXPECT_THAT(Save({s, MakeSubmission(9, "b")}), Each(Result::kStored));
  EXPECT_EQ(saved_[0].sequence, 7);
  EXPECT_EQ(saved_[0].received_at, s.received_at);
  EXPECT_EQ(saved_[0].content_sha256, s.content_sha256);
  EXPECT_EQ(saved_[1].sequence, 9);
}

TEST_P(AnyStoreContract, AReplacementBeginsAnotherGeneration) {
  // Connects a store that connects at its first call.
  EXPECT_EQ(*store().LastSequence(), 0);
  const std::uint32_t generation = store().Generation();
  EXPECT_THAT(Save({MakeSubmission(1, "a")}), Each(Result::kStored));
  EXPECT_TRUE(store().Check().ok());
  EXPECT_TRUE(store().FindReceipts("study", {"a"}).ok());
  EXPECT_EQ(store().Generation(), generation);

  using Replaced = StoreUnderTest::Replaced;
  const Replaced replaced = under_test_->Replace();
  if (replaced == Replaced::kHasNoDatabase) return;
  AwaitThat("the replacement is noticed",
            [&] { return store().Generation() != generation; });
  if (replaced == Replaced::kIsNotUsed) return;
  AwaitThat("the replacement is in use",
            [&] { return TrySave({MakeSubmission(2, "b")}).ok(); });
  const std::uint32_t replacement = store().Generation();
  EXPECT_NE(replacement, generation);
  EXPECT_THAT(Save({MakeSubmission(3, "c")}), Each(Result::kStored));
  EXPECT_EQ(store().Generation(), replacement);
}

// Errors are logged and shown to operators, so they must not have patient data.
TEST_P(AnyStoreContract, ErrorsQuoteNoIdAndNoContent) {
  const auto expect_nothing_quoted = [](const absl::Status& status) {
    EXPECT_THAT(status.ToString(), testing::Not(HasSubstr("canary")));
  };
  Submission good = MakeSubmission(1, "canary-1", "canary content");
  good.study_id = "canary-study";
  good.site_id = "canary-site";
  good.subject = "Patient/canary";
  ASSERT_TRUE(TrySave({good}).ok());
  const std::vector<std::function<void(Submission&)>> faults = {
      [](Submission& s) { s.submission_id = "canary\xff"; },
      [](Submission& s) { s.submission_id.push_back('\0'); },
      [](Submission& s) { s.study_id = "canary\xc0"; },
      [](Submission& s) { s.site_id = "canary\xed\xa0\x80"; },
      [](Submission& s) { s.subject = "canary\xff"; },
      [](Submission& s) { s.answers_json = "{canary"; },
      [](Submission& s) { s.answers_json = R"([{"canary": {}}])"; },
      [](Submission& s) { s.authored = "canary\xff"; },
      [](Submission& s) { s.sequence = -1; },
      [](Submission& s) { s.sequence = 1; }};
  for (std::size_t i = 0; i < faults.size(); ++i) {
    Submission bad = good;
    bad.sequence = static_cast<std::int64_t>(10 + i);
    bad.submission_id = absl::StrCat("canary-", bad.sequence);
    faults[i](bad);
    expect_nothing_quoted(TrySave({bad}));
    expect_nothing_quoted(TrySave({bad, good}));
    expect_nothing_quoted(
        store().FindReceipts(bad.study_id, {bad.submission_id}).status());
  }
  if (!under_test_->DropTables()) return;
  good.sequence = 99;
  const absl::Status unsaved = TrySave({good});
  EXPECT_FALSE(unsaved.ok());
  expect_nothing_quoted(unsaved);
  const absl::Status unfound =
      store().FindReceipts(good.study_id, {good.submission_id}).status();
  EXPECT_FALSE(unfound.ok());
  expect_nothing_quoted(unfound);
  expect_nothing_quoted(store().Read(0, 10, 1000).status());
  expect_nothing_quoted(store().FindOtherSequences({1}).status());
  expect_nothing_quoted(store().Check());
}

TEST_P(AnyStoreContract, TakesAnEmptyBatch) {
  EXPECT_TRUE(TrySave({}).ok());
  EXPECT_EQ(*store().LastSequence(), 0);
}

TEST_P(AnyStoreContract, AnEmptyStoreHasNothing) {
  EXPECT_EQ(*store().LastSequence(), 0);
  EXPECT_TRUE(store().FindReceipts("study", {})->empty());
  EXPECT_THAT(*store().FindReceipts("study", {"a", "b"}),
              Each(Eq(std::nullopt)));
  const StorePage page = ReadAll();
  EXPECT_THAT(page.submissions, IsEmpty());
  EXPECT_THAT(page.gaps, IsEmpty());
  EXPECT_TRUE(store().Check().ok());
}

// --- Stored values ---

TEST_P(StoreContract, KeepsEveryField) {
  Submission response = MakeSubmission(1, "bare", "");
  Submission event = MakeSubmission(3, "event");
  event.kind = SubmissionKind::kAppEvent;
  const Submission full = EveryField(2, "full é€𝄞");
  ASSERT_THAT(Save({response, full, event}), Each(Result::kStored));
  for (int round = 0; round < 2; ++round) {
    const StorePage page = ReadAll();
    ASSERT_THAT(page.submissions, SizeIs(3));
    ExpectEqual(page.submissions[0], response);
    ExpectEqual(page.submissions[1], full);
    ExpectEqual(page.submissions[2], event);
    Open();
  }
}

TEST_P(StoreContract, KeepsContentByteForByte) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const std::string odd[] = {"",
                             std::string("\0", 1),
                             std::string("a\0b\0", 4),
                             "'; DROP TABLE submissions; --",
                             "\"{},NULL\\x00\\",
                             "\xff\xfe\x80",
                             every_byte,
                             std::string(std::size_t{5} << 20, 'x')};
  std::vector<Submission> batch;
  for (const std::string& content : odd) {
    const auto sequence = static_cast<std::int64_t>(batch.size()) + 1;
    // Ids are data as well.
    batch.push_back(MakeSubmission(
        sequence, absl::StrCat("'\"\\{}é€𝄞 --", sequence), content));
  }
  ASSERT_THAT(Save(batch), Each(Result::kStored));
  const StorePage page = ReadAll();
  ASSERT_THAT(page.submissions, SizeIs(batch.size()));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    ExpectEqual(page.submissions[i], batch[i]);
    EXPECT_EQ(Find(batch[i].submission_id)->sequence, batch[i].sequence);
  }
}

TEST_P(StoreContract, KeepsTimesToTheMicrosecond) {
  Submission s = MakeSubmission(5, "a");
  s.received_at = absl::FromUnixNanos(1709320532000001999);
  s.sent_at = absl::FromUnixMicros(-1);
  s.authored_at = absl::FromCivil(absl::CivilYear(33), absl::UTCTimeZone());
  Submission odd = MakeSubmission(6, "b");
  // SQL cannot express such times.
  odd.sent_at = absl::InfiniteFuture();
  odd.authored_at =
      absl::FromCivil(absl::CivilYear(12345), absl::UTCTimeZone());
  Save({s, odd});
  const absl::Time kept = absl::FromUnixMicros(1709320532000001);
  EXPECT_EQ(saved_[0].received_at, kept);
  EXPECT_EQ(Find("a")->received_at, kept);
  const StorePage page = ReadAll();
  ASSERT_THAT(page.submissions, SizeIs(2));
  EXPECT_EQ(page.submissions[0].received_at, kept);
  EXPECT_EQ(page.submissions[0].sent_at, s.sent_at);
  EXPECT_EQ(page.submissions[0].authored_at, s.authored_at);
  EXPECT_EQ(page.submissions[1].sent_at, std::nullopt);
  EXPECT_EQ(page.submissions[1].authored_at, std::nullopt);
}

// --- The same id again ---

TEST_P(StoreContract, TheSameAgainIsADuplicateOfTheFirst) {
  const Submission first = MakeSubmission(1, "a", "same");
  Save({first});
  for (std::int64_t sequence = 8; sequence < 10; ++sequence) {
    EXPECT_THAT(Save({MakeSubmission(sequence, "a", "same")}),
                ElementsAre(Result::kDuplicate));
    EXPECT_EQ(saved_[0].sequence, 1);
    EXPECT_EQ(saved_[0].received_at, first.received_at);
    EXPECT_EQ(saved_[0].content_sha256, first.content_sha256);
    Open();
  }
  EXPECT_THAT(Sequences(), ElementsAre(1));
  EXPECT_THAT(under_test_->conflicts(), SizeIs(0));
  EXPECT_EQ(compared_, 0) << "equal hashes need no comparison";
}

TEST_P(StoreContract, OtherBytesThatMeanTheSameAreADuplicate) {
  Submission first = MakeSubmission(1, "a", "content");
  Submission second = MakeSubmission(2, "a", "CONTENT");
  first.kind = second.kind = SubmissionKind::kAppEvent;
  Save({first});
  EXPECT_THAT(Save({second}), ElementsAre(Result::kDuplicate));
  EXPECT_EQ(saved_[0].sequence, 1);
  EXPECT_EQ(saved_[0].content_sha256, first.content_sha256);
  EXPECT_EQ(compared_, 1);
  EXPECT_EQ(last_compared_, SubmissionKind::kAppEvent);
  EXPECT_THAT(under_test_->conflicts(), SizeIs(0));
  EXPECT_EQ(ReadAll().submissions.at(0).content, "content");
}

TEST_P(StoreContract, AnotherMeaningIsAConflictThatLeavesTheFirst) {
  const Submission first = MakeSubmission(1, "a", "first");
  Save({first});
  EXPECT_THAT(Save({MakeSubmission(2, "a", "second")}),
              ElementsAre(Result::kConflict));
  EXPECT_EQ(saved_[0].sequence, 1);
  EXPECT_EQ(saved_[0].received_at, first.received_at);
  EXPECT_EQ(saved_[0].content_sha256, first.content_sha256);
  Save({MakeSubmission(3, "a", "third")});
  EXPECT_THAT(under_test_->conflicts(), SizeIs(2));
  const StorePage page = ReadAll();
  ASSERT_THAT(page.submissions, SizeIs(1));
  ExpectEqual(page.submissions[0], first);
}

TEST_P(StoreContract, AnotherKindIsAConflictWhateverItsContent) {
  Submission event = MakeSubmission(1, "a", "same");
  event.kind = SubmissionKind::kAppEvent;
  Submission record = MakeSubmission(2, "a", "same");
  record.kind = SubmissionKind::kPatientRecord;
  const Submission response = MakeSubmission(3, "a", "SAME");
  EXPECT_THAT(
      Save({event, record, response}),
      ElementsAre(Result::kStored, Result::kConflict, Result::kConflict));
  EXPECT_THAT(under_test_->conflicts(), SizeIs(2));
}

TEST_P(StoreContract, AnIdIsKnownWithinItsStudy) {
  Submission other = MakeSubmission(2, "a", "other");
  other.study_id = "other study";
  EXPECT_THAT(Save({MakeSubmission(1, "a", "first"), other}),
              Each(Result::kStored));
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
}

TEST_P(StoreContract, RepeatsWithinABatchAreRecognised) {
  EXPECT_THAT(
      Save({MakeSubmission(1, "b", "first"), MakeSubmission(2, "c", "c"),
            MakeSubmission(3, "b", "first"), MakeSubmission(4, "b", "other"),
            MakeSubmission(5, "c", "C"), MakeSubmission(6, "a", "a")}),
      ElementsAre(Result::kStored, Result::kStored, Result::kDuplicate,
                  Result::kConflict, Result::kDuplicate, Result::kStored));
  EXPECT_EQ(saved_[2].sequence, 1);
  EXPECT_EQ(saved_[3].sequence, 1);
  EXPECT_EQ(saved_[4].sequence, 2);
  EXPECT_EQ(saved_[5].sequence, 6);
  for (const std::size_t repeat : {std::size_t{2}, std::size_t{3}}) {
    EXPECT_EQ(saved_[repeat].content_sha256, saved_[0].content_sha256);
  }
  EXPECT_EQ(saved_[4].content_sha256, saved_[1].content_sha256);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 6));
  EXPECT_THAT(under_test_->conflicts(), SizeIs(1));
  EXPECT_EQ(compared_, 2) << "equal hashes need no comparison";
}

TEST_P(StoreContract, ABatchThatComesAgainIsRecognisedAndLeavesNothingNew) {
  Save({MakeSubmission(1, "a")});
  const std::vector<Submission> batch = {MakeSubmission(2, "b"),
                                         MakeSubmission(3, "a"),
                                         MakeSubmission(4, "a", "other")};
  for (int round = 0; round < 2; ++round) {
    const std::vector<Result> results = Save(batch);
    ASSERT_THAT(results, SizeIs(3));
    EXPECT_TRUE(results[0] == Result::kStored ||
                (round > 0 && results[0] == Result::kDuplicate));
    EXPECT_EQ(results[1], Result::kDuplicate);
    EXPECT_EQ(results[2], Result::kConflict);
    EXPECT_EQ(saved_[0].sequence, 2);
    EXPECT_EQ(saved_[0].received_at, batch[0].received_at);
    EXPECT_THAT(
        ReadAll().gaps,
        ElementsAre(Gap{.sequence = 3, .first_sequence = 1},
                    Gap{.sequence = 4, .conflict = true, .first_sequence = 1}));
    EXPECT_THAT(under_test_->conflicts(), SizeIs(1));
  }
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
}

TEST_P(StoreContract, AConflictIsKeptWithItsContent) {
  Save({MakeSubmission(1, "a", "first")});
  Submission empty = MakeSubmission(4, "a", "");
  empty.kind = SubmissionKind::kAppEvent;
  Save({MakeSubmission(2, "a", std::string("\0\xff", 2)),
        MakeSubmission(3, "a", "FIRST"), empty});
  EXPECT_TRUE(saved_[0].conflict_kept);
  EXPECT_FALSE(saved_[1].conflict_kept) << "a duplicate";
  EXPECT_TRUE(saved_[2].conflict_kept);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(under_test_->conflicts(),
              (Shell::Rows{{"2", "00ff"}, {"4", ""}}));
    Open();
  }
}

TEST_P(StoreContract, AContentThatIsRefusedAgainIsKeptOnce) {
  Save({MakeSubmission(1, "a", "first"), MakeSubmission(2, "b", "first")});
  Save({MakeSubmission(3, "a", "x"), MakeSubmission(4, "a", "x"),
        MakeSubmission(5, "a", "y"), MakeSubmission(6, "b", "x")});
  for (std::int64_t sequence = 7; sequence < 9; ++sequence) {
    Save({MakeSubmission(sequence, "a", "x")});
    EXPECT_THAT(saved_[0].result, Result::kConflict);
    EXPECT_TRUE(saved_[0].conflict_kept);
  }
  EXPECT_EQ(under_test_->conflicts(), (Shell::Rows{{"3", "78"},
                                                   {"4", "NULL"},
                                                   {"5", "79"},
                                                   {"6", "78"},
                                                   {"7", "NULL"},
                                                   {"8", "NULL"}}));
}

TEST_P(StoreContract, AConflictThatComesAgainIsKeptOnce) {
  Save({MakeSubmission(1, "a", "first")});
  for (int round = 0; round < 3; ++round) {
    Save({MakeSubmission(2, "a", "x"), MakeSubmission(3, "a", "x")});
    for (const Saved& saved : saved_) {
      EXPECT_EQ(saved.result, Result::kConflict);
      EXPECT_TRUE(saved.conflict_kept);
    }
    EXPECT_EQ(under_test_->conflicts(),
              (Shell::Rows{{"2", "78"}, {"3", "NULL"}}));
    Open();
  }
}

// Otherwise the second conflict would count as kept, and be lost.
TEST_P(StoreContract, TheNumberOfAConflictIsNotGivenToAnother) {
  Save({MakeSubmission(1, "a", "first"), MakeSubmission(2, "b", "first")});
  Save({MakeSubmission(3, "a", "x")});
  EXPECT_THAT(Save({MakeSubmission(3, "a", "y"), MakeSubmission(3, "b", "x"),
                    MakeSubmission(3, "a", "first"), MakeSubmission(3, "c"),
                    MakeSubmission(3, "a", "x")}),
              ElementsAre(Result::kSequenceTaken, Result::kSequenceTaken,
                          Result::kSequenceTaken, Result::kSequenceTaken,
                          Result::kConflict));
  EXPECT_EQ(under_test_->conflicts(), (Shell::Rows{{"3", "78"}}));
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
}

TEST_P(StoreContract, AConflictUnderTheNumberOfTheFirstIsKept) {
  Save({MakeSubmission(1, "a", "first")});
  EXPECT_THAT(Save({MakeSubmission(1, "a", "x")}),
              ElementsAre(Result::kConflict));
  EXPECT_TRUE(saved_[0].conflict_kept);
  EXPECT_EQ(under_test_->conflicts(), (Shell::Rows{{"1", "78"}}));
  EXPECT_THAT(ReadAll().gaps, IsEmpty());
}

TEST_P(StoreContract, LargeConflictsOfABatchAreKept) {
  std::vector<Submission> batch;
  std::vector<std::string> kept;
  for (std::int64_t i = 1; i <= 4; ++i) {
    const std::string id = absl::StrCat(i);
    Save({MakeSubmission(i, id)});
    const std::string content(6 << 20, static_cast<char>('0' + i));
    batch.push_back(MakeSubmission(10 + i, id, content));
    kept.push_back(absl::StrCat("3", i));
  }
  EXPECT_THAT(Save(batch), Each(Result::kConflict));
  const Shell::Rows conflicts = under_test_->conflicts();
  ASSERT_THAT(conflicts, SizeIs(4));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(conflicts[i][1].size(), std::size_t{12} << 20);
    EXPECT_EQ(conflicts[i][1].substr(0, 2), kept[i]);
  }
}

// --- Numbers that belong to another submission ---

TEST_P(StoreContract, ASequenceIsNeverGivenTwice) {
  Save({MakeSubmission(1, "first")});
  EXPECT_THAT(Save({MakeSubmission(2, "b"), MakeSubmission(1, "c"),
                    MakeSubmission(2, "d"), MakeSubmission(3, "e")}),
              ElementsAre(Result::kStored, Result::kSequenceTaken,
                          Result::kSequenceTaken, Result::kStored));
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3));
  EXPECT_EQ(Find("b")->sequence, 2);
  EXPECT_EQ(Find("c"), std::nullopt);
  EXPECT_EQ(Find("d"), std::nullopt);
  EXPECT_THAT(ReadAll().gaps, IsEmpty());
}

TEST_P(StoreContract, ANumberOfAGapIsTaken) {
  Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  Save({MakeSubmission(3, "a"), MakeSubmission(4, "a", "other")});
  const StorePage before = ReadAll();
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(
        Save({MakeSubmission(3, "new"), MakeSubmission(4, "new"),
              MakeSubmission(3, "b"), MakeSubmission(4, "b"),
              MakeSubmission(3, "b", "x"), MakeSubmission(3, "a", "other")}),
        Each(Result::kSequenceTaken));
    Open();
  }
  EXPECT_EQ(ReadAll().gaps, before.gaps);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2));
  EXPECT_THAT(under_test_->conflicts(), SizeIs(1));
}

TEST_P(StoreContract, ADuplicateOrConflictWithTheNumberOfAnotherIsNotRecorded) {
  Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  EXPECT_THAT(Save({MakeSubmission(2, "a"), MakeSubmission(1, "b", "other"),
                    MakeSubmission(3, "a")}),
              ElementsAre(Result::kSequenceTaken, Result::kSequenceTaken,
                          Result::kDuplicate));
  EXPECT_THAT(ReadAll().gaps,
              ElementsAre(Gap{.sequence = 3, .first_sequence = 1}));
  EXPECT_THAT(under_test_->conflicts(), IsEmpty());
}

TEST_P(StoreContract, SubmissionsOfABatchWithOneNumberAreToldApart) {
  Save({MakeSubmission(1, "b"), MakeSubmission(2, "c")});
  // Stores may save a batch in the order of the ids, so the duplicate of "b"
  // or the new submission may be first.
  Save({MakeSubmission(3, "d"), MakeSubmission(3, "b")});
  EXPECT_EQ(std::ranges::count(saved_, Result::kSequenceTaken, &Saved::result),
            1);
  EXPECT_EQ(Find("d").has_value(), saved_[0].result == Result::kStored);
  EXPECT_THAT(Save({MakeSubmission(4, "b"), MakeSubmission(4, "c")}),
              ElementsAre(Result::kDuplicate, Result::kSequenceTaken));
  EXPECT_THAT(Save({MakeSubmission(5, "b", "x"), MakeSubmission(5, "c", "x"),
                    MakeSubmission(6, "c", "x")}),
              ElementsAre(Result::kConflict, Result::kSequenceTaken,
                          Result::kConflict));
  EXPECT_EQ(under_test_->conflicts(), (Shell::Rows{{"5", "78"}, {"6", "78"}}));
}

// Returns a submission with a new number in place of the one that was reported.
Submission Renumbered(Submission submission, std::int64_t sequence) {
  submission.reported_sequence = std::exchange(submission.sequence, sequence);
  return submission;
}

TEST_P(StoreContract, ARenumberedSubmissionIsRecognisedWithItsReportedNumber) {
  Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  const std::vector<Submission> acknowledged = {
      MakeSubmission(1, "new"), MakeSubmission(1, "b"),
      MakeSubmission(2, "a", "other")};
  ASSERT_THAT(Save(acknowledged), Each(Result::kSequenceTaken));
  const std::vector<Submission> renumbered = {Renumbered(acknowledged[0], 11),
                                              Renumbered(acknowledged[1], 12),
                                              Renumbered(acknowledged[2], 13)};
  EXPECT_THAT(Save(renumbered), ElementsAre(Result::kStored, Result::kDuplicate,
                                            Result::kConflict));
  const StorePage before = ReadAll();
  for (int round = 0; round < 2; ++round) {
    // After a crash with the number of the journal, and after an unknown
    // outcome with the new number.
    EXPECT_THAT(
        Save(acknowledged),
        ElementsAre(Result::kDuplicate, Result::kDuplicate, Result::kConflict));
    EXPECT_EQ(saved_[0].sequence, 11);
    EXPECT_EQ(saved_[1].sequence, 2);
    EXPECT_TRUE(saved_[2].conflict_kept);
    Save(renumbered);
    EXPECT_NE(saved_[0].result, Result::kSequenceTaken);
    EXPECT_EQ(saved_[0].sequence, 11);
    EXPECT_EQ(saved_[1].result, Result::kDuplicate);
    EXPECT_EQ(saved_[2].result, Result::kConflict);
    Open();
  }
  EXPECT_EQ(ReadAll().gaps, before.gaps);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 11));
  EXPECT_THAT(under_test_->conflicts(), SizeIs(1));
}

TEST_P(StoreContract, OnlyTheRenumberedSubmissionIsRecognised) {
  Save({MakeSubmission(1, "a")});
  Save({Renumbered(MakeSubmission(1, "b"), 11)});
  EXPECT_THAT(Save({MakeSubmission(1, "c"), MakeSubmission(1, "b", "other"),
                    MakeSubmission(1, "b")}),
              ElementsAre(Result::kSequenceTaken, Result::kSequenceTaken,
                          Result::kDuplicate));
  EXPECT_THAT(under_test_->conflicts(), IsEmpty());
}

TEST_P(StoreContract, ANewNumberMayBeTakenAsWell) {
  Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  EXPECT_THAT(Save({Renumbered(MakeSubmission(1, "c"), 2)}),
              ElementsAre(Result::kSequenceTaken));
  EXPECT_THAT(Save({Renumbered(MakeSubmission(1, "c"), 3),
                    Renumbered(MakeSubmission(1, "d"), 4)}),
              Each(Result::kStored));
  EXPECT_THAT(Save({MakeSubmission(1, "d"), MakeSubmission(1, "c")}),
              Each(Result::kDuplicate));
  EXPECT_EQ(saved_[0].sequence, 4);
  EXPECT_EQ(saved_[1].sequence, 3);
}

// --- Other numbers of a submission ---

std::vector<std::vector<std::int64_t>> Others(
    Store& store, const std::vector<std::int64_t>& sequences) {
  const auto others = store.FindOtherSequences(sequences);
  EXPECT_TRUE(others.ok()) << others.status();
  return others.ok() ? *others : std::vector<std::vector<std::int64_t>>();
}

// Promises of stores that keep the numbers that callers were told.
class OtherSequences : public StoreContract {};

TEST_P(OtherSequences, AreThoseOfDuplicatesAndReportedNumbers) {
  Save({MakeSubmission(1, "a"), MakeSubmission(2, "b")});
  EXPECT_THAT(Others(store(), {1, 2, 99}), Each(IsEmpty()));
  Save({MakeSubmission(9, "a"), MakeSubmission(5, "a"),
        MakeSubmission(7, "a", "conflict"), MakeSubmission(6, "b"),
        Renumbered(MakeSubmission(2, "c"), 8),
        Renumbered(MakeSubmission(2, "a"), 10),
        Renumbered(MakeSubmission(1, "b", "conflict"), 11)});
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(
        Others(store(), {2, 1, 8, 7, 1, 12}),
        ElementsAre(ElementsAre(6), ElementsAre(2, 5, 9, 10), ElementsAre(2),
                    IsEmpty(), ElementsAre(2, 5, 9, 10), IsEmpty()));
    Open();
  }
  EXPECT_THAT(Others(store(), {}), IsEmpty());
}

TEST_P(OtherSequences, AreLimited) {
  std::vector<Submission> batch;
  for (std::int64_t i = 1; i <= 150; ++i) {
    batch.push_back(MakeSubmission(i, "a"));
  }
  batch.push_back(Renumbered(MakeSubmission(7, "b"), 200));
  Save(batch);
  const auto others = Others(store(), {1, 200});
  ASSERT_THAT(others, SizeIs(2));
  EXPECT_THAT(others[0], SizeIs(Store::kOtherSequencesMax));
  EXPECT_EQ(others[0].front(), 2);
  EXPECT_EQ(others[0].back(), 101);
  EXPECT_THAT(others[1], ElementsAre(7));
}

// --- Errors ---

TEST_P(StoreContract, AStoreThatHangsIsATransientError) {
  const std::vector<Submission> batch = {MakeSubmission(2, "a"),
                                         MakeSubmission(3, "b")};
  Open(absl::ZeroDuration());
  AwaitThat("a batch is saved in time, so that connections are open",
            [&] { return TrySave({MakeSubmission(1, "first")}).ok(); });
  under_test_->Hang();
  const absl::Status status = TrySave(batch);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(IsTransient(status)) << status;
  under_test_->Resume();
  // The batch is stored once, whether or not the first attempt was committed.
  Open();
  Save(batch);
  EXPECT_EQ(saved_[0].sequence, 2);
  EXPECT_EQ(saved_[1].sequence, 3);
  EXPECT_THAT(Sequences(), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadAll().gaps, IsEmpty());
}

TEST_P(StoreContract, CheckTellsAndDoesNotWaitForAStoreThatHangs) {
  Save({MakeSubmission(1, "first")});
  EXPECT_EQ(Find("first")->sequence, 1);
  EXPECT_TRUE(store().Check().ok());
  under_test_->Hang();
  const absl::Time start = absl::Now();
  EXPECT_FALSE(store().Check().ok());
  EXPECT_LT(absl::Now() - start, Store::kCheckMax);

  // Calls that hang must not delay Check.
  std::atomic<int> begun = 0;
  std::vector<std::thread> hanging;
  hanging.emplace_back([&] {
    Saved saved;
    ++begun;
    store()
        .SaveBatch({MakeSubmission(2, "a")}, absl::MakeSpan(&saved, 1))
        .IgnoreError();
  });
  hanging.emplace_back([&] {
    ++begun;
    store().FindReceipts("study", {"first"}).status().IgnoreError();
  });
  AwaitThat("both batches have begun", [&] { return begun == 2; });
  const absl::Time again = absl::Now();
  store().Check().IgnoreError();
  EXPECT_LT(absl::Now() - again, Store::kCheckMax);
  under_test_->Resume();
  for (std::thread& thread : hanging) thread.join();
  AwaitThat("the store is ready", [&] { return store().Check().ok(); });
  Save({MakeSubmission(3, "b")});
  EXPECT_EQ(saved_[0].sequence, 3);
}

TEST_P(StoreContract, LookupsAndCheckDoNotWaitForASave) {
  Save({MakeSubmission(1, "before")});
  under_test_->HoldSaves();
  absl::Status status = absl::UnknownError("not yet");
  std::thread saving([&] {
    Saved saved;
    status =
        store().SaveBatch({MakeSubmission(2, "a")}, absl::MakeSpan(&saved, 1));
  });
  EXPECT_TRUE(under_test_->AwaitHeldSave());
  EXPECT_EQ(Find("before")->sequence, 1);
  EXPECT_THAT(Sequences(), ElementsAre(1));
  EXPECT_TRUE(store().Check().ok());
  // The batch is not durable yet, so the submission is not found. If a call
  // above had waited for the batch, the submission would be found.
  EXPECT_EQ(Find("a"), std::nullopt);
  under_test_->ReleaseSaves();
  saving.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Find("a")->sequence, 2);
}

// --- Reading ---

TEST_P(StoreContract, ReceiptsComeInTheOrderOfTheIds) {
  const Submission a = MakeSubmission(1, "a");
  Save({a, MakeSubmission(2, "b")});
  const auto receipts = store().FindReceipts("study", {"b", "?", "a", "b"});
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  ASSERT_THAT(*receipts, SizeIs(4));
  EXPECT_EQ(receipts->at(0)->sequence, 2);
  EXPECT_EQ(receipts->at(1), std::nullopt);
  EXPECT_EQ(receipts->at(2)->sequence, 1);
  EXPECT_EQ(receipts->at(2)->received_at, a.received_at);
  EXPECT_EQ(receipts->at(2)->content_sha256, a.content_sha256);
  EXPECT_EQ(receipts->at(3)->sequence, 2);
  EXPECT_EQ(store().FindReceipts("other study", {"a"})->at(0), std::nullopt);
  EXPECT_THAT(*store().FindReceipts("study", {}), IsEmpty());
}

// Returns a page as text, e.g. "1 3 ~2 !4 ." for submissions 1 and 3, a
// duplicate 2, a conflict 4, and the end.
std::string Summary(Store& store, std::int64_t after, std::size_t max,
                    std::size_t max_bytes) {
  const auto page = store.Read(after, max, max_bytes);
  EXPECT_TRUE(page.ok()) << page.status();
  if (!page.ok()) return "";
  std::string text;
  for (const Submission& s : page->submissions) {
    absl::StrAppend(&text, s.sequence, " ");
  }
  for (const Gap& gap : page->gaps) {
    absl::StrAppend(&text, gap.conflict ? "!" : "~", gap.sequence, " ");
  }
  return text + (page->last ? "." : "");
}

TEST_P(StoreContract, PagesEndAtTheirLimitsAndHaveTheirGaps) {
  // Submissions need not be in the order of their sequence numbers.
  Save({MakeSubmission(3, "b", "12345"), MakeSubmission(1, "a", "12345")});
  Save({MakeSubmission(2, "a", "12345"), MakeSubmission(4, "a", "other"),
        MakeSubmission(5, "c", "12345"), MakeSubmission(6, "c", "12345")});
  EXPECT_EQ(Summary(store(), 0, 10, 100), "1 3 5 ~2 !4 ~6 .");
  EXPECT_EQ(Summary(store(), 0, 3, 100), "1 3 5 ~2 !4 ~6 .");
  EXPECT_EQ(Summary(store(), 0, 2, 100), "1 3 ~2 ");
  EXPECT_EQ(Summary(store(), 0, 1, 100), "1 ");
  EXPECT_EQ(Summary(store(), 1, 1, 100), "3 ~2 ");
  EXPECT_EQ(Summary(store(), 3, 1, 100), "5 !4 ~6 .");
  EXPECT_EQ(Summary(store(), 0, 10, 15), "1 3 5 ~2 !4 ~6 .");
  EXPECT_EQ(Summary(store(), 0, 10, 14), "1 3 ~2 ");
  EXPECT_EQ(Summary(store(), 0, 10, 10), "1 3 ~2 ");
  EXPECT_EQ(Summary(store(), 0, 10, 9), "1 ");
  EXPECT_EQ(Summary(store(), 0, 10, 0), "1 ") << "the first always fits";
  EXPECT_EQ(Summary(store(), 5, 10, 100), "~6 .");
  EXPECT_EQ(Summary(store(), 6, 10, 100), ".");
}

TEST_P(StoreContract, PagesJoinWithoutLossOrRepetition) {
  std::vector<std::int64_t> expected;
  for (std::int64_t batch = 0; batch < 6; ++batch) {
    std::vector<Submission> submissions;
    for (std::int64_t i = 0; i < 50; ++i) {
      const std::int64_t sequence = 1 + batch * 100 + i * 2;
      submissions.push_back(MakeSubmission(sequence, absl::StrCat(sequence)));
      expected.push_back(sequence);
    }
    ASSERT_THAT(Save(submissions), Each(Result::kStored));
  }
  std::vector<std::int64_t> read;
  for (bool last = false; !last && read.size() <= expected.size();) {
    const auto page = store().Read(read.empty() ? 0 : read.back(), 7, 1000);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Submission& s : page->submissions) read.push_back(s.sequence);
    EXPECT_THAT(page->gaps, IsEmpty()) << "a number never used is no gap";
    last = page->last;
  }
  EXPECT_THAT(read, ElementsAreArray(expected));
}

TEST_P(StoreContract, LastSequenceIsTheHighestThatWasUsed) {
  Save({MakeSubmission(7, "a"), MakeSubmission(3, "b")});
  EXPECT_EQ(*store().LastSequence(), 7);
  Open();
  EXPECT_EQ(*store().LastSequence(), 7);
  Save({MakeSubmission(9, "a")});
  EXPECT_EQ(*store().LastSequence(), 9) << "a gap is a used sequence";
  Save({MakeSubmission(12, "a", "other")});
  Open();
  EXPECT_EQ(*store().LastSequence(), 12);
  EXPECT_THAT(Save({MakeSubmission(13, "c")}), ElementsAre(Result::kStored));
}

TEST_P(StoreContract, NumbersOfAnotherServerAreNotNumbersOfThisServer) {
  const std::int64_t others = std::int64_t{3} << 40;
  Save({MakeSubmission(7, "a"), MakeSubmission(others + 5, "b"),
        MakeSubmission(others + 6, "a")});
  EXPECT_EQ(*store().LastSequence(), 7);
  EXPECT_THAT(Sequences(), ElementsAre(7, others + 5));
  EXPECT_THAT(Save({MakeSubmission(others + 6, "c")}),
              ElementsAre(Result::kSequenceTaken));
}

// --- Several threads ---

TEST_P(StoreContract, CallersWithOneIdAndContentGetOneRecord) {
  constexpr int kThreads = 4;
  constexpr int kIds = 25;
  std::atomic<std::int64_t> sequence{0};
  std::mutex mutex;
  std::map<std::string, std::vector<Saved>> outcomes;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kIds; ++i) {
        const std::string id = absl::StrCat("id-", i);
        Saved saved;
        const absl::Status status = store().SaveBatch(
            {MakeSubmission(++sequence, id, id)}, absl::MakeSpan(&saved, 1));
        ASSERT_TRUE(status.ok()) << status;
        const std::lock_guard lock(mutex);
        outcomes[id].push_back(saved);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Sequences(), SizeIs(kIds));
  EXPECT_THAT(ReadAll().gaps, SizeIs((kThreads - 1) * kIds));
  for (const auto& [id, saved] : outcomes) {
    EXPECT_THAT(saved, SizeIs(kThreads));
    EXPECT_EQ(std::ranges::count(saved, Result::kStored, &Saved::result), 1);
    EXPECT_EQ(std::ranges::count(saved, Result::kDuplicate, &Saved::result),
              kThreads - 1);
    for (const Saved& one : saved) {
      EXPECT_EQ(one.sequence, Find(id)->sequence);
      EXPECT_EQ(one.received_at, saved[0].received_at);
    }
  }
}

TEST_P(StoreContract, BatchesOfTheSameIdsInAnyOrderStoreEachOnce) {
  constexpr int kThreads = 4;
  constexpr int kIds = 100;
  std::atomic<std::int64_t> sequence{0};
  std::atomic<int> stored{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      SaveTheSameIds(store(), kIds, t % 2 == 0, sequence, stored);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, kIds);
  EXPECT_THAT(Sequences(), SizeIs(kIds));
  EXPECT_THAT(ReadAll().gaps, SizeIs((kThreads - 1) * kIds));
}

INSTANTIATE_TEST_SUITE_P(
    Stores, AnyStoreContract,
    testing::Values(CaseOf<SqliteUnderTest>("sqlite"),
                    CaseOf<PostgresUnderTest>("postgres"),
                    CaseOf<DatastoreUnderTest>("datastore"),
                    CaseOf<DiscardUnderTest>("discard")),
    NameOf);
INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContract,
    testing::Values(CaseOf<SqliteUnderTest>("sqlite"),
                    CaseOf<PostgresUnderTest>("postgres"),
                    CaseOf<DatastoreUnderTest>("datastore")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(Stores, OtherSequences,
                         testing::Values(CaseOf<SqliteUnderTest>("sqlite"),
                                         CaseOf<PostgresUnderTest>("postgres")),
                         NameOf);

}  // namespace
}  // namespace sluice

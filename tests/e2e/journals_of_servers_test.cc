// Starts the program with the journal of another server, without a journal that
// it used before, and with a journal to adopt.

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/path.h"
#include "base/sequence_series.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/ingestion_server.h"
#include "server/submissions/decode.h"
#include "server/submissions/number_reserve.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "stores/journal.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/submit_to_program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using v1::Receipt;

constexpr std::int64_t kBlock = NumberReserve::kBlock;

class JournalsOfServers : public testing::Test {
 protected:
  // Returns the configuration of a pool with this queue.
  std::string Config(const std::string& queue) const {
    return absl::StrCat("store: {kind: sqlite, path: ", store_,
                        "}\npools: {clinical: {queue: ", queue,
                        ", workers: {min: 1, max: 1}}}\n"
                        "methods: {default: {pool: clinical, on_full: block, "
                        "ack: queued, allow_loss: true}}\n");
  }
  std::string JournalConfigOf(const std::string& name) const {
    return Config(absl::StrCat("{kind: journal, path: ", folder_ / name, "}"));
  }

  static void Stop(Sluice& sluice) {
    sluice.program().AwaitErr("serving: ");
    sluice.program().Signal(SIGTERM);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0) << sluice.program().err();
  }

  // Leaves a store and an empty journal.
  void StartOnce(const std::string& name) const {
    Sluice sluice(JournalConfigOf(name));
    Stop(sluice);
  }

  // Leaves `count` submissions in the journal of a server that was killed.
  void LeaveQueued(const std::string& name, int count) const {
    Sluice sluice(JournalConfigOf(name));
    sluice.port();
    Shell holder(store_);
    holder.Run("BEGIN IMMEDIATE");
    for (int i = 1; i <= count; ++i)
      SubmitTo(sluice, absl::StrCat("queued-", i));
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
    holder.Run("ROLLBACK");
  }

  // Creates a journal with entries for the ids "old-1", "old-2" and so on, and
  // with numbers from `first` on, as another server would leave it.
  void MakeJournal(const std::string& name, std::int64_t first,
                   int count) const {
    auto journal = Journal::Open(folder_ / name);
    ASSERT_TRUE(journal.ok()) << journal.status();
    std::vector<JournalEntry> entries;
    for (int i = 1; i <= count; ++i) {
      const std::string id = absl::StrCat("old-", i);
      JournalEntry entry = {.method = "Submit", .submission = {}};
      ReceivedSubmission& submission = entry.submission;
      submission.sequence = first + i - 1;
      submission.study_id = "study";
      submission.submission_id = id;
      submission.site_id = "site";
      submission.content = MakeSubmit(id).SerializeAsString();
      submission.content_sha256 = Sha256(submission.content);
      submission.received_at = absl::FromUnixSeconds(1'700'000'000 + i);
      entries.push_back(std::move(entry));
    }
    const absl::Status appended = AppendGroup(**journal, entries);
    ASSERT_TRUE(appended.ok()) << appended;
  }

  // Returns the path as messages have it.
  std::string PathOf(const std::string& name) const {
    return NormalPath(folder_ / name);
  }

  // Moves all files of a journal.
  void Move(const std::string& from, const std::string& to) const {
    for (const char* suffix : {"", "-wal", "-shm", ".state"}) {
      const std::string path = folder_ / from + suffix;
      if (!std::filesystem::exists(path)) continue;
      std::filesystem::rename(path, folder_ / to + suffix);
    }
  }

  void ExpectRefused(const std::string& config,
                     const std::vector<std::string>& words) const {
    Sluice sluice(config);
    EXPECT_EQ(sluice.program().Wait().exit_code, 1);
    for (const std::string& word : words) {
      EXPECT_THAT(sluice.program().err(), HasSubstr(word));
    }
  }

  std::int64_t Count(const std::string& where) const {
    const auto rows = Shell(store_).Run(
        absl::StrCat("SELECT count(*) FROM submissions WHERE ", where));
    return std::stoll(rows.at(0).at(0));
  }
  // Waits until the program serves and has stored `count` submissions.
  void AwaitStored(Sluice& sluice, std::int64_t count) const {
    sluice.program().AwaitErr("serving: ");
    AwaitStored(count);
  }
  void AwaitStored(std::int64_t count) const {
    AwaitThat(absl::StrCat(count, " submissions are stored"),
              [&] { return Count("true") == count; });
  }

  const TempFolder folder_;
  const std::string store_ = folder_ / "sluice.db";
};

TEST_F(JournalsOfServers, AForeignJournalStopsTheStartAndIsAdopted) {
  StartOnce("journal.db");
  const std::int64_t first = BeginOfSeries(3) + 1;
  MakeJournal("foreign.db", first, 10);
  ExpectRefused(
      JournalConfigOf("foreign.db"),
      {"pools.clinical.queue.path: ",
       "a journal of server 3, and this is server 0", "--adopt-journal"});
  {
    Sluice sluice(JournalConfigOf("journal.db"),
                  {"--adopt-journal", folder_ / "foreign.db"});
    // Numbers of another series do not raise this server's numbers.
    EXPECT_EQ(SubmitTo(sluice, "new"), 1);
    AwaitStored(sluice, 11);
    EXPECT_THAT(sluice.program().err(), HasSubstr("adopted a journal"));
    Stop(sluice);
  }
  EXPECT_EQ(Count(absl::StrCat("sequence BETWEEN ", first, " AND ", first + 9)),
            10);
  // The own journal does not look foreign now.
  Sluice sluice(JournalConfigOf("journal.db"));
  EXPECT_EQ(SubmitTo(sluice, "next"), 2);
  Stop(sluice);
}

TEST_F(JournalsOfServers, ANewJournalInPlaceOfALostOneStopsTheStart) {
  LeaveQueued("journal.db", 5);
  Move("journal.db", "lost.db");
  ExpectRefused(
      JournalConfigOf("journal.db"),
      {"pools.clinical.queue.path: the pool used journal ",
       PathOf("journal.db"), "the file at this path is another journal",
       "--accept-damage"});
  {
    Sluice sluice(JournalConfigOf("journal.db"), {"--accept-damage"});
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(), HasSubstr("journal missing: accepted"));
  }
  // Numbers continue after the reserved numbers, also after another start.
  {
    Sluice sluice(JournalConfigOf("journal.db"));
    EXPECT_EQ(SubmitTo(sluice, "new"), kBlock + 1);
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(), Not(HasSubstr("missing")));
  }
  // The lost journal turns up.
  Sluice sluice(JournalConfigOf("journal.db"),
                {"--adopt-journal", folder_ / "lost.db"});
  AwaitStored(sluice, 6);
  EXPECT_EQ(SubmitTo(sluice, "next"), kBlock + 2);
  Stop(sluice);
}

TEST_F(JournalsOfServers, ARestartSkipsNoNumbers) {
  StartOnce("journal.db");
  {
    Sluice sluice(JournalConfigOf("journal.db"));
    EXPECT_EQ(SubmitTo(sluice, "1"), 1);
    AwaitStored(sluice, 1);
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
  }
  Sluice sluice(JournalConfigOf("journal.db"));
  EXPECT_EQ(SubmitTo(sluice, "2"), 2);
  Stop(sluice);
}

TEST_F(JournalsOfServers, AnInterruptedAdoptionIsRepeated) {
  constexpr int kEntries = 600;
  constexpr int kTaken = 300;
  MakeJournal("old.db", 1, kEntries);
  const sluice::Config config = [&] {
    sluice::Config made = sluice::JournalConfig(folder_);
    made.drain_timeout = absl::Seconds(30);
    return made;
  }();
  const auto start = [&](int fail_at) {
    auto store = SqliteStore::Open({.path = store_}, SameContentOfKind);
    EXPECT_TRUE(store.ok()) << store.status();
    int groups = 0;
    return IngestionServer::Start(
        {.config = config,
         .store = *std::move(store),
         .step = {},
         .adopt_journals = fail_at == 0
                               ? std::vector<std::string>()
                               : std::vector<std::string>{folder_ / "old.db"},
         .adoption_copied = [groups, fail_at]() mutable {
           return ++groups == fail_at ? absl::AbortedError("killed")
                                      : absl::OkStatus();
         }});
  };
  {
    // Another submission takes the first numbers.
    auto server = start(/*fail_at=*/0);
    ASSERT_TRUE(server.ok()) << server.status();
    grpc::ClientContext context;
    v1::ImportPatientsRequest request;
    request.set_study_id("study");
    for (int i = 0; i < kTaken; ++i) {
      request.add_records()->set_record_id(absl::StrCat("new-", i));
    }
    v1::ImportPatientsResponse response;
    const auto stub = v1::Ingestion::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*server)->port()),
                            grpc::InsecureChannelCredentials()));
    ASSERT_TRUE(stub->ImportPatients(&context, request, &response).ok());
    AwaitStored(kTaken);
    (*server)->Drain();
  }
  for (const int fail_at : {1, 2}) {
    const auto server = start(fail_at);
    EXPECT_EQ(server.status().code(), absl::StatusCode::kAborted);
  }
  auto server = start(/*fail_at=*/1'000'000);
  ASSERT_TRUE(server.ok()) << server.status();
  AwaitStored(kTaken + kEntries);
  const DrainReport report = (*server)->Drain();
  EXPECT_EQ(report.journaled, 0u);
  EXPECT_EQ(Count("submission_id LIKE 'old-%'"), kEntries);
  EXPECT_EQ(Count(absl::StrCat("submission_id LIKE 'old-%' AND sequence <= ",
                               kTaken)),
            0);
}

TEST_F(JournalsOfServers, AnOldDiskWhoseNumbersAreTakenIsStored) {
  constexpr int kEntries = 100;
  {
    Sluice sluice(JournalConfigOf("journal.db"));
    for (int i = 1; i <= kEntries; ++i) {
      EXPECT_EQ(SubmitTo(sluice, absl::StrCat("new-", i)), i);
    }
    AwaitStored(kEntries);
    Stop(sluice);
  }
  MakeJournal("old.db", 1, kEntries);
  {
    Sluice sluice(JournalConfigOf("journal.db"),
                  {"--adopt-journal", folder_ / "old.db"});
    AwaitStored(2 * kEntries);
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(), Not(HasSubstr("quarantined:")));
  }
  auto store = SqliteStore::Open({.path = store_}, SameContentOfKind);
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<std::string> ids;
  for (int i = 1; i <= kEntries; ++i) ids.push_back(absl::StrCat("old-", i));
  const auto receipts = (*store)->FindReceipts("study", ids);
  ASSERT_TRUE(receipts.ok()) << receipts.status();
  std::vector<std::int64_t> sequences;
  for (const auto& receipt : *receipts) {
    ASSERT_TRUE(receipt.has_value());
    EXPECT_GT(receipt->sequence, kEntries);
    sequences.push_back(receipt->sequence);
  }
  const auto others = (*store)->FindOtherSequences(sequences);
  ASSERT_TRUE(others.ok()) << others.status();
  for (int i = 1; i <= kEntries; ++i) {
    EXPECT_THAT((*others)[static_cast<std::size_t>(i - 1)], ElementsAre(i));
  }
}

TEST_F(JournalsOfServers, AChangedConfigurationStrandsNothing) {
  LeaveQueued("journal.db", 50);
  const std::vector<std::string> words = {
      "pools.clinical.queue.path: the pool used journal ", PathOf("journal.db"),
      "50 entries and 0 quarantined",
      absl::StrCat("--adopt-journal ", PathOf("journal.db"))};
  ExpectRefused(Config("{kind: memory}"), words);
  ExpectRefused(JournalConfigOf("other.db"), words);
  ExpectRefused(Config("{kind: memory}"), words);
  {
    Sluice sluice(JournalConfigOf("other.db"),
                  {"--adopt-journal", folder_ / "journal.db"});
    AwaitStored(sluice, 50);
    EXPECT_EQ(SubmitTo(sluice, "new"), 51);
    Stop(sluice);
  }
  Sluice sluice(JournalConfigOf("other.db"));
  Stop(sluice);
}

// Two pools with the journals PREFIX-a.db and PREFIX-b.db.
class TwoJournals : public JournalsOfServers {
 protected:
  std::string TwoPools(const std::string& prefix) const {
    const auto pool = [&](const char* name) {
      return absl::StrCat("{queue: {kind: journal, path: ",
                          folder_ / absl::StrCat(prefix, "-", name, ".db"),
                          "}, workers: {min: 1, max: 1}}");
    };
    return absl::StrCat(
        "store: {kind: sqlite, path: ", store_,
        "}\npools: {clinical: ", pool("a"), ", imports: ", pool("b"),
        "}\nmethods:\n"
        "  default: {pool: clinical, on_full: block, ack: queued,"
        " allow_loss: true}\n"
        "  sluice.v1.Ingestion/ImportPatients: {pool: imports,"
        " on_full: block, ack: queued}\n");
  }
};

TEST_F(TwoJournals, ThatAreMissingAreAdoptedTogether) {
  {
    Sluice sluice(TwoPools("old"));
    sluice.port();
    Shell holder(store_);
    holder.Run("BEGIN IMMEDIATE");
    SubmitTo(sluice, "1");
    grpc::ClientContext context;
    v1::ImportPatientsRequest request;
    request.set_study_id("study");
    request.add_records()->set_record_id("2");
    v1::ImportPatientsResponse response;
    EXPECT_TRUE(v1::Ingestion::NewStub(sluice.Connect())
                    ->ImportPatients(&context, request, &response)
                    .ok());
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
    holder.Run("ROLLBACK");
  }
  ExpectRefused(TwoPools("new"),
                {"pools.clinical.queue.path", PathOf("old-a.db"),
                 "pools.imports.queue.path", PathOf("old-b.db")});
  {
    Sluice sluice(TwoPools("new"), {"--adopt-journal", folder_ / "old-a.db"});
    EXPECT_EQ(sluice.program().Wait().exit_code, 1);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr(PathOf("old-b.db")),
                      Not(HasSubstr(PathOf("old-a.db")))));
  }
  {
    Sluice sluice(TwoPools("new"), {"--adopt-journal", folder_ / "old-a.db",
                                    "--adopt-journal", folder_ / "old-b.db"});
    AwaitStored(sluice, 2);
    EXPECT_EQ(SubmitTo(sluice, "new"), 3);
    Stop(sluice);
  }
  Sluice sluice(TwoPools("new"));
  Stop(sluice);
}

TEST_F(JournalsOfServers, DamagedAndDiscardedEntriesStayInAnAdoptedJournal) {
  StartOnce("journal.db");
  MakeJournal("foreign.db", BeginOfSeries(3) + 1, 5);
  {
    const auto foreign = Journal::Open(folder_ / "foreign.db");
    ASSERT_TRUE(foreign.ok()) << foreign.status();
    ASSERT_TRUE(QuarantineOne(**foreign, 1, "reason", 1).ok());
    ASSERT_TRUE((*foreign)->Discard(BeginOfSeries(3) + 1, "why", "who").ok());
  }
  Shell(folder_ / "foreign.db")
      .Run("UPDATE entries SET content = x'00' WHERE position = 2");
  {
    Sluice sluice(JournalConfigOf("journal.db"),
                  {"--adopt-journal", folder_ / "foreign.db"});
    AwaitStored(sluice, 3);
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr("adopted a journal"), HasSubstr("entries=3"),
                      HasSubstr("damaged entries were not adopted"),
                      HasSubstr("entries=1")));
  }
  const auto foreign = Journal::Open(folder_ / "foreign.db");
  ASSERT_TRUE(foreign.ok()) << foreign.status();
  EXPECT_EQ((*foreign)->unread(), 0u);
  EXPECT_EQ((*foreign)->quarantined(), 1u);
  EXPECT_EQ((*foreign)->damaged(), 1u);
  EXPECT_EQ((*foreign)->ListDiscarded(0, 10)->size(), 1u);
  // The journal is retired, so the next start needs neither it nor the flag.
  Sluice sluice(JournalConfigOf("journal.db"));
  Stop(sluice);
}

TEST_F(JournalsOfServers, AMovedJournalIsRecognised) {
  LeaveQueued("journal.db", 3);
  Move("journal.db", "moved.db");
  Sluice sluice(JournalConfigOf("moved.db"));
  AwaitStored(sluice, 3);
  Stop(sluice);
}

TEST_F(JournalsOfServers, AnEmptyJournalIsRetired) {
  StartOnce("journal.db");
  {
    Sluice sluice(JournalConfigOf("other.db"));
    Stop(sluice);
    EXPECT_THAT(sluice.program().err(),
                AllOf(HasSubstr("info a journal is empty and no longer used"),
                      HasSubstr(PathOf("journal.db"))));
  }
  std::filesystem::remove(folder_ / "journal.db");
  Sluice sluice(JournalConfigOf("other.db"));
  Stop(sluice);
  EXPECT_THAT(sluice.program().err(), Not(HasSubstr("no longer used")));
}

TEST_F(JournalsOfServers, AnInstallationThatRegisteredNothingIsRegistered) {
  LeaveQueued("journal.db", 3);
  Shell(store_).Run("DELETE FROM journals");
  Shell(store_).Run("DELETE FROM servers");
  {
    Sluice sluice(JournalConfigOf("journal.db"));
    AwaitStored(sluice, 3);
    EXPECT_EQ(SubmitTo(sluice, "new"), 4);
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
  }
  Move("journal.db", "lost.db");
  ExpectRefused(JournalConfigOf("journal.db"), {"the pool used journal "});
}

// --- A number that belongs to another submission ---

TEST(TakenNumber, ACallerThatWaitsGetsTheNewNumber) {
  TestServer server(SmallConfig("fail_fast", 10));
  server.store().TakeSequence(1);
  const Receipt receipt = Submit(server, MakeSubmit("1"));
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  EXPECT_EQ(receipt.sequence(), 2);
  EXPECT_EQ(server.store().stored().at(0).reported_sequence, 0);
  const Receipt repeated = Submit(server, MakeSubmit("1"));
  EXPECT_EQ(repeated.disposition(), Receipt::DUPLICATE);
  EXPECT_EQ(repeated.sequence(), 2);
}

TEST(TakenNumber, AnAcknowledgedNumberIsReported) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  server.store().TakeSequence(1);
  server.store().Hold();
  EXPECT_EQ(Submit(server, MakeSubmit("1")).sequence(), 1);
  EXPECT_EQ(Lookup(server, "1").sequence(), 1);
  server.store().Release();
  AwaitStored(server, 1);
  const Submission stored = server.store().stored().at(0);
  EXPECT_EQ(stored.sequence, 2);
  EXPECT_EQ(stored.reported_sequence, 1);
  EXPECT_EQ(Lookup(server, "1").sequence(), 2);
  EXPECT_EQ(Submit(server, MakeSubmit("2")).sequence(), 3);
  AwaitStored(server, 2);
}

TEST_F(JournalsOfServers, AStateFileThatCannotBeReadIsNamedWithItsKey) {
  StartOnce("journal.db");
  std::filesystem::remove(folder_ / "journal.db.state");
  std::filesystem::create_directory(folder_ / "journal.db.state");
  ExpectRefused(JournalConfigOf("journal.db"),
                {"cannot start: pools.clinical.queue.path: ", ".state"});
}

}  // namespace
}  // namespace sluice

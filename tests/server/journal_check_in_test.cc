#include "server/journal_check_in.h"

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/path.h"
#include "base/sequence_series.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/journal.h"
#include "tests/fakes/fake_server_registry.h"
#include "tests/fakes/log_capture.h"
#include "tests/stores/journal_fixture.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using State = FoundJournal::State;

constexpr std::int64_t kServer = 3;

RegisteredJournal MakeRegistered(const std::string& id,
                                 std::int64_t server = kServer,
                                 const std::string& pool = "clinical") {
  return {.id = id,
          .server = server,
          .pool = pool,
          .host = "host-1",
          .path = absl::StrCat("/data/", id, ".db")};
}

OpenJournal MakeOpen(const std::string& id, bool used,
                     std::int64_t last_sequence) {
  return {.journal = MakeRegistered(id),
          .used = used,
          .last_sequence = last_sequence};
}

// --- The decision ---

// A case of the table in journal_check_in.h.
struct CheckInCase {
  std::string name;
  CheckInFacts facts;
  // Words of each error.
  std::vector<std::vector<std::string>> errors = {};
  std::vector<std::string> registered = {};
  std::vector<std::string> retired = {};  // "lost x" or "empty x"
};

void PrintTo(const CheckInCase& each, std::ostream* out) { *out << each.name; }

std::vector<CheckInCase> Cases() {
  const std::int64_t own = BeginOfSeries(kServer) + 7;
  const std::int64_t other = BeginOfSeries(5) + 7;
  const OpenJournal fresh = MakeOpen("new", false, 0);
  const OpenJournal used = MakeOpen("used", true, own);
  const FoundJournal full = {State::kFound, 50, 2};
  const FoundJournal empty = {State::kFound, 0, 0};
  return {
      {"NoJournals", {.server = kServer}},
      {"FirstStart", {.server = kServer, .open = {fresh}}, {}, {"new"}},
      {"VersionBefore", {.server = kServer, .open = {used}}, {}, {"used"}},
      {"AsBefore",
       {.server = kServer,
        .open = {used},
        .registered = {MakeRegistered("used")}}},
      {"InAnotherPool",
       {.server = kServer,
        .open = {used},
        .registered = {MakeRegistered("used", kServer, "imports")}},
       {},
       {"used"}},
      {"AdoptedNumbersAreNotForeign",
       {.server = kServer,
        .open = {MakeOpen("used", true, other)},
        .registered = {MakeRegistered("used")}}},
      {"OfAnotherServer",
       {.server = kServer,
        .open = {MakeOpen("used", false, 0)},
        .registered = {MakeRegistered("used", 5)}},
       {{"pools.clinical.queue.path: /data/used.db", "journal of server 5",
         "this is server 3", "store.server", "--adopt-journal"}}},
      {"OfAnotherServerWithDamageAccepted",
       {.server = kServer,
        .accept_damage = true,
        .open = {used},
        .registered = {MakeRegistered("used", 5)}},
       {{"journal of server 5"}}},
      {"NumbersOfAnotherServer",
       {.server = kServer, .open = {MakeOpen("used", true, other)}},
       {{"pools.clinical.queue.path: ", "journal of server 5",
         "--adopt-journal"}}},
      {"NumbersOfAnotherServerWithoutRegistry",
       {.server = kServer,
        .has_registry = false,
        .open = {MakeOpen("used", true, other), fresh}},
       {{"journal of server 5", "a SQLite or PostgreSQL store"}}},
      {"WithoutRegistry",
       {.server = kServer, .has_registry = false, .open = {used, fresh}}},
      {"NewBesideOthers",
       {.server = kServer,
        .open = {used, fresh},
        .registered = {MakeRegistered("used"), MakeRegistered("there", 5)}},
       {},
       {"new"}},
      {"EmptyInPlaceOfALostOne",
       {.server = kServer,
        .open = {fresh},
        .registered = {MakeRegistered("lost")},
        .found = {{"lost", {State::kMissing, 0, 0}}}},
       {{"pools.clinical.queue.path: ", "journal lost", "host host-1",
         "/data/lost.db", "there is no such file", "--accept-damage",
         "--adopt-journal"}}},
      {"EmptyInPlaceOfALostOneAccepted",
       {.server = kServer,
        .accept_damage = true,
        .open = {fresh},
        .registered = {MakeRegistered("lost")},
        .found = {{"lost", {State::kOther, 0, 0}}}},
       {},
       {"new"},
       {"lost lost"}},
      {"UsedButUnknownInPlaceOfALostOne",
       {.server = kServer,
        .open = {used},
        .registered = {MakeRegistered("lost")},
        .found = {{"lost", {State::kOtherHost, 0, 0}}}},
       {{"/data/used.db was used before, but not by this server",
         "journal lost", "--adopt-journal"},
        {"journal lost", "this host does not have that file"}}},
      {"UsedInAnotherPoolThanTheLostOne",
       {.server = kServer,
        .open = {used},
        .registered = {MakeRegistered("lost", kServer, "imports")},
        .found = {{"lost", {State::kUnreadable, 0, 0}}}},
       {{"pools.imports.queue.path: ", "cannot be read"}}},
      {"QueueInMemory",
       {.server = kServer,
        .registered = {MakeRegistered("full")},
        .found = {{"full", full}}},
       {{"pools.clinical.queue.path: ", "journal full", "/data/full.db",
         "50 entries and 2 quarantined", "--adopt-journal /data/full.db"}}},
      {"PathChangedAndEmpty",
       {.server = kServer,
        .open = {fresh},
        .registered = {MakeRegistered("empty")},
        .found = {{"empty", empty}}},
       {},
       {"new"},
       {"empty empty"}},
      {"BackToAnEarlierJournal",
       {.server = kServer,
        .open = {used},
        .registered = {MakeRegistered("empty")},
        .found = {{"empty", empty}}},
       {},
       {"used"},
       {"empty empty"}},
      {"QuarantineIsNotEmpty",
       {.server = kServer,
        .registered = {MakeRegistered("full")},
        .found = {{"full", {State::kFound, 0, 1}}}},
       {{"0 entries and 1 quarantined"}}},
      {"BeingAdopted",
       {.server = kServer,
        .open = {used},
        .adopted = {"full"},
        .registered = {MakeRegistered("full")}},
       {},
       {"used"}},
      {"AllErrorsAtOnce",
       {.server = kServer,
        .open = {MakeOpen("used", true, other)},
        .registered = {MakeRegistered("a"), MakeRegistered("b"),
                       MakeRegistered("c", 9)},
        .found = {{"a", full}, {"b", {State::kMissing, 0, 0}}}},
       {{"journal of server 5"}, {"journal a"}, {"journal b"}}},
  };
}

class CheckInTest : public testing::TestWithParam<CheckInCase> {};

TEST_P(CheckInTest, DecidesAsTheTableSays) {
  const CheckInCase& each = GetParam();
  const CheckInResult result = CheckIn(each.facts);
  ASSERT_THAT(result.errors, SizeIs(each.errors.size()))
      << absl::StrJoin(result.errors, "\n");
  for (std::size_t i = 0; i < each.errors.size(); ++i) {
    for (const std::string& word : each.errors[i]) {
      EXPECT_THAT(result.errors[i], HasSubstr(word));
    }
  }
  if (!each.errors.empty()) return;
  std::vector<std::string> registered;
  for (const auto& journal : result.to_register) {
    EXPECT_EQ(journal.server, kServer);
    registered.push_back(journal.id);
  }
  EXPECT_EQ(registered, each.registered);
  std::vector<std::string> retired;
  for (const auto& [journal, lost] : result.to_retire) {
    retired.push_back(absl::StrCat(lost ? "lost " : "empty ", journal.id));
  }
  EXPECT_EQ(retired, each.retired);
}

INSTANTIATE_TEST_SUITE_P(Table, CheckInTest, testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

// --- With files ---

class CheckInJournalsTest : public testing::Test {
 protected:
  // Opens the journal `name`, as server kServer does.
  std::unique_ptr<Journal> Open(const std::string& name) {
    auto journal = Journal::Open(folder_ / name, {.series = kServer});
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }

  absl::StatusOr<std::int64_t> CheckIn(const std::string& name,
                                       Journal& journal,
                                       bool accept_damage = false) {
    const JournalOfPool journals[] = {{"clinical", folder_ / name, &journal}};
    return CheckInJournals(
        &registry_, kServer, journals,
        {.accept_damage = accept_damage, .host = "here", .now = absl::Now()});
  }

  // Leaves a registered journal, whose submissions 1 to `entries` are queued.
  std::string Leave(const std::string& name, std::int64_t entries) {
    const auto journal = Open(name);
    EXPECT_TRUE(CheckIn(name, *journal).ok());
    for (std::int64_t i = 1; i <= entries; ++i) {
      AppendRange(*journal, BeginOfSeries(kServer) + i,
                  BeginOfSeries(kServer) + i, "canary");
    }
    return journal->id();
  }

  const TempFolder folder_;
  FakeServerRegistry registry_{kServer};
};

TEST_F(CheckInJournalsTest, RegistersWithAbsolutePathAndHost) {
  const auto journal = Open("journal.db");
  EXPECT_EQ(*CheckIn("journal.db", *journal), 0);
  EXPECT_THAT(*registry_.Journals(),
              ElementsAre(RegisteredJournal{
                  .id = journal->id(),
                  .server = kServer,
                  .pool = "clinical",
                  .host = "here",
                  .path = NormalPath(folder_ / "journal.db")}));
}

TEST_F(CheckInJournalsTest, ALostJournalIsAnErrorUntilItIsAccepted) {
  const std::string lost = Leave("a.db", 0);
  std::filesystem::remove(folder_ / "a.db");
  ASSERT_TRUE(registry_.Reserve(BeginOfSeries(kServer) + 5000).ok());
  {
    const auto journal = Open("b.db");
    EXPECT_THAT(CheckIn("b.db", *journal).status().message(),
                AllOf(HasSubstr(lost), HasSubstr("there is no such file")));
    EXPECT_THAT(*registry_.Journals(), SizeIs(1));
    const LogCapture log;
    EXPECT_EQ(*CheckIn("b.db", *journal, /*accept_damage=*/true),
              BeginOfSeries(kServer) + 5000);
    EXPECT_THAT(log.text(), HasSubstr("journal missing: accepted"));
  }
  EXPECT_THAT(registry_.retired(lost), HasSubstr("--accept-damage"));
  // The next start knows the number although nothing was stored meanwhile.
  const auto journal = Open("b.db");
  EXPECT_EQ(*journal->LastSequence(), BeginOfSeries(kServer) + 5000);
  EXPECT_EQ(*CheckIn("b.db", *journal), 0);
}

TEST_F(CheckInJournalsTest, CountsTheEntriesOfAJournalThatNoPoolUses) {
  Leave("a.db", 3);
  const auto journal = Open("b.db");
  const absl::Status status = CheckIn("b.db", *journal).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("3 entries and 0 quarantined"));
  EXPECT_THAT(status.message(), testing::Not(HasSubstr("canary")));
}

TEST_F(CheckInJournalsTest, AnEmptyJournalIsRetired) {
  const std::string empty = Leave("a.db", 0);
  const auto journal = Open("b.db");
  const LogCapture log;
  EXPECT_EQ(*CheckIn("b.db", *journal), 0);
  EXPECT_THAT(registry_.retired(empty), HasSubstr("empty"));
  EXPECT_THAT(log.text(), AllOf(HasSubstr("[info]"), HasSubstr("a.db")));
}

// A power cut may undo the last writes of the state file.
TEST_F(CheckInJournalsTest, AStateFileThatIsBehindDoesNotMakeAJournalEmpty) {
  const std::string id = Leave("a.db", 0);
  const std::string state = FileBytes(folder_ / "a.db.state");
  Leave("a.db", 2);
  std::ofstream(folder_ / "a.db.state", std::ios::binary) << state;
  const auto journal = Open("b.db");
  EXPECT_THAT(CheckIn("b.db", *journal).status().message(),
              HasSubstr("2 entries"));
  EXPECT_EQ(registry_.retired(id), "");
}

// An adoption has left numbers of another server in the journal.
TEST_F(CheckInJournalsTest, NumbersOfAnAdoptedJournalDoNotStopARestart) {
  Leave("a.db", 2);
  const std::int64_t first = BeginOfSeries(kServer + 2) + 1;
  AppendRange(*Open("a.db"), first, first + 2, "adopted");
  for (int restart = 0; restart < 2; ++restart) {
    const auto journal = Open("a.db");
    EXPECT_EQ(*CheckIn("a.db", *journal), 0);
    EXPECT_EQ(*journal->LastSequence(), BeginOfSeries(kServer) + 2);
  }
}

TEST_F(CheckInJournalsTest, AnotherJournalAtThePathIsNotTheMissingOne) {
  Leave("a.db", 0);
  for (const char* suffix : {"", ".state", "-wal", "-shm"}) {
    std::filesystem::remove(folder_ / absl::StrCat("a.db", suffix));
  }
  const auto journal = Open("a.db");
  EXPECT_THAT(CheckIn("a.db", *journal).status().message(),
              HasSubstr("the file at this path is another journal"));
}

TEST_F(CheckInJournalsTest, ARegistryThatCannotBeReadIsAnError) {
  const auto journal = Open("a.db");
  registry_.FailWith(absl::UnavailableError("away"));
  EXPECT_EQ(CheckIn("a.db", *journal).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice

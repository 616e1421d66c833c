// Short campaigns with the real programs. A correct server passes; a server
// that loses acknowledged submissions is detected. In builds with assertions,
// the server's assertions are checked too: a server that aborts is a breach.

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"
#include "tests/tools/run_tool.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

// Runs a few short rounds.
ToolRun Crash(std::vector<std::string> arguments) {
  const TempFolder folder;
  // Let all users enter the folder, because PostgreSQL runs as another user if
  // this process is root.
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0711));
  arguments.insert(arguments.begin(),
                   {"--rounds=6", "--acks=300", "--dir", folder / "campaign"});
  return RunTool(SLUICE_CRASH, arguments);
}

// Runs until loss is found: a single round may lose nothing by chance.
ToolRun CrashUntilLoss(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--rounds=100", "--check_every=2"});
  return Crash(std::move(arguments));
}

TEST(Campaign, FindsEveryAcknowledgementAfterKill9) {
  const ToolRun run = Crash({"--check_every=3"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("rounds         6 "),
                             HasSubstr("breaches       0")));
  for (const char* method :
       {"Submit ", "SubmitStream", "ImportPatients", "RecordEvents"}) {
    EXPECT_THAT(run.out, HasSubstr(method));
  }
  EXPECT_THAT(run.out, Not(HasSubstr("MISSING")));
}

TEST(Campaign, FindsEveryAcknowledgementOfAJournalAfterKill9) {
  const ToolRun run = Crash({"--journal", "--check_every=3"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("rounds         6 "), HasSubstr("QUEUED"),
                    HasSubstr("breaches       0")));
}

TEST(Campaign, FindsEveryAcknowledgementAlsoWherePostgresIsKilled) {
  const ToolRun run = Crash({"--store=postgres", "--store_kills=100",
                             "--rounds=3", "--check_every=2"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("rounds         3 "), HasSubstr("store killed"),
                    HasSubstr("breaches       0")));
}

const std::vector<std::string> kQuorum = {"--store=postgres", "--standbys=2",
                                          "--servers=3", "--acks=100"};

TEST(Campaign, FindsEveryAcknowledgementAlsoWhereAPrimaryIsLost) {
  std::vector<std::string> arguments = kQuorum;
  arguments.insert(arguments.end(), {"--rounds=4", "--check_every=2"});
  const ToolRun run = Crash(arguments);
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("rounds         4 "), HasSubstr("fault "),
                    HasSubstr("breaches       0")));
}

TEST(Campaign, FindsThatDamageIsNamed) {
  const ToolRun run = Crash({"--damage", "--journal", "--seed=2"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("rounds         6 "), HasSubstr("fault "),
                    HasSubstr("breaches       0")));
}

TEST(Campaign, FindsThatAStoreKeepsNothing) {
  const ToolRun run = CrashUntilLoss({"--store=discard"});
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("is MISSING although"),
                             HasSubstr("was told STORED")));
}

TEST(Campaign, FindsThatAQueueInMemoryIsLost) {
  const ToolRun run = CrashUntilLoss({"--memory_queue"});
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  // The loss may also appear as a sequence number that was assigned twice.
  EXPECT_THAT(run.out, Not(HasSubstr("breaches       0")));
}

// A sanitizer must be the first library of a process, before the preloaded one.
#ifndef SLUICE_SANITIZED

TEST(Campaign, FindsEveryAcknowledgementAfterAPowerCut) {
  const ToolRun run = Crash({"--power_cut"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("that were not synced"),
                             HasSubstr("breaches       0")));
}

// The audit finds the loss, or the server finds it and does not start.
auto NamesALoss(const std::string& acknowledgement) {
  return AnyOf(HasSubstr(acknowledgement), HasSubstr("knows submissions up to"),
               HasSubstr("--accept-damage"));
}

TEST(Campaign, FindsThatADiskThatDoesNotSyncLoses) {
  const ToolRun run = CrashUntilLoss({"--power_cut", "--lying_fsync"});
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  EXPECT_THAT(run.out, NamesALoss("was told STORED"));
}

// With this seed, commits are cancelled in the first round.
TEST(Campaign, FindsThatServersIgnoreTheWarningsOfPostgres) {
  std::vector<std::string> arguments = kQuorum;
  arguments.insert(arguments.end(), {"--mistake=ignored_warnings", "--seed=3"});
  const ToolRun run = CrashUntilLoss(arguments);
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("was told STORED"));
}

TEST(Campaign, FindsThatAJournalOnADiskThatDoesNotSyncLoses) {
  const ToolRun run =
      CrashUntilLoss({"--journal", "--power_cut", "--lying_fsync"});
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  EXPECT_THAT(run.out, NamesALoss("was told QUEUED"));
}

#endif  // SLUICE_SANITIZED

TEST(Campaign, FindsThatAServerDoesNotStart) {
  const ToolRun run = Crash({"--server=/bin/false"});
  EXPECT_EQ(run.exit_code, 1) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("the server does not start"));
}

TEST(Campaign, KnowsItsFlags) {
  EXPECT_EQ(Crash({"--help"}).exit_code, 0);
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--rounds=0"},
                                             {"--store=paper"},
                                             {"--lying_fsync"},
                                             {"--journal", "--memory_queue"},
                                             {"--store_kills=101"},
                                             {"--servers=3"},
                                             {"--damage", "--power_cut"},
                                             {"--mistake=asynchronous"},
                                             {"--acks=x"},
                                             {"something"}}) {
    const ToolRun run = Crash(wrong);
    EXPECT_EQ(run.exit_code, 2) << wrong.front();
    EXPECT_THAT(run.err, HasSubstr("see --help")) << wrong.front();
  }
}

}  // namespace
}  // namespace sluice

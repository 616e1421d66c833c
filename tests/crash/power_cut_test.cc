// Tests that a power cut undoes exactly the writes that were not synced.

#include "tests/crash/power_cut.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/crash/undo_record.h"
#include "tests/stores/store_fixture.h"
#include "tests/tools/run_tool.h"

namespace sluice {
namespace {

class PowerCutTest : public testing::Test {
 protected:
  PowerCutTest() {
    std::filesystem::create_directories(data_);
    std::filesystem::create_directories(undo_);
  }

  std::string Path(const std::string& name) const {
    return absl::StrCat(data_, "/", name);
  }
  void WriteFile(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  std::string ReadFile(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Runs a process that performs the steps on the disk.
  void Run(const std::string& name, const std::vector<std::string>& steps,
           bool lies = false) const {
    std::vector<std::string> arguments = {
        absl::StrCat("LD_PRELOAD=", LYING_DISK),
        absl::StrCat(kDiskDataVariable, "=", data_),
        absl::StrCat(kDiskUndoVariable, "=", undo_)};
    if (lies) arguments.push_back(absl::StrCat(kDiskLiesVariable, "=1"));
    arguments.insert(arguments.end(), {DISK_WRITER, Path(name)});
    arguments.insert(arguments.end(), steps.begin(), steps.end());
    EXPECT_EQ(RunTool("/usr/bin/env", arguments).exit_code, 0);
  }

  // Cuts the power. The first `kept` writes to each file had reached the disk.
  PowerCut Cut(std::size_t kept = 0) const {
    const auto cut =
        CutPower(data_, undo_, [kept](std::size_t) { return kept; });
    EXPECT_TRUE(cut.ok()) << cut.status();
    return cut.value_or(PowerCut());
  }

  const TempFolder folder_;
  const std::string root_ = std::filesystem::canonical(folder_ / ".").string();
  const std::string data_ = absl::StrCat(root_, "/data");
  const std::string undo_ = absl::StrCat(root_, "/undo");
};

// A sanitizer must be the first library of a process, before the preloaded one.
#ifndef SLUICE_SANITIZED

TEST_F(PowerCutTest, TakesBackWhatWasNotSynced) {
  WriteFile("db", "0123456789");
  Run("db", {"write:2:ab", "write:3:xyz", "write:8:longer", "truncate:4",
             "append:tail"});
  EXPECT_EQ(ReadFile("db"), "01axtail");
  const PowerCut cut = Cut();
  EXPECT_EQ(cut.writes, 5U);
  EXPECT_EQ(cut.undone, 5U);
  EXPECT_EQ(ReadFile("db"), "0123456789");
}

TEST_F(PowerCutTest, KeepsWhatWasSynced) {
  for (const std::string sync : {"sync", "datasync"}) {
    WriteFile("db", "0123456789");
    Run("db", {"write:0:AB", "truncate:12", sync, "write:1:xy", "truncate:3"});
    EXPECT_EQ(Cut().undone, 2U) << sync;
    EXPECT_EQ(ReadFile("db"), std::string("AB23456789\0\0", 12)) << sync;
  }
}

TEST_F(PowerCutTest, KeepsOfEachFileItsFirstWritesIfToldTo) {
  WriteFile("db", "0123");
  Run("db", {"write:0:a", "write:1:b", "write:2:c"});
  EXPECT_EQ(Cut(/*kept=*/1).undone, 2U);
  EXPECT_EQ(ReadFile("db"), "a123");
}

TEST_F(PowerCutTest, SyncsOneFileAtATime) {
  Run("db", {"append:db"});
  Run("db-wal", {"append:log", "sync"});
  Cut();
  EXPECT_EQ(ReadFile("db"), "");
  EXPECT_EQ(ReadFile("db-wal"), "log");
}

TEST_F(PowerCutTest, LosesWhatWasSyncedWhereTheDiskLies) {
  WriteFile("db", "old");
  Run("db", {"write:0:new", "sync", "append:er", "datasync"}, /*lies=*/true);
  EXPECT_EQ(ReadFile("db"), "newer");
  Cut();
  EXPECT_EQ(ReadFile("db"), "old");
}

TEST_F(PowerCutTest, TakesNoNotOfOneFileForThoseOfItsSuccessor) {
  WriteFile("db-journal", "old");
  Run("db-journal", {"write:0:x", "unlink"});
  WriteFile("db-journal", "next");
  Cut();
  EXPECT_EQ(ReadFile("db-journal"), "next");
}

// Without the locks, another program that reads the database would assume that
// it is alone, and remove the log to which the server still writes.
TEST_F(PowerCutTest, LeavesTheLocksOfTheProcessAsTheyAre) {
  WriteFile("db", "0123");
  Run("db", {"lock", "write:0:a", "truncate:3", "append:b", "sync", "locked"});
}

TEST_F(PowerCutTest, LeavesOtherFilesAlone) {
  std::filesystem::create_directories(data_ + "/inner");
  Run("inner/file", {"append:kept"});
  Run("../beside", {"append:kept"});
  EXPECT_EQ(Cut().writes, 0U);
  EXPECT_EQ(ReadFile("inner/file"), "kept");
  EXPECT_EQ(ReadFile("../beside"), "kept");
}

TEST_F(PowerCutTest, IgnoresARecordThatWasBeingWritten) {
  WriteFile("db", "0123");
  Run("db", {"write:0:a", "write:1:b"});
  const std::string log = undo_ + "/db";
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 1);
  EXPECT_EQ(Cut().writes, 1U);
  EXPECT_EQ(ReadFile("db"), "0b23");
}

#endif  // SLUICE_SANITIZED

TEST_F(PowerCutTest, ForgetsSharedMemoryAndItsOwnLogs) {
  WriteFile("db-shm", "shared");
  std::ofstream(undo_ + "/gone") << std::string(sizeof(UndoRecord), '\0');
  EXPECT_EQ(Cut().writes, 1U);
  EXPECT_FALSE(std::filesystem::exists(Path("db-shm")));
  EXPECT_TRUE(std::filesystem::is_empty(undo_));
}

}  // namespace
}  // namespace sluice

#include "server/config_reload.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/log_capture.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::Not;

// --- The decision to load a file ---

TEST(ConfigWatch, LoadsATextThatIsTheSameAtTwoPolls) {
  ConfigWatch watch("old");
  EXPECT_FALSE(watch.Look("old"));
  EXPECT_FALSE(watch.Look("n"));
  EXPECT_FALSE(watch.Look("new")) << "it is being written";
  EXPECT_TRUE(watch.Look("new"));
  watch.Loaded("new");
  EXPECT_FALSE(watch.Look("new"));
  EXPECT_FALSE(watch.Look("new"));
}

TEST(ConfigWatch, DoesNotLoadTheTextThatIsLoaded) {
  ConfigWatch watch("old");
  EXPECT_FALSE(watch.Look("new"));
  EXPECT_FALSE(watch.Look("old"));
  EXPECT_FALSE(watch.Look("old"));
}

TEST(ConfigWatch, NoticesAMissingFileAndItsReturn) {
  ConfigWatch watch("old");
  EXPECT_FALSE(watch.Look(std::nullopt));
  EXPECT_TRUE(watch.Look(std::nullopt));
  watch.Loaded(std::nullopt);
  EXPECT_FALSE(watch.Look(std::nullopt));
  EXPECT_FALSE(watch.Look("old"));
  EXPECT_TRUE(watch.Look("old"));
}

TEST(ConfigWatch, DoesNotLoadWhatWasLoadedOnRequest) {
  ConfigWatch watch("old");
  EXPECT_FALSE(watch.Look("new"));
  watch.Loaded("new");
  EXPECT_FALSE(watch.Look("new"));
}

// --- Loading a file ---

// Returns a configuration with `capacity` places in the queue.
std::string Yaml(int capacity, const std::string& more = "") {
  return absl::StrCat(
      "listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\ncompletion_queues: 1\n"
      "pools: {clinical: {queue: {capacity: ",
      capacity, "}}}\n", more);
}

Config Parse(const std::string& yaml) {
  ConfigErrors errors;
  Config config = ParseConfig(yaml, &errors);
  EXPECT_TRUE(errors.empty());
  return config;
}

// A server and its configuration file, which has a capacity of 1 at first.
class ConfigReloadTest : public testing::Test {
 protected:
  ConfigReloadTest() { Write(Yaml(1)); }

  void Write(const std::string& text) const { std::ofstream(path_) << text; }
  std::size_t capacity() const { return server_.view().capacity; }
  // Polls twice: the first poll sees a change, the second sees that the writer
  // has finished.
  void LookTwice() {
    reload_.Look();
    reload_.Look();
  }
  std::string metrics() const { return server_.Get("/metrics"); }

  const TempFolder folder_;
  const std::string path_ = folder_ / "config.yaml";
  LogCapture log_;
  TestServer server_{Parse(Yaml(1))};
  ConfigReload reload_{path_, Yaml(1), &server_.server()};
};

TEST_F(ConfigReloadTest, AFileThatDoesNotChangeIsNotLoaded) {
  LookTwice();
  EXPECT_THAT(metrics(),
              HasSubstr("sluice_config_reloads_total{result=\"success\"} 0\n"));
  EXPECT_THAT(metrics(), HasSubstr("sluice_config_last_reload_successful 1\n"));
}

TEST_F(ConfigReloadTest, AFileThatIsRewrittenIsLoaded) {
  Write(Yaml(2));
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
  LookTwice();
  EXPECT_THAT(metrics(),
              HasSubstr("sluice_config_reloads_total{result=\"success\"} 1\n"));
}

TEST_F(ConfigReloadTest, AFileIsReadOnlyIfItsStampHasChanged) {
  const auto long_ago =
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(path_, long_ago);
  reload_.Look();
  Write(Yaml(2));
  std::filesystem::last_write_time(path_, long_ago);
  LookTwice();
  EXPECT_EQ(capacity(), 1u) << "it was read";
  std::filesystem::last_write_time(path_, long_ago + std::chrono::seconds(1));
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
}

// Two writes may fall into one tick of the file system's clock. The file's time
// is in the future, so that the file counts as recent however slow the test is.
TEST_F(ConfigReloadTest, ARecentFileIsReadAlthoughItsStampIsTheSame) {
  const auto new_time =
      std::filesystem::file_time_type::clock::now() + std::chrono::hours(1);
  std::filesystem::last_write_time(path_, new_time);
  reload_.Look();
  Write(Yaml(2));
  std::filesystem::last_write_time(path_, new_time);
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
}

TEST(FileStamp, IsTrustedOnceTheClockHasGoneOn) {
  const absl::Time modified = absl::FromUnixSeconds(1'000'000);
  const FileStamp stamp = {.modified = modified};
  EXPECT_FALSE(stamp.SettledAt(modified));
  EXPECT_FALSE(stamp.SettledAt(modified + absl::Seconds(2)));
  EXPECT_TRUE(stamp.SettledAt(modified + absl::Seconds(3)));
  EXPECT_FALSE(stamp.SettledAt(modified - absl::Hours(1)))
      << "a clock that is wrong";
}

// Editors replace files by a rename. The new file here has the size and the
// time of the old file.
TEST_F(ConfigReloadTest, AFileReplacedByRenameIsLoaded) {
  const std::string next = folder_ / "next.yaml";
  std::ofstream(next) << Yaml(2);
  std::filesystem::last_write_time(next,
                                   std::filesystem::last_write_time(path_));
  std::filesystem::rename(next, path_);
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
}

// Kubernetes points a symlink at another folder: config.yaml ->
// ..data/config.yaml, ..data -> a folder.
TEST_F(ConfigReloadTest, ASymlinkThatIsTurnedIsFollowed) {
  for (int i = 1; i <= 2; ++i) {
    const std::string version = folder_ / absl::StrCat("version", i);
    std::filesystem::create_directory(version);
    std::ofstream(version + "/config.yaml") << Yaml(i);
  }
  std::filesystem::create_symlink("version1", folder_ / "data");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("data/config.yaml", path_);
  ConfigReload reload(path_, Yaml(1), &server_.server());
  reload.Look();
  std::filesystem::create_symlink("version2", folder_ / "data_new");
  std::filesystem::rename(folder_ / "data_new", folder_ / "data");
  reload.Look();
  reload.Look();
  EXPECT_EQ(capacity(), 2u);
}

TEST_F(ConfigReloadTest, AReloadOnRequestLoadsAtOnce) {
  Write(Yaml(2));
  reload_.Reload();
  EXPECT_EQ(capacity(), 2u);
  LookTwice();
  EXPECT_THAT(metrics(),
              HasSubstr("sluice_config_reloads_total{result=\"success\"} 1\n"));
}

TEST_F(ConfigReloadTest, AnInvalidFileChangesNothingAndEachErrorIsLoggedOnce) {
  Write(Yaml(2, "colour: blue\ndrain: {timeout: soon}\n"));
  LookTwice();
  LookTwice();
  EXPECT_EQ(capacity(), 1u);
  EXPECT_THAT(metrics(), HasSubstr("sluice_config_last_reload_successful 0\n"));
  EXPECT_THAT(metrics(),
              HasSubstr("sluice_config_reloads_total{result=\"failure\"} 1\n"));
  EXPECT_THAT(log_.text(), HasSubstr(path_ + ":5: colour: "));
  EXPECT_THAT(log_.text(), HasSubstr(path_ + ":6: drain.timeout: "));
}

TEST_F(ConfigReloadTest, AnIncompleteFileIsReportedAndTheCompleteOneLoaded) {
  Write("pools: {clinical: {queue: {cap");
  LookTwice();
  EXPECT_THAT(metrics(), HasSubstr("sluice_config_last_reload_successful 0\n"));
  Write(Yaml(2));
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
  EXPECT_THAT(metrics(), HasSubstr("sluice_config_last_reload_successful 1\n"));
}

TEST_F(ConfigReloadTest, NamesKeysThatNeedARestartAndAppliesTheOthers) {
  Write(Yaml(2, "limits: {nesting: 50}\nadmin: 127.0.0.1:0\n"));
  LookTwice();
  EXPECT_EQ(capacity(), 2u);
  EXPECT_THAT(log_.text(), HasSubstr("limits.nesting needs a restart"));
  EXPECT_THAT(log_.text(), HasSubstr("admin needs a restart"));
  EXPECT_THAT(metrics(), HasSubstr("sluice_config_last_reload_successful 1\n"));
}

TEST_F(ConfigReloadTest, AMissingFileChangesNothing) {
  std::filesystem::remove(path_);
  LookTwice();
  EXPECT_EQ(capacity(), 1u);
  EXPECT_THAT(log_.text(), HasSubstr(path_ + ": cannot be read"));
}

// Opening a pipe that has no writer would block for ever.
TEST_F(ConfigReloadTest, APipeIsNotOpenedAgain) {
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ConfigReload reload(pipe, Yaml(1), &server_.server());
  reload.Look();
  reload.Look();
  EXPECT_THAT(log_.text(), Not(HasSubstr("reload")));
  reload.Reload();
  EXPECT_THAT(log_.text(), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace sluice

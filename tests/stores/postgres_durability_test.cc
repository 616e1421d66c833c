#include "stores/postgres_durability.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr PostgresDurability kSafe = {.replicates = true};

class PostgresDurabilityWatchTest : public testing::Test {
 protected:
  StoreLog Log() {
    return [this](StoreSeverity severity, const std::string& message) {
      (severity == StoreSeverity::kError ? errors_ : others_)
          .push_back(message);
    };
  }
  static std::vector<std::string> Present(
      const PostgresDurabilityWatch& watch) {
    std::vector<std::string> names;
    for (const StoreHazard& hazard : watch.hazards()) {
      if (hazard.present) names.push_back(hazard.name);
    }
    return names;
  }

  std::vector<std::string> errors_;
  std::vector<std::string> others_;
};

TEST_F(PostgresDurabilityWatchTest, AServerWithoutStandbysIsNoHazard) {
  PostgresDurabilityWatch watch(/*require_replication=*/false, Log());
  EXPECT_EQ(watch.hazards().size(), 4u);
  EXPECT_TRUE(watch.Observe({}).ok());
  EXPECT_THAT(Present(watch), IsEmpty());
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(PostgresDurabilityWatchTest, LogsEachChangeOnce) {
  PostgresDurabilityWatch watch(/*require_replication=*/false, Log());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Observe(kSafe).ok());
  EXPECT_THAT(errors_, IsEmpty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Observe({}).ok());
  EXPECT_THAT(errors_,
              ElementsAre(HasSubstr("synchronous_standby_names is empty")));
  EXPECT_THAT(Present(watch), ElementsAre("replication_off"));
  EXPECT_THAT(others_, IsEmpty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Observe(kSafe).ok());
  EXPECT_THAT(Present(watch), IsEmpty());
  EXPECT_THAT(others_, ElementsAre(HasSubstr("no longer")));
  EXPECT_TRUE(watch.Observe({}).ok());
  EXPECT_EQ(errors_.size(), 2u);
}

TEST_F(PostgresDurabilityWatchTest, WatchesEverySetting) {
  PostgresDurabilityWatch watch(/*require_replication=*/false, Log());
  EXPECT_TRUE(watch
                  .Observe({.fsync = false,
                            .full_page_writes = false,
                            .synchronous_commit = false})
                  .ok());
  EXPECT_THAT(Present(watch), ElementsAre("fsync_off", "full_page_writes_off",
                                          "synchronous_commit_off"));
  EXPECT_THAT(errors_, ElementsAre(HasSubstr("fsync is off"),
                                   HasSubstr("full_page_writes is off"),
                                   HasSubstr("synchronous_commit is not on")));
}

TEST_F(PostgresDurabilityWatchTest, RequiredReplicationRefusesEveryHazard) {
  PostgresDurabilityWatch watch(/*require_replication=*/true, Log());
  EXPECT_TRUE(watch.Observe(kSafe).ok());
  std::vector<PostgresDurability> hazards(4, kSafe);
  hazards[0].replicates = false;
  hazards[1].fsync = false;
  hazards[2].full_page_writes = false;
  hazards[3].synchronous_commit = false;
  for (const PostgresDurability& hazard : hazards) {
    EXPECT_EQ(watch.Observe(hazard).code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(watch.Observe(kSafe).ok());
  }
  EXPECT_EQ(errors_.size(), 4u);
  EXPECT_THAT(errors_.front(), HasSubstr("store.require_replication"));
}

TEST_F(PostgresDurabilityWatchTest,
       RequiredReplicationMayBeMissingFromTheStart) {
  PostgresDurabilityWatch watch(/*require_replication=*/true, Log());
  const absl::Status status = watch.Observe({});
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("PostgreSQL"),
                    HasSubstr("synchronous_standby_names is empty")));
  EXPECT_THAT(Present(watch), ElementsAre("replication_off"));
}

}  // namespace
}  // namespace sluice

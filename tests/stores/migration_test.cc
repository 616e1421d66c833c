#include "stores/migration.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/log_capture.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A database whose commits can fail.
class FakeDatabase final : public VersionedDatabase {
 public:
  std::string Name() const override { return "fake"; }
  absl::StatusOr<std::int64_t> Version() override { return version; }
  absl::StatusOr<bool> InTransaction(
      absl::FunctionRef<absl::StatusOr<bool>()> part,
      std::int64_t next_version) override {
    if (commits_left == 0) return absl::UnavailableError("cut");
    --commits_left;
    const auto complete = part();
    if (complete.ok() && *complete) version = next_version;
    rows += 100;
    return complete;
  }
  std::int64_t rows_changed() const override { return rows; }

  std::int64_t version = 1;
  std::int64_t rows = 0;
  int commits_left = 1000;
};

class MigrationTest : public testing::Test {
 protected:
  // Step 1 has one part, step 2 has three, step 3 has one.
  std::vector<MigrationStep> Steps() {
    return {{.from_version = 1, .run = [this] { return Part("1", true); }},
            {.from_version = 2,
             .run = [this] { return Part("2", ++parts_of_2_ == 3); }},
            {.from_version = 3, .run = [this] { return Part("3", true); }}};
  }

  FakeDatabase database_;
  std::vector<std::string> ran_;

 private:
  absl::StatusOr<bool> Part(const std::string& name, bool complete) {
    ran_.push_back(name);
    return complete;
  }

  int parts_of_2_ = 0;
};

TEST_F(MigrationTest, RunsTheStepsFromTheVersionOn) {
  EXPECT_TRUE(Migrate(database_, Steps()).ok());
  EXPECT_THAT(ran_, ElementsAre("1", "2", "2", "2", "3"));
  EXPECT_EQ(database_.version, 4);
  EXPECT_TRUE(Migrate(database_, Steps()).ok());
  EXPECT_EQ(ran_.size(), 5u) << "no step runs again";
}

TEST_F(MigrationTest, TheLogHasEachStep) {
  database_.version = 2;
  LogCapture log;
  ASSERT_TRUE(Migrate(database_, Steps()).ok());
  EXPECT_THAT(log.text(), HasSubstr("migrating: database=fake from_version=2"));
  EXPECT_THAT(log.text(),
              HasSubstr("migrated: database=fake to_version=3 rows=300"));
  EXPECT_THAT(log.text(),
              HasSubstr("migrated: database=fake to_version=4 rows=400"));
}

TEST_F(MigrationTest, GoesOnWhereItStopped) {
  int starts = 0;
  for (absl::Status status = absl::UnavailableError(""); !status.ok();) {
    database_.commits_left = 1;
    status = Migrate(database_, Steps());
    ASSERT_LT(++starts, 10);
  }
  EXPECT_THAT(ran_, ElementsAre("1", "2", "2", "2", "3"));
}

TEST_F(MigrationTest, AFailedStepEndsIt) {
  std::vector<MigrationStep> steps = Steps();
  steps[1].run = [] { return absl::DataLossError("malformed"); };
  EXPECT_EQ(Migrate(database_, steps).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(database_.version, 2);
}

TEST_F(MigrationTest, AVersionWithoutAStepIsRefused) {
  database_.version = 0;
  const absl::Status status = Migrate(database_, Steps());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ran_, IsEmpty());
}

}  // namespace
}  // namespace sluice

#include "stores/sqlite_schema.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;

class SqliteSchemaTest : public testing::Test {
 protected:
  absl::StatusOr<SqliteConnection> OpenForWriting() {
    return OpenSqliteForWriting(path_, absl::ZeroDuration());
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
};

TEST_F(SqliteSchemaTest, TheWriterIsDurable) {
  absl::StatusOr<SqliteConnection> db = OpenForWriting();
  ASSERT_TRUE(db.ok()) << db.status();
  EXPECT_EQ(*db->QueryText("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(*db->QueryInteger("PRAGMA synchronous"), 2);  // 2 means FULL
  EXPECT_EQ(*db->QueryInteger("PRAGMA foreign_keys"), 1);
  EXPECT_EQ(*db->QueryInteger("PRAGMA page_size"), 16384);
  EXPECT_EQ(*db->QueryInteger("PRAGMA journal_size_limit"), 67108864);
}

TEST_F(SqliteSchemaTest, TheWriterIsDurableWhenOpenedAgain) {
  ASSERT_TRUE(OpenForWriting().ok());
  absl::StatusOr<SqliteConnection> db = OpenForWriting();
  ASSERT_TRUE(db.ok()) << db.status();
  EXPECT_EQ(*db->QueryText("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(*db->QueryInteger("PRAGMA synchronous"), 2);
  EXPECT_EQ(*db->QueryInteger("PRAGMA foreign_keys"), 1);
}

TEST_F(SqliteSchemaTest, TheReaderCannotWrite) {
  ASSERT_TRUE(OpenForWriting().ok());
  absl::StatusOr<SqliteConnection> db =
      OpenSqliteForReading(path_, absl::ZeroDuration());
  ASSERT_TRUE(db.ok()) << db.status();
  EXPECT_EQ(*db->QueryInteger("SELECT count(*) FROM submissions"), 0);
  EXPECT_FALSE(db->Execute("DELETE FROM submissions").ok());
}

TEST_F(SqliteSchemaTest, TheFileSaysWhatItIs) {
  ASSERT_TRUE(OpenForWriting().ok());
  Shell shell(path_);
  EXPECT_EQ(shell.Run("PRAGMA application_id; PRAGMA user_version"),
            (Shell::Rows{{absl::StrCat(kSqliteApplicationId)}, {"1"}}));
}

TEST_F(SqliteSchemaTest, ANewerVersionIsRefusedAndLeftAsItWas) {
  ASSERT_TRUE(OpenForWriting().ok());
  Shell(path_).Run("PRAGMA user_version = 2");
  const std::string before = FileBytes(path_);
  const absl::Status status = OpenForWriting().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer version"));
  EXPECT_EQ(FileBytes(path_), before);
}

TEST_F(SqliteSchemaTest, AnotherApplicationsDatabaseIsLeftAsItWas) {
  Shell(path_).Run("CREATE TABLE theirs (x)");
  const std::string before = FileBytes(path_);
  const absl::Status status = OpenForWriting().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another application"));
  EXPECT_EQ(FileBytes(path_), before);
}

TEST_F(SqliteSchemaTest, AFileThatIsNoDatabaseIsLeftAsItWas) {
  const std::string text = std::string(5000, 'x');
  std::ofstream(path_) << text;
  EXPECT_EQ(OpenForWriting().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(FileBytes(path_), text);
}

TEST_F(SqliteSchemaTest, ADirectoryIsNoDatabase) {
  std::filesystem::create_directory(path_);
  EXPECT_EQ(OpenForWriting().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SqliteSchemaTest, AnEmptyFileBecomesADatabase) {
  std::ofstream(path_).flush();
  EXPECT_TRUE(OpenForWriting().ok());
}

}  // namespace
}  // namespace sluice

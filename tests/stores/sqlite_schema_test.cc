#include "stores/sqlite_schema.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/faulty_disk.h"
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
            (Shell::Rows{{absl::StrCat(kSqliteApplicationId)},
                         {absl::StrCat(kSqliteSchemaVersion)}}));
}

TEST_F(SqliteSchemaTest, ANewerVersionIsRefusedAndLeftAsItWas) {
  ASSERT_TRUE(OpenForWriting().ok());
  Shell(path_).Run(
      absl::StrCat("PRAGMA user_version = ", kSqliteSchemaVersion + 1));
  const std::string before = FileBytes(path_);
  const absl::Status status = OpenForWriting().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer version"));
  EXPECT_EQ(FileBytes(path_), before);
}

// A file of an older version, whose number is the parameter. Migrating it must
// keep everything.
class SqliteMigrationTest : public SqliteSchemaTest,
                            public testing::WithParamInterface<int> {
 protected:
  SqliteMigrationTest() {
    Shell(path_).Run(FileBytes(absl::StrCat(
        SLUICE_SOURCE_DIR "/tests/data/sqlite_v", GetParam(), ".sql")));
  }

  // Returns all rows. Columns that were added later are left out.
  Shell::Rows Everything() {
    return Shell(path_).Run(absl::StrCat(
        "SELECT * FROM submissions ORDER BY sequence;"
        "SELECT hex(content), hex(content_sha256) FROM submissions"
        " ORDER BY sequence;"
        "SELECT sequence, first_sequence, kind, study_id, submission_id,"
        " received_at, sent_at, hex(content_sha256), content_bytes",
        GetParam() > 1 ? ", hex(content)" : "",
        " FROM conflicts ORDER BY sequence;"
        "SELECT sequence, reason FROM gaps ORDER BY sequence;"
        "SELECT * FROM answers ORDER BY sequence, position"));
  }
  std::string Version() {
    return Shell(path_).Run("PRAGMA user_version")[0][0];
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, SqliteMigrationTest, testing::Values(1, 2));

TEST_P(SqliteMigrationTest, KeepsEverything) {
  const Shell::Rows before = Everything();
  EXPECT_EQ(Version(), absl::StrCat(GetParam()));
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(OpenForWriting().ok());
    EXPECT_EQ(Version(), absl::StrCat(kSqliteSchemaVersion));
    EXPECT_EQ(Everything(), before);
    EXPECT_EQ(
        Shell(path_).Run("SELECT count(*), count(content) FROM conflicts"),
        (Shell::Rows{{"4", GetParam() > 1 ? "3" : "0"}}));
    EXPECT_EQ(Shell(path_).Run("SELECT count(first_sequence) FROM gaps"),
              (Shell::Rows{{"0"}}));
  }
}

TEST_P(SqliteMigrationTest, HasTheTablesOfANewFile) {
  ASSERT_TRUE(OpenForWriting().ok());
  const std::string fresh = folder_ / "fresh.db";
  ASSERT_TRUE(OpenSqliteForWriting(fresh, absl::ZeroDuration()).ok());
  const char* const tables =
      "SELECT m.name, t.name, t.type, t.\"notnull\", t.pk"
      " FROM sqlite_schema AS m, pragma_table_info(m.name) AS t"
      " ORDER BY m.name, t.cid;"
      "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'"
      " ORDER BY name";
  EXPECT_EQ(Shell(path_).Run(tables), Shell(fresh).Run(tables));
}

TEST_P(SqliteMigrationTest, AFailedMigrationLeavesTheVersion) {
  const Shell::Rows before = Everything();
  FaultyDisk disk;
  disk.SetFull(true);
  EXPECT_FALSE(OpenForWriting().ok());
  disk.SetFull(false);
  EXPECT_EQ(Version(), absl::StrCat(GetParam()));
  EXPECT_EQ(Everything(), before);
  EXPECT_TRUE(OpenForWriting().ok());
  EXPECT_EQ(Version(), absl::StrCat(kSqliteSchemaVersion));
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

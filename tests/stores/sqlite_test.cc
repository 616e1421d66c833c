#include "stores/sqlite.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SqliteTest : public testing::Test {
 protected:
  SqliteTest()
      : db_(*SqliteConnection::Open(folder_ / "test.db",
                                    absl::ZeroDuration())) {}

  const TempFolder folder_;
  SqliteConnection db_;
};

TEST(SqliteError, TellsWhetherALaterTryMaySucceed) {
  for (int code : {SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT, SQLITE_LOCKED,
                   SQLITE_FULL, SQLITE_IOERR, SQLITE_IOERR_FSYNC,
                   SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_NOMEM}) {
    EXPECT_EQ(SqliteError(code, "x").code(), absl::StatusCode::kUnavailable)
        << code;
  }
  for (int code : {SQLITE_CORRUPT, SQLITE_CORRUPT_INDEX, SQLITE_NOTADB}) {
    EXPECT_EQ(SqliteError(code, "x").code(), absl::StatusCode::kDataLoss)
        << code;
  }
  for (int code : {SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_TOOBIG,
                   SQLITE_MISUSE, SQLITE_RANGE}) {
    EXPECT_EQ(SqliteError(code, "x").code(), absl::StatusCode::kInternal)
        << code;
  }
}

TEST(SqliteError, SaysWhatWasDoneAndTheExtendedCode) {
  EXPECT_EQ(SqliteError(SQLITE_FULL, "saving").message(),
            "saving: database or disk is full (SQLite result code 13)");
}

TEST_F(SqliteTest, EmptyTextAndBlobAreNotNull) {
  absl::StatusOr<SqliteStatement> select =
      db_.Prepare("SELECT typeof(?), typeof(?), typeof(?), typeof(?)");
  ASSERT_TRUE(select.ok());
  SqliteRun run(*select);
  run.Text({}).Blob({}).TextOrNull({}).TextOrNull("x");
  ASSERT_TRUE(*run.Step());
  EXPECT_EQ(run.TextAt(0), "text");
  EXPECT_EQ(run.TextAt(1), "blob");
  EXPECT_EQ(run.TextAt(2), "null");
  EXPECT_EQ(run.TextAt(3), "text");
  EXPECT_FALSE(*run.Step());
}

TEST_F(SqliteTest, NullReadsAsEmpty) {
  absl::StatusOr<SqliteStatement> select = db_.Prepare("SELECT NULL");
  ASSERT_TRUE(select.ok());
  SqliteRun run(*select);
  ASSERT_TRUE(*run.Step());
  EXPECT_EQ(run.TextAt(0), "");
  EXPECT_EQ(run.BlobAt(0), "");
  EXPECT_EQ(run.IntegerAt(0), 0);
}

TEST_F(SqliteTest, AStatementRunsAgainWithNewParameters) {
  absl::StatusOr<SqliteStatement> select = db_.Prepare("SELECT ?, ?");
  ASSERT_TRUE(select.ok());
  {
    SqliteRun run(*select);
    run.Integer(1).Text("left over");
    EXPECT_TRUE(*run.Step());
  }
  SqliteRun run(*select);
  run.Integer(2);
  ASSERT_TRUE(*run.Step());
  EXPECT_EQ(run.IntegerAt(0), 2);
  EXPECT_EQ(run.TextAt(1), "");
}

TEST_F(SqliteTest, AParameterTooManyIsAnError) {
  absl::StatusOr<SqliteStatement> select = db_.Prepare("SELECT ?");
  ASSERT_TRUE(select.ok());
  SqliteRun run(*select);
  run.Integer(1).Integer(2);
  EXPECT_EQ(run.Step().status().code(), absl::StatusCode::kInternal);
}

TEST_F(SqliteTest, ErrorsContainNoStatementAndNoValue) {
  ASSERT_TRUE(
      db_.Execute("CREATE TABLE t (secret_column TEXT UNIQUE) STRICT").ok());
  absl::StatusOr<SqliteStatement> insert =
      db_.Prepare("INSERT INTO t VALUES (?)");
  ASSERT_TRUE(insert.ok());
  EXPECT_TRUE(SqliteRun(*insert).Text("secret value").Step().ok());
  const absl::Status repeated =
      SqliteRun(*insert).Text("secret value").Step().status();
  EXPECT_EQ(repeated.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(repeated.message()), Not(HasSubstr("secret")));
  const absl::Status malformed = db_.Execute("SELECT 'secret value' 'x' FROM");
  EXPECT_EQ(malformed.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(malformed.message()), Not(HasSubstr("secret")));
}

TEST_F(SqliteTest, AQueryWithoutARowIsAnError) {
  EXPECT_EQ(db_.QueryInteger("SELECT 1 WHERE 0").status().code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(*db_.QueryText("SELECT 'x'"), "x");
}

TEST_F(SqliteTest, ATransactionThatDoesNotCommitLeavesNothing) {
  ASSERT_TRUE(db_.Execute("CREATE TABLE t (x)").ok());
  {
    SqliteTransaction transaction(db_);
    ASSERT_TRUE(transaction.Begin(SqliteTransaction::Mode::kWrite).ok());
    ASSERT_TRUE(db_.Execute("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(*db_.QueryInteger("SELECT count(*) FROM t"), 0);
  {
    SqliteTransaction transaction(db_);
    ASSERT_TRUE(transaction.Begin(SqliteTransaction::Mode::kWrite).ok());
    ASSERT_TRUE(db_.Execute("INSERT INTO t VALUES (1)").ok());
    EXPECT_TRUE(transaction.Commit().ok());
  }
  EXPECT_EQ(*db_.QueryInteger("SELECT count(*) FROM t"), 1);
}

TEST_F(SqliteTest, AFailedCommitEndsTheTransaction) {
  // The database is not in WAL mode, so a reader keeps the writer from
  // committing.
  ASSERT_TRUE(db_.Execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)").ok());
  Shell reader(folder_ / "test.db");
  reader.Run("BEGIN; SELECT * FROM t");
  SqliteTransaction transaction(db_);
  ASSERT_TRUE(transaction.Begin(SqliteTransaction::Mode::kWrite).ok());
  ASSERT_TRUE(db_.Execute("INSERT INTO t VALUES (2)").ok());
  EXPECT_EQ(transaction.Commit().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(db_.in_transaction());
  EXPECT_EQ(*db_.QueryInteger("SELECT count(*) FROM t"), 1);
}

TEST_F(SqliteTest, OneWriterAtATime) {
  ASSERT_TRUE(db_.Execute("CREATE TABLE t (x)").ok());
  Shell other(folder_ / "test.db");
  other.Run("BEGIN IMMEDIATE");
  SqliteTransaction transaction(db_);
  EXPECT_EQ(transaction.Begin(SqliteTransaction::Mode::kWrite).code(),
            absl::StatusCode::kUnavailable);
  other.Run("COMMIT");
  EXPECT_TRUE(transaction.Begin(SqliteTransaction::Mode::kWrite).ok());
}

}  // namespace
}  // namespace sluice

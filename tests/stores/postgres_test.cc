#include "stores/postgres.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/postgres_server.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TimePoint After(absl::Duration duration) {
  return SystemClock()->Now() + ToMonotonic(duration);
}

PostgresConnection Connect() {
  auto db = PostgresConnection::Open(PostgresServer::Shared().Url("postgres"),
                                     {}, After(absl::Minutes(1)));
  EXPECT_TRUE(db.ok()) << db.status();
  return *std::move(db);
}

TEST(PostgresError, TellsWhatPasses) {
  using Code = absl::StatusCode;
  const std::pair<const char*, Code> states[] = {
      {"08006", Code::kUnavailable},     {"25006", Code::kUnavailable},
      {"40001", Code::kAborted},         {"40P01", Code::kAborted},
      {"42501", Code::kUnavailable},     {"42P01", Code::kUnavailable},
      {"53100", Code::kUnavailable},     {"53300", Code::kUnavailable},
      {"55P03", Code::kUnavailable},     {"57014", Code::kUnavailable},
      {"57P01", Code::kUnavailable},     {"58030", Code::kUnavailable},
      {"22021", Code::kInvalidArgument}, {"54000", Code::kInvalidArgument},
      {"XX001", Code::kDataLoss},        {"23514", Code::kInternal},
      {"XX000", Code::kInternal},        {"?", Code::kInternal}};
  for (const auto& [state, code] : states) {
    const absl::Status status = PostgresError(state, "doing");
    EXPECT_EQ(status.code(), code) << state;
    EXPECT_THAT(std::string(status.message()), HasSubstr(state));
    EXPECT_EQ(PostgresSqlState(status), state);
  }
}

TEST(PostgresConnection, CarriesValuesBothWays) {
  PostgresConnection db = Connect();
  using Type = PostgresArray::Type;
  const absl::Time time = absl::FromUnixMicros(-1'234'567'890'123'456);
  PostgresArray integers(Type::kBigint, 3);
  integers.Integer(-2).Integer(INT64_MAX).Null();
  PostgresArray texts(Type::kText, 3);
  texts.Bytes("").BytesOrNull("").Bytes("\"é,{}\\\n");
  PostgresArray bytes(Type::kBytea, 3);
  bytes.Bytes("").Bytes(std::string_view("\0\xff", 2)).Null();
  PostgresArray times(Type::kTimestamptz, 3);
  times.Time(time).Null().Time(absl::UnixEpoch());
  PostgresArray objects(Type::kJsonb, 3);
  objects.Json("{}").Json(R"({"a": "\""})").Null();
  const auto rows = db.Query(
      "SELECT *, $6::bigint FROM unnest($1::bigint[], $2::text[], $3::bytea[],"
      " $4::timestamptz[], $5::jsonb[]) AS t (i, t, b, w, j)",
      {std::move(integers).Take(), std::move(texts).Take(),
       std::move(bytes).Take(), std::move(times).Take(),
       std::move(objects).Take(), PostgresBigint(-7)});
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->rows(), 3);
  EXPECT_EQ(rows->IntegerAt(0, 0), -2);
  EXPECT_EQ(rows->IntegerAt(1, 0), INT64_MAX);
  EXPECT_TRUE(rows->IsNull(2, 0));
  EXPECT_FALSE(rows->IsNull(0, 1));
  EXPECT_EQ(rows->BytesAt(0, 1), "");
  EXPECT_TRUE(rows->IsNull(1, 1));
  EXPECT_EQ(rows->BytesAt(2, 1), "\"é,{}\\\n");
  EXPECT_FALSE(rows->IsNull(0, 2));
  EXPECT_EQ(rows->BytesAt(1, 2), std::string_view("\0\xff", 2));
  EXPECT_EQ(rows->TimeAt(0, 3), time);
  EXPECT_EQ(rows->TimeAt(2, 3), absl::UnixEpoch());
  EXPECT_EQ(rows->BytesAt(1, 4), "\x01{\"a\": \"\\\"\"}");
  EXPECT_EQ(rows->IntegerAt(0, 5), -7);
}

TEST(PostgresConnection, AnEmptyArrayHasNoRows) {
  PostgresConnection db = Connect();
  PostgresArray none(PostgresArray::Type::kText, 0);
  const auto rows =
      db.Query("SELECT * FROM unnest($1::text[])", {std::move(none).Take()});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->rows(), 0);
}

TEST(PostgresConnection, SkipsWhatComesAfterAnError) {
  PostgresConnection db = Connect();
  db.SendQuery("SELECT 1");
  db.SendQuery("SELECT 1 / 0, 'canary'");
  db.SendQuery("SELECT pg_advisory_lock(1)");
  const absl::Status status = db.Receive().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("22012"));
  EXPECT_EQ(PostgresShell(PostgresServer::Shared().Url("postgres"))
                .Get("SELECT count(*) FROM pg_locks"
                     " WHERE locktype = 'advisory'"),
            "0");
}

// PostgreSQL warns about a COMMIT outside a transaction, and reports success.
TEST(PostgresConnection, ACommitWithAWarningHasAnUnknownOutcome) {
  EXPECT_EQ(Connect().Execute("COMMIT").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Connect().Execute("SELECT 1; COMMIT; SELECT 2").code(),
            absl::StatusCode::kUnavailable);
  PostgresConnection db = Connect();
  db.SendQuery("SELECT 1");
  db.SendQuery("COMMIT");
  const absl::Status status = db.Receive().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown"));
}

TEST(PostgresConnection, AWarningDoesNotAffectALaterCommit) {
  PostgresConnection db = Connect();
  EXPECT_TRUE(db.Execute("ROLLBACK").ok()) << "no transaction: a warning";
  EXPECT_TRUE(db.Execute("BEGIN; COMMIT").ok());
  db.SendQuery("ROLLBACK");
  EXPECT_TRUE(db.Receive().ok());
  db.SendQuery("BEGIN");
  db.SendQuery("COMMIT");
  EXPECT_TRUE(db.Receive().ok());
}

TEST(PostgresConnection, SendsAndReceivesAtTheSameTime) {
  // The data is larger than the buffers of the sockets, in both directions.
  PostgresConnection db = Connect();
  const std::string large(4 << 20, 'x');
  for (int i = 0; i < 4; ++i) {
    db.SendQuery("SELECT $1::text", {large});
  }
  const auto results = db.Receive();
  ASSERT_TRUE(results.ok()) << results.status();
  for (const PostgresResult& result : *results) {
    EXPECT_EQ(result.BytesAt(0, 0).size(), large.size());
  }
}

TEST(PostgresConnection, DoesNotWaitForAServerThatHangs) {
  PostgresConnection db = Connect();
  db.set_deadline(After(absl::Milliseconds(20)));
  const absl::Status status = db.Query("SELECT pg_sleep(600)").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST(PostgresConnection, AnAnswerCanBeTakenLater) {
  PostgresShell shell(PostgresServer::Shared().Url("postgres"));
  shell.Run("SELECT pg_advisory_lock(2)");
  PostgresConnection db = Connect();
  ASSERT_TRUE(db.Start("SELECT pg_advisory_lock(2); SELECT 1").ok());
  db.set_deadline(After(absl::ZeroDuration()));
  EXPECT_EQ(db.TakeAnswer(), std::nullopt);
  shell.Run("SELECT pg_advisory_unlock(2)");
  db.set_deadline(After(absl::Minutes(1)));
  EXPECT_EQ(db.TakeAnswer(), absl::OkStatus());
  EXPECT_TRUE(db.Execute("SELECT 2").ok());
}

TEST(PostgresConnection, DoesNotWaitForAHostThatHangs) {
  PostgresServer server;
  server.Pause();
  const auto db = PostgresConnection::Open(server.Url("postgres"), {},
                                           After(absl::Milliseconds(20)));
  server.Resume();
  EXPECT_EQ(db.status().code(), absl::StatusCode::kUnavailable);
}

TEST(PostgresHosts, AreTakenFromTheUrl) {
  const auto hosts = [](const std::string& url) {
    std::vector<std::string> words;
    for (const PostgresHost& host : PostgresHosts(url)) {
      words.push_back(
          absl::StrCat(host.host, "|", host.hostaddr, "|", host.port));
    }
    return words;
  };
  EXPECT_THAT(hosts("dbname=epro"), ElementsAre("||"));
  EXPECT_THAT(hosts("postgresql://a/epro"), ElementsAre("a||"));
  EXPECT_THAT(hosts("postgresql://a:1,b:2,c/epro"),
              ElementsAre("a||1", "b||2", "c||5432"));
  EXPECT_THAT(hosts("postgresql://a,b/epro"),
              ElementsAre("a||5432", "b||5432"));
  EXPECT_THAT(hosts("host=a,b port=7"), ElementsAre("a||7", "b||7"));
  EXPECT_THAT(hosts("host=a,b hostaddr=1.2.3.4,::1"),
              ElementsAre("a|1.2.3.4|", "b|::1|"));
  EXPECT_THAT(hosts("host=a,"), ElementsAre("||"));
}

TEST(PostgresConnection, KnowsThatTheServerHasEndedIt) {
  PostgresConnection db = Connect();
  const auto pid = db.Query("SELECT pg_backend_pid()");
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(db.Alive());
  PostgresShell(PostgresServer::Shared().Url("postgres"))
      .Run(absl::StrCat("SELECT pg_terminate_backend(", pid->IntegerAt(0, 0),
                        ", 60000)"));
  EXPECT_FALSE(db.Alive());
  EXPECT_EQ(db.Query("SELECT 1").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(PostgresConnection, WhereThereIsNoServerItIsUnavailable) {
  const auto db = PostgresConnection::Open("host=/nonexistent dbname=epro", {},
                                           After(absl::Minutes(1)));
  EXPECT_EQ(db.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice

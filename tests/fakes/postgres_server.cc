#include "tests/fakes/postgres_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

void ExpectOk(const absl::Status& status) {
  ASSERT_TRUE(status.ok()) << status;
}

void CopyFolder(const std::string& from, const std::string& to) {
  Program copy("cp", {"--archive", "--reflink=auto", from, to});
  ASSERT_EQ(copy.Wait().exit_code, 0) << copy.err();
}

void MakeTemplate(const std::string& to) {
  const TempFolder folder;
  ExpectOk(LocalPostgres::MakeCluster(folder.path()));
  const std::string partial = to + ".partial";
  fs::remove_all(partial);
  CopyFolder(folder / "data", partial);
  fs::rename(partial, to);
}

// Returns the folder of a new cluster. The cluster is created once for all
// programs of a build, because initdb is slow.
std::string TemplateFolder() {
  const std::string path =
      absl::StrCat(SLUICE_POSTGRES_TEMPLATE, "_", geteuid());
  const int lock =
      open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  if (!fs::exists(path)) MakeTemplate(path);
  close(lock);
  return path;
}

}  // namespace

PostgresServer::PostgresServer(bool start) : server_(folder_.path()) {
  CopyFolder(TemplateFolder(), folder_ / "data");
  if (start) Start();
}

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

std::string PostgresServer::Url(const std::string& database) const {
  return server_.Url(database);
}

std::string PostgresServer::NewSchema() {
  const std::string name = absl::StrCat("test", ++schemas_);
  PostgresShell(Url("postgres")).Run("CREATE SCHEMA " + name);
  return absl::StrCat(Url("postgres"), "&options=-csearch_path%3D", name);
}

void PostgresServer::RemoveData() {
  if (server_.running()) Stop();
  fs::remove_all(folder_ / "data");
}

void PostgresServer::KeepCopy() {
  ASSERT_FALSE(server_.running());
  fs::remove_all(folder_ / "copy");
  CopyFolder(folder_ / "data", folder_ / "copy");
}

void PostgresServer::ReturnToCopy() {
  ASSERT_FALSE(server_.running());
  RemoveData();
  CopyFolder(folder_ / "copy", folder_ / "data");
}

void PostgresServer::StartPromoted(const PostgresServer& primary) {
  RemoveData();
  CopyFolder(primary.folder_ / "data", folder_ / "data");
  fs::remove(folder_ / "data/postmaster.pid");
  // Recovery from an empty archive ends at once and begins a new timeline.
  std::ofstream(folder_ / "data/recovery.signal");
  std::ofstream(folder_ / "data/postgresql.auto.conf", std::ios::app)
      << "restore_command = 'false'\n";
  Start();
  PostgresShell shell(Url("postgres"));
  AwaitThat("the recovery ends",
            [&] { return shell.Get("SELECT pg_is_in_recovery()") == "f"; });
}

void PostgresServer::StartAnotherCluster() {
  RemoveData();
  ExpectOk(LocalPostgres::MakeCluster(folder_.path()));
  Start();
}

void PostgresServer::Start() { ExpectOk(server_.Start()); }

void PostgresServer::Stop() { ExpectOk(server_.Stop()); }

void PostgresServer::Kill() { ExpectOk(server_.Kill()); }

PostgresShell::PostgresShell(const std::string& url)
    : connection_(PQconnectdb(url.c_str())) {
  EXPECT_EQ(PQstatus(connection_), CONNECTION_OK)
      << PQerrorMessage(connection_);
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
}

PostgresShell::~PostgresShell() { PQfinish(connection_); }

Shell::Rows PostgresShell::Run(const std::string& sql) {
  PGresult* result = PQexec(connection_, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  EXPECT_TRUE(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
      << PQresultErrorMessage(result);
  Shell::Rows rows;
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& columns = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) {
      columns.emplace_back(PQgetisnull(result, row, column) != 0
                               ? "NULL"
                               : PQgetvalue(result, row, column));
    }
  }
  PQclear(result);
  return rows;
}

std::string PostgresShell::Get(const std::string& sql) {
  const Shell::Rows rows = Run(sql);
  EXPECT_EQ(rows.size(), 1u) << sql;
  return rows.empty() ? "" : rows[0].at(0);
}

MissingStandby::MissingStandby(const std::string& url)
    : shell_(url), committing_(url) {
  shell_.Run("CREATE TABLE IF NOT EXISTS committed (n integer)");
  shell_.Run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  shell_.Run("SELECT pg_reload_conf()");
  // Wait until the setting takes effect. PostgreSQL applies the setting to
  // commits a little later than sessions see the setting.
  AwaitThat("commits wait", [&] { return ACommitWaits(); });
  AwaitThat("sessions see the setting", [&] {
    return shell_.Get("SHOW synchronous_standby_names") == "nobody";
  });
}

std::string MissingStandby::WaitingCommits() {
  return shell_.Get(
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
}

void MissingStandby::AwaitWaitingCommits(int count) {
  AwaitThat("commits wait for the standby",
            [&] { return WaitingCommits() == absl::StrCat(count); });
}

void MissingStandby::EndWaits(const std::string& function) {
  shell_.Run(absl::StrCat("SELECT ", function,
                          "(pid) FROM pg_stat_activity"
                          " WHERE wait_event = 'SyncRep'"));
}

void MissingStandby::Return() {
  shell_.Run("ALTER SYSTEM RESET synchronous_standby_names");
  shell_.Run("SELECT pg_reload_conf()");
  AwaitWaitingCommits(0);
  AwaitThat("sessions see the setting", [&] {
    return shell_.Get("SHOW synchronous_standby_names").empty();
  });
}

bool MissingStandby::ACommitWaits() {
  std::atomic<bool> ended{false};
  std::thread commit([&] {
    committing_.Run("INSERT INTO committed VALUES (1)");
    ended = true;
  });
  AwaitThat("the commit ends or waits",
            [&] { return ended || WaitingCommits() == "1"; });
  const bool waits = !ended;
  if (waits) EndWaits("pg_cancel_backend");
  commit.join();
  return waits;
}

}  // namespace sluice

// A real PostgreSQL server in its own folder. Tests can stop, kill and restart
// it. Every error fails the test.

#ifndef SLUICE_TESTS_FAKES_POSTGRES_SERVER_H_
#define SLUICE_TESTS_FAKES_POSTGRES_SERVER_H_

#include <string>
#include <vector>

#include "tests/postgres/local_postgres.h"
#include "tests/stores/store_fixture.h"

struct pg_conn;

namespace sluice {

class PostgresServer {
 public:
  // Starts the server unless `start` is false. The test fails if PostgreSQL is
  // not installed.
  explicit PostgresServer(bool start = true);
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Returns the server that all tests of a program share. The first call starts
  // it.
  static PostgresServer& Shared();

  // Returns the URL of a database. "postgres" always exists.
  std::string Url(const std::string& database) const;
  // Creates a schema in the database "postgres", and returns a URL that uses
  // it. A schema serves as a separate database, but is created much faster.
  std::string NewSchema();

  // Starts the server. Returns when it accepts connections.
  void Start();
  // Shuts the server down, which ends all sessions. Returns when it has ended.
  void Stop();
  // Kills each process of the server by SIGKILL. Returns when they have ended.
  void Kill();
  // Keeps a copy of the data. The server must be stopped.
  void KeepCopy();
  // Replaces the data by the copy that was kept last. The server must be
  // stopped.
  void ReturnToCopy();
  // Starts the server as a promoted standby: with the data of `primary`, on a
  // new timeline. `primary` must be stopped or paused.
  void StartPromoted(const PostgresServer& primary);
  // Starts the server with a new, empty cluster.
  void StartAnotherCluster();
  // Pause makes all processes of the server hang. Resume lets them continue.
  void Pause() { server_.Pause(); }
  void Resume() { server_.Resume(); }

 private:
  void RemoveData();

  const TempFolder folder_;
  LocalPostgres server_;
  int schemas_ = 0;
};

// Reads and writes a database like psql.
class PostgresShell {
 public:
  explicit PostgresShell(const std::string& url);
  PostgresShell(const PostgresShell&) = delete;
  PostgresShell& operator=(const PostgresShell&) = delete;
  ~PostgresShell();

  // Returns the rows of the last statement, with each column as text.
  Shell::Rows Run(const std::string& sql);
  // Returns the only column of the only row.
  std::string Get(const std::string& sql);

 private:
  pg_conn* connection_;
};

// Makes the commits of a server wait for a synchronous standby that does not
// exist. The waiting commits are already on the disk of PostgreSQL.
class MissingStandby {
 public:
  explicit MissingStandby(const std::string& url);
  ~MissingStandby() { Return(); }

  // Returns the number of commits that wait.
  std::string WaitingCommits();
  void AwaitWaitingCommits(int count);

  // Calls a function, such as pg_cancel_backend, for each session that waits.
  void EndWaits(const std::string& function);

  // Ends all waits for good, as if the standby had answered.
  void Return();

 private:
  // Commits, and returns true if the commit waits.
  bool ACommitWaits();

  PostgresShell shell_;
  PostgresShell committing_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_POSTGRES_SERVER_H_

// A real PostgreSQL beside the test, in a folder of its own, that can be
// stopped, killed and started again. What fails is a failure of the test.

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
  // Starts it. A failure of the test where it is not installed.
  PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The one that the tests of a program share, from the first that asks for it.
  static PostgresServer& Shared();

  // The URL of a database by its name; "postgres" is always there.
  std::string Url(const std::string& database) const;
  // The same of "postgres", with a new, empty schema: as good as a database of
  // one's own, and made in no time.
  std::string NewSchema();

  // Returns when it takes connections.
  void Start();
  // Ends sessions as they are, with leave taken; returns when it has ended.
  void Stop();
  // The same by SIGKILL to each of its processes.
  void Kill();

 private:
  const TempFolder folder_;
  LocalPostgres server_;
  int schemas_ = 0;
};

// Reads and writes a database as psql would.
class PostgresShell {
 public:
  explicit PostgresShell(const std::string& url);
  PostgresShell(const PostgresShell&) = delete;
  PostgresShell& operator=(const PostgresShell&) = delete;
  ~PostgresShell();

  // The rows of the last statement, each column as text.
  Shell::Rows Run(const std::string& sql);
  // The only column of its only row.
  std::string Get(const std::string& sql);

 private:
  pg_conn* connection_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_POSTGRES_SERVER_H_

// A server with a SQLite store in its own folder. Tests can query the store.

#ifndef SLUICE_TESTS_FAKES_SQLITE_SERVER_H_
#define SLUICE_TESTS_FAKES_SQLITE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "gtest/gtest.h"
#include "server/submissions/decode.h"
#include "stores/sqlite_store.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {

class SqliteServer {
 public:
  explicit SqliteServer(const Config& config)
      : server_(config, Open(folder_ / "sluice.db")) {}

  TestServer& server() { return server_; }
  v1::Ingestion::Stub& stub() { return server_.stub(); }

  // Returns another program's connection to the store.
  std::unique_ptr<Shell> NewShell() const {
    return std::make_unique<Shell>(folder_ / "sluice.db");
  }

  // Returns the rows of `sql`, which a separate connection runs.
  Shell::Rows Query(const std::string& sql) const {
    return Shell(folder_ / "sluice.db").Run(sql);
  }

 private:
  static std::unique_ptr<Store> Open(const std::string& path) {
    auto store = SqliteStore::Open({.path = path}, SameContentOfKind);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  const TempFolder folder_;
  TestServer server_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_SQLITE_SERVER_H_

// The program in an environment that is not friendly: nobody reads its log, its
// standard descriptors are closed, its limits are small, or another server uses
// its files under another name.

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/path.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using v1::Receipt;

class Process : public testing::Test {
 protected:
  // Returns a configuration with this store and a pool in memory.
  static std::string Config(const std::string& store) {
    return absl::StrCat("store: {kind: sqlite, path: ", store,
                        "}\npools: {clinical: {queue: {kind: memory}}}\n"
                        "methods: {default: {pool: clinical, ack: stored}}\n");
  }

  std::string WriteConfig(const std::string& rest) const {
    const std::string path = folder_ / "config.yaml";
    std::ofstream(path) << "listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\n"
                        << rest;
    return path;
  }

  // Returns a program that runs sluice after the commands of a shell.
  std::unique_ptr<Program> RunAfter(const std::string& commands,
                                    const std::string& config) const {
    return std::make_unique<Program>(
        "/bin/sh",
        std::vector<std::string>{"-c", commands + "exec \"$@\"", "sh",
                                 SLUICE_BINARY, "--config", config});
  }

  // Returns a port that nobody uses at the moment.
  static int FreePort() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener, any, size), 0);
    EXPECT_EQ(getsockname(listener, any, &size), 0);
    close(listener);
    return ntohs(address.sin_port);
  }

  const TempFolder folder_;
};

TEST_F(Process, LogsWhoStartsAndWhere) {
  Sluice sluice(Config(folder_ / "store.db"));
  sluice.port();
  const std::string err = sluice.program().err();
  EXPECT_THAT(err, HasSubstr("starting: version="));
  EXPECT_THAT(err, HasSubstr(absl::StrCat("pid=", sluice.program().pid())));
  EXPECT_THAT(err, HasSubstr(absl::StrCat(
                       "config=", NormalPath(sluice.path("config.yaml")))));
  EXPECT_THAT(
      err, HasSubstr(absl::StrCat("path=", NormalPath(folder_ / "store.db"))));
}

TEST_F(Process, LogsJsonAndChangesLevelsLive) {
  const std::string config = Config(folder_ / "store.db");
  Sluice sluice(config + "log: {format: json}\n");
  sluice.program().AwaitErr("admin_port=");
  sluice.Replace(config + "log: {format: json, level: error}\n");
  sluice.program().Signal(SIGHUP);
  sluice.program().AwaitErr("key=log.level from=info to=error");
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 0);
  const std::string err = sluice.program().err();
  std::istringstream text(err);
  for (std::string line; std::getline(text, line);) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_TRUE(json.contains("time") && json.contains("level") &&
                json.contains("message"))
        << line;
  }
  EXPECT_THAT(err, testing::Not(HasSubstr("draining")));
}

// The parameter is true if the reader of standard error ends, and false if it
// stops.
class Unread : public Process, public testing::WithParamInterface<bool> {};

TEST_P(Unread, LogDoesNotStopTheServer) {
  const bool reader_ends = GetParam();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const std::string page(4096, 'x');
  while (write(ends[1], page.data(), page.size()) > 0) {
  }
  // The log cannot tell a port that the server chose.
  const int port = FreePort();
  const std::string config = folder_ / "config.yaml";
  std::ofstream(config) << "listen: 127.0.0.1:" << port
                        << "\nmetrics: 127.0.0.1:0\n"
                        << Config(folder_ / "store.db");
  const auto sluice = RunAfter(
      absl::StrCat("exec 2>/proc/", getpid(), "/fd/", ends[1], "; "), config);
  const auto stub = v1::Ingestion::NewStub(grpc::CreateChannel(
      absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  AwaitThat("the server answers", [&] {
    grpc::ClientContext context;
    Receipt receipt;
    return stub->Submit(&context, MakeSubmit("a"), &receipt).ok();
  });
  if (reader_ends) close(ends[0]);
  sluice->Signal(SIGTERM);
  const Program::End end = sluice->Wait();
  EXPECT_EQ(end.exit_code, 0) << "signal " << end.signal;
  if (!reader_ends) close(ends[0]);
  close(ends[1]);
}

INSTANTIATE_TEST_SUITE_P(Reader, Unread, testing::Bool(),
                         [](const auto& one) -> std::string {
                           return one.param ? "Ends" : "Stops";
                         });

TEST_F(Process, WritesNoLogIntoItsFiles) {
  const std::string store = folder_ / "store.db";
  const auto sluice =
      RunAfter("exec 0<&- 1>&- 2>&-; ", WriteConfig(Config(store)));
  AwaitThat("the store is open",
            [&] { return std::filesystem::exists(store + "-shm"); });
#ifdef SLUICE_SANITIZED
  // With sanitizers, gRPC opens a descriptor first (process.h).
  const std::vector<std::string> descriptors = {"1", "2"};
#else
  const std::vector<std::string> descriptors = {"0", "1", "2"};
#endif
  for (const std::string& descriptor : descriptors) {
    EXPECT_EQ(std::filesystem::read_symlink(
                  absl::StrCat("/proc/", sluice->pid(), "/fd/", descriptor)),
              "/dev/null");
  }
  EXPECT_EQ(std::filesystem::file_size(store + ".lock"), 0);
}

#ifndef SLUICE_SANITIZED

struct SmallLimit {
  const char* name;
  const char* commands;
  const char* error;
};

class Limits : public Process,
               public testing::WithParamInterface<SmallLimit> {};

TEST_P(Limits, ThatAreTooSmallAreAnErrorAtTheStart) {
  const auto sluice =
      RunAfter(GetParam().commands,
               WriteConfig(absl::StrCat(
                   "store: {kind: sqlite, path: ", folder_ / "store.db",
                   "}\npools: {clinical: {queue: {kind: memory}, "
                   "workers: {min: 1, max: 1000}}}\n"
                   "methods: {default: {pool: clinical, ack: stored}}\n")));
  EXPECT_EQ(sluice->Wait().exit_code, 1);
  EXPECT_THAT(sluice->err(), HasSubstr("cannot start: "));
  EXPECT_THAT(sluice->err(), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Of, Limits,
    testing::Values(SmallLimit{"Descriptors", "ulimit -n 300; ",
                               "limits.connections: 10000 connections need "},
                    SmallLimit{"FileSize", "ulimit -f 1000; ",
                               "may write files of at most 512000 bytes"},
                    // A thread needs address space for its stack.
                    SmallLimit{"Threads", "ulimit -v 3000000; ",
                               "the server may need "}),
    [](const auto& one) { return one.param.name; });

#endif  // SLUICE_SANITIZED

class OtherName : public Process {
 protected:
  // Starts a second server with this path of the store.
  void ExpectRefused(const std::string& path, const std::string& error) {
    const auto second = RunAfter("", WriteConfig(Config(path)));
    EXPECT_EQ(second->Wait().exit_code, 1);
    EXPECT_THAT(second->err(), HasSubstr(error));
  }
};

TEST_F(OtherName, OfAStoreIsRefusedWhileAServerRuns) {
  const std::string store = folder_ / "store.db";
  Sluice first(Config(store));
  first.port();
  std::filesystem::create_symlink(store, folder_ / "symlink.db");
  ExpectRefused(folder_ / "symlink.db", "another process holds the lock");
  std::filesystem::create_hard_link(store, folder_ / "hardlink.db");
  ExpectRefused(folder_ / "hardlink.db", "the file has 2 names (hard links)");
}

TEST_F(OtherName, LocksTheFileItself) {
  const std::string store = folder_ / "store.db";
  std::filesystem::create_symlink(store, folder_ / "symlink.db");
  Sluice first(Config(folder_ / "symlink.db"));
  first.port();
  ExpectRefused(store, "another process holds the lock");
}

}  // namespace
}  // namespace sluice

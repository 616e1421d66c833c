// The program `sluice`, on free ports. Test programs that use it must define
// SLUICE_BINARY, the path of `sluice`.

#ifndef SLUICE_TESTS_FAKES_SLUICE_PROGRAM_H_
#define SLUICE_TESTS_FAKES_SLUICE_PROGRAM_H_

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/program.h"
#include "tests/stores/store_fixture.h"

namespace sluice {

class Sluice {
 public:
  // `rest` is the configuration without the addresses. `flags` are added to the
  // command line.
  explicit Sluice(std::string_view rest, std::vector<std::string> flags = {})
      : program_(SLUICE_BINARY, Arguments(rest, std::move(flags))) {}

  Program& program() { return program_; }

  int port() { return PortAfter("serving: port="); }
  int metrics_port() { return PortAfter(" metrics_port="); }
  std::shared_ptr<grpc::Channel> Connect() { return ConnectTo(port()); }
  // The configuration must have an address `admin`.
  std::shared_ptr<grpc::Channel> ConnectToAdmin() {
    return ConnectTo(PortAfter(" admin_port="));
  }
  std::string path(std::string_view name) const { return folder_ / name; }

  // Replaces the configuration file by a rename.
  void Replace(std::string_view rest) const {
    std::filesystem::rename(Write(folder_ / "new.yaml", rest),
                            folder_ / "config.yaml");
  }

 private:
  static std::shared_ptr<grpc::Channel> ConnectTo(int port) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                     grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  std::vector<std::string> Arguments(std::string_view rest,
                                     std::vector<std::string> flags) const {
    flags.insert(flags.begin(),
                 {"--config", Write(folder_ / "config.yaml", rest)});
    return flags;
  }

  static std::string Write(const std::string& path, std::string_view rest) {
    std::ofstream(path) << "listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\n"
                        << rest;
    return path;
  }

  // Waits until the server serves, and returns the number after `before` in its
  // log.
  int PortAfter(std::string_view before) {
    program_.AwaitErr("admin_port=");
    const std::string err = program_.err();
    const std::size_t at = err.find(before);
    int port = 0;
    if (at == std::string::npos ||
        !absl::SimpleAtoi(
            err.substr(at + before.size(),
                       err.find_first_of(" \n", at + before.size()) - at -
                           before.size()),
            &port)) {
      ADD_FAILURE() << err;
    }
    return port;
  }

  const TempFolder folder_;
  Program program_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_SLUICE_PROGRAM_H_

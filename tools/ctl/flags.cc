#include "tools/ctl/flags.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, target, "127.0.0.1:50051", "host:port of the server");
ABSL_FLAG(std::string, admin, "127.0.0.1:50052",
          "host:port of the server's admin service");
ABSL_FLAG(std::string, study, "", "study_id of the submissions");
ABSL_FLAG(std::string, site, "", "site_id of the submissions to send");
ABSL_FLAG(bool, json, false, "print one JSON object a line instead of a table");
ABSL_FLAG(
    int, retries, 5,
    "number of retries after a refusal, each after the delay that the server "
    "asked for");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(30),
          "deadline of each attempt; exports and backups have none");
ABSL_FLAG(std::string, pool, "",
          "pool whose quarantine is used (default: all pools)");
ABSL_FLAG(std::string, reason, "",
          "why a quarantined entry is discarded; recorded for good, so without "
          "patient data");
ABSL_FLAG(std::string, by, "",
          "who discards an entry (default: the name of the user)");
ABSL_FLAG(bool, all, false, "retry all entries in quarantine");
ABSL_FLAG(std::string, format, "ndjson", "format of an export: ndjson or csv");
ABSL_FLAG(
    std::string, since, "",
    "export responses received since this time: 2026-03-01 (midnight UTC) "
    "or 2026-03-01T20:15:00+01:00");
ABSL_FLAG(std::string, output, "",
          "file to export to (default: standard output)");
ABSL_FLAG(bool, strict, false,
          "fail an export if a sequence number is UNACCOUNTED or QUARANTINED");

namespace sluice {
namespace {

// Limit of a received message: more than the largest content that a server
// accepts.
constexpr int kAnswerBytesMax = 600 << 20;
// A dead connection is detected after the sum of both times.
constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

std::shared_ptr<grpc::Channel> NewChannel(const std::string& address,
                                          grpc::ChannelArguments arguments) {
  arguments.SetMaxReceiveMessageSize(kAnswerBytesMax);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_retries) < 0) {
    return absl::InvalidArgumentError("--retries must not be negative");
  }
  if (absl::GetFlag(FLAGS_timeout) <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--timeout must be positive");
  }
  return absl::OkStatus();
}

absl::Status NoArguments(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("no argument is expected");
}

CallOptions ReadCallOptions() {
  CallOptions options;
  options.retries = absl::GetFlag(FLAGS_retries);
  options.timeout = std::min(absl::GetFlag(FLAGS_timeout), absl::Hours(24));
  return options;
}

std::unique_ptr<v1::Ingestion::Stub> ConnectToIngestion() {
  return v1::Ingestion::NewStub(NewChannel(absl::GetFlag(FLAGS_target), {}));
}

std::unique_ptr<v1::Admin::Stub> ConnectToAdmin() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  return v1::Admin::NewStub(NewChannel(absl::GetFlag(FLAGS_admin), arguments));
}

}  // namespace sluice

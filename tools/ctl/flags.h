// The flags of sluicectl, and helpers that several commands share.

#ifndef SLUICE_TOOLS_CTL_FLAGS_H_
#define SLUICE_TOOLS_CTL_FLAGS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tools/ctl/call.h"

ABSL_DECLARE_FLAG(std::string, study);
ABSL_DECLARE_FLAG(std::string, site);
ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(std::string, pool);
ABSL_DECLARE_FLAG(std::string, reason);
ABSL_DECLARE_FLAG(std::string, by);
ABSL_DECLARE_FLAG(bool, all);
ABSL_DECLARE_FLAG(std::string, format);
ABSL_DECLARE_FLAG(std::string, since);
ABSL_DECLARE_FLAG(std::string, output);
ABSL_DECLARE_FLAG(bool, strict);

namespace sluice {

// The file that defines the flags, for DescribeFlags.
inline constexpr char kFlagsFile[] = "tools/ctl/flags.cc";

// Checks the flags. Returns INVALID_ARGUMENT if a value is out of bounds.
absl::Status CheckFlags();

// Checks that there are no arguments. Returns INVALID_ARGUMENT otherwise.
absl::Status NoArguments(const std::vector<std::string>& arguments);

CallOptions ReadCallOptions();

// Return stubs for --target and --admin. They connect at the first call.
std::unique_ptr<v1::Ingestion::Stub> ConnectToIngestion();
std::unique_ptr<v1::Admin::Stub> ConnectToAdmin();

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_FLAGS_H_

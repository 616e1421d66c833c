// The flags of sluicectl, and what several commands make of them.

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
ABSL_DECLARE_FLAG(bool, all);
ABSL_DECLARE_FLAG(std::string, format);
ABSL_DECLARE_FLAG(std::string, since);
ABSL_DECLARE_FLAG(std::string, output);
ABSL_DECLARE_FLAG(bool, strict);

namespace sluice {

// The file that defines them, for DescribeFlags.
inline constexpr char kFlagsFile[] = "tools/ctl/flags.cc";

// INVALID_ARGUMENT where one is out of its bounds.
absl::Status CheckFlags();

// INVALID_ARGUMENT where a command that takes none has some.
absl::Status NoArguments(const std::vector<std::string>& arguments);

CallOptions ReadCallOptions();

// To --target, and to --admin. They connect when they are used.
std::unique_ptr<v1::Ingestion::Stub> ConnectToIngestion();
std::unique_ptr<v1::Admin::Stub> ConnectToAdmin();

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_FLAGS_H_

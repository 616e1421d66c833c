// The tenant of a call, for pools that are shared fairly (fair_by): the study
// and the site from the metadata, or else from the request.

#ifndef SLUICE_SERVER_SUBMISSIONS_SENDER_H_
#define SLUICE_SERVER_SUBMISSIONS_SENDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "config/config.h"
#include "forms/wire_check.h"
#include "grpcpp/server_context.h"

namespace sluice {

// Longest accepted id, in bytes.
inline constexpr std::size_t kMaxIdBytes = 128;

// The metadata that names the tenant; empty if missing. The views refer to the
// call's context.
struct Sender {
  std::string_view study;  // metadata sluice-study
  std::string_view site;   // metadata sluice-site
};

// Reads the metadata. Returns a violation if a value is empty, longer than an
// id, or given twice.
std::optional<Violation> ReadSender(const grpc::ServerContext& context,
                                    Sender* sender);

// Returns the lane (Task::lane) of a submission: a hash of its study, or of its
// study and site; 0 if the pool is not shared fairly. Ids in the metadata
// override the ids of the request.
std::uint64_t LaneOf(FairBy fair_by, const Sender& sender,
                     std::string_view study_id, std::string_view site_id);

// Returns the lane of a call whose request is not read yet, or nothing if the
// metadata does not name the tenant.
std::optional<std::uint64_t> LaneOf(FairBy fair_by, const Sender& sender);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SENDER_H_

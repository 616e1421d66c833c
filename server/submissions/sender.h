// Who sends a call, for pools that are shared fairly (fair_by): the study and
// the site in its metadata, or else in its request.

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

// The longest id that is accepted, in bytes.
inline constexpr std::size_t kMaxIdBytes = 128;

// What the metadata say; empty where they do not. The views live as long as the
// call's context.
struct Sender {
  std::string_view study;  // sluice-study
  std::string_view site;   // sluice-site
};

// A violation where one is empty, too long for an id, or given twice.
std::optional<Violation> ReadSender(const grpc::ServerContext& context,
                                    Sender* sender);

// The lane (Task::lane) of what such a sender sends with these ids in the
// request: 0 where the pool is shared by nobody in particular.
std::uint64_t LaneOf(FairBy fair_by, const Sender& sender,
                     std::string_view study_id, std::string_view site_id);

// The same before the request is read; nothing where the metadata do not tell.
std::optional<std::uint64_t> LaneOf(FairBy fair_by, const Sender& sender);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SENDER_H_

// Checks requests while they are raw bytes, and turns them into submissions.
// Bad input is rejected here.

#ifndef SLUICE_SERVER_CALLS_INTAKE_H_
#define SLUICE_SERVER_CALLS_INTAKE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "config/config.h"
#include "config/method.h"
#include "forms/wire_check.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/submissions/sender.h"
#include "stores/store.h"

namespace sluice {

// Maximum number of records, events or ids in one request.
inline constexpr std::size_t kMaxEntries = 10000;

// Maximum length of the link id of an item. Link ids of real forms have at
// most a few hundred bytes.
inline constexpr std::size_t kMaxLinkIdBytes = 1024;

// Properties of a request that do not depend on its content.
struct Sending {
  absl::Time received_at;
  std::optional<absl::Time> sent_at;  // from the metadata sluice-sent-at
  Sender sender;
};

// Reads the metadata. Returns a violation if the metadata is malformed.
std::optional<Violation> ReadSending(const grpc::ServerContext& context,
                                     Sending* sending);

// Sets `flat` to the bytes of `buffer`, or to nothing if a slice cannot be
// read.
void Flatten(const grpc::ByteBuffer& buffer, std::string* flat);

// The intakes below are thread-safe. Each reads the requests of one method or
// of the two bulk methods. A violation describes the first problem.
class SubmitIntake {
 public:
  explicit SubmitIntake(const LimitsConfig& limits);

  // Reads a submission whose content is the request. Sets the id, if it can be
  // read, even if there is a violation.
  std::optional<Violation> Read(const Sending& sending,
                                ReceivedSubmission* submission) const;

 private:
  const WireChecker checker_;
};

// Reads requests of ImportPatients or RecordEvents: many entries in one
// request.
class BulkIntake {
 public:
  // `method` must be ImportPatients or RecordEvents.
  BulkIntake(Method method, const LimitsConfig& limits);

  struct Request {
    std::string_view study_id;
    std::string_view site_id;
    std::vector<std::string_view> entries;
  };

  // Reads a request without checking its entries. The views of `request` refer
  // to `content`.
  std::optional<Violation> Read(std::string_view content,
                                Request* request) const;
  // Reads the entry at `index`. Sets the id, if it can be read, even if there
  // is a violation.
  std::optional<Violation> ReadEntry(const Request& request, std::size_t index,
                                     const Sending& sending,
                                     ReceivedSubmission* submission) const;

 private:
  const SubmissionKind kind_;
  const std::string entries_name_;
  const WireChecker request_checker_;
  const WireChecker entry_checker_;
};

class LookupIntake {
 public:
  explicit LookupIntake(const LimitsConfig& limits);

  struct Request {
    std::string study_id;
    std::vector<std::string> submission_ids;
  };

  std::optional<Violation> Read(std::string_view content,
                                Request* request) const;

 private:
  const WireChecker checker_;
};

// Returns the violation for a message above limits.message_bytes.
Violation TooLarge(std::size_t bytes, const LimitsConfig& limits);

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_INTAKE_H_

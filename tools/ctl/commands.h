// The commands of sluicectl for submissions, without the command line.

#ifndef SLUICE_TOOLS_CTL_COMMANDS_H_
#define SLUICE_TOOLS_CTL_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tools/ctl/call.h"
#include "tools/ctl/receipt_output.h"

namespace sluice {

struct SubmitOptions {
  std::string study_id;
  std::string site_id;
  CallOptions call;
};

// The submission that was made from a file.
struct FileSubmission {
  v1::SubmitRequest request;
  std::vector<std::string> left_out;  // elements that were left out
};

// Reads a file of FHIR R4 JSON. Returns INVALID_ARGUMENT or NOT_FOUND if the
// file cannot be read or is not a QuestionnaireResponse. The error contains
// neither the path nor any of the content.
absl::StatusOr<FileSubmission> ReadSubmission(const std::string& path,
                                              const SubmitOptions& options);

// Sends one file. Errors are returned in the row.
ReceiptRow SubmitFile(v1::Ingestion::StubInterface& ingestion,
                      const std::string& path, const SubmitOptions& options);

// Fetches the receipts of any number of ids and passes the rows to `sink` in
// the order of the ids.
void FetchReceipts(v1::Ingestion::StubInterface& ingestion,
                   const std::string& study_id,
                   const std::vector<std::string>& submission_ids,
                   const CallOptions& options,
                   absl::FunctionRef<void(const ReceiptRow&)> sink);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_COMMANDS_H_

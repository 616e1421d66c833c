// What sluicectl does, apart from its command line.

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

// The submission that a file of FHIR R4 JSON becomes. INVALID_ARGUMENT or
// NOT_FOUND, without the path and without any of the content, where it cannot
// be read or is no QuestionnaireResponse.
struct FileSubmission {
  v1::SubmitRequest request;
  std::vector<std::string> left_out;
};
absl::StatusOr<FileSubmission> ReadSubmission(const std::string& path,
                                              const SubmitOptions& options);

// Sends one file. Whatever goes wrong is told in the row.
ReceiptRow SubmitFile(v1::Ingestion::StubInterface& ingestion,
                      const std::string& path, const SubmitOptions& options);

// Asks for the receipts of any number of ids and hands the rows to `sink`, in
// the order of the ids.
void FetchReceipts(v1::Ingestion::StubInterface& ingestion,
                   const std::string& study_id,
                   const std::vector<std::string>& submission_ids,
                   const CallOptions& options,
                   absl::FunctionRef<void(const ReceiptRow&)> sink);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_COMMANDS_H_

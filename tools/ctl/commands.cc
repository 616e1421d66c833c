#include "tools/ctl/commands.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "forms/fhir_json.h"
#include "tools/ctl/submission_id.h"

namespace sluice {
namespace {

// Maximum size of a file: more than any server accepts, but small enough for
// the memory of this process.
constexpr std::size_t kFileBytesMax = std::size_t{64} << 20;
// The service's limit for one GetReceipts call.
constexpr std::size_t kIdsPerCallMax = 10'000;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  const File file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return absl::NotFoundError(std::strerror(errno));
  std::string bytes;
  char chunk[1 << 16];
  std::size_t size = 0;
  while ((size = std::fread(chunk, 1, sizeof chunk, file.get())) > 0) {
    bytes.append(chunk, size);
    if (bytes.size() > kFileBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("larger than ", kFileBytesMax, " bytes"));
    }
  }
  if (std::ferror(file.get()) != 0) {
    return absl::InvalidArgumentError(std::strerror(errno));
  }
  return bytes;
}

// Returns the error of a file that was not sent, which has no gRPC code.
CallError NotSent(const absl::Status& why) {
  return {.code = "NOT_SENT",
          .message = Printable(std::string(why.message())),
          .reason = "",
          .field_violations = {}};
}

void FetchSome(v1::Ingestion::StubInterface& ingestion,
               const v1::GetReceiptsRequest& request,
               const CallOptions& options,
               absl::FunctionRef<void(const ReceiptRow&)> sink) {
  v1::GetReceiptsResponse response;
  grpc::Status status = Call(options, [&](grpc::ClientContext& context) {
    return ingestion.GetReceipts(&context, request, &response);
  });
  if (status.ok() &&
      response.receipts_size() != request.submission_ids_size()) {
    status = grpc::Status(grpc::StatusCode::INTERNAL,
                          "the answer has not one receipt for each id");
  }
  for (int i = 0; i < request.submission_ids_size(); ++i) {
    ReceiptRow row;
    row.submission_id = request.submission_ids(i);
    if (status.ok()) {
      row.receipt = std::move(*response.mutable_receipts(i));
    } else {
      row.error = DescribeError(status);
    }
    sink(row);
  }
}

}  // namespace

absl::StatusOr<FileSubmission> ReadSubmission(const std::string& path,
                                              const SubmitOptions& options) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  auto fhir = ParseFhirJson(*bytes);
  if (!fhir.ok()) return fhir.status();

  FileSubmission submission;
  submission.request.set_submission_id(
      SubmissionId(options.study_id, fhir->id, *bytes));
  submission.request.set_study_id(options.study_id);
  submission.request.set_site_id(options.site_id);
  *submission.request.mutable_response() = std::move(fhir->response);
  submission.left_out = std::move(fhir->left_out);
  return submission;
}

ReceiptRow SubmitFile(v1::Ingestion::StubInterface& ingestion,
                      const std::string& path, const SubmitOptions& options) {
  ReceiptRow row;
  row.file = path;
  const auto submission = ReadSubmission(path, options);
  if (!submission.ok()) {
    row.error = NotSent(submission.status());
    return row;
  }
  row.submission_id = submission->request.submission_id();
  row.left_out = submission->left_out;
  v1::Receipt receipt;
  const grpc::Status status =
      Call(options.call, [&](grpc::ClientContext& context) {
        return ingestion.Submit(&context, submission->request, &receipt);
      });
  if (status.ok()) {
    row.receipt = std::move(receipt);
  } else {
    row.error = DescribeError(status);
  }
  return row;
}

void FetchReceipts(v1::Ingestion::StubInterface& ingestion,
                   const std::string& study_id,
                   const std::vector<std::string>& submission_ids,
                   const CallOptions& options,
                   absl::FunctionRef<void(const ReceiptRow&)> sink) {
  for (std::size_t begin = 0; begin < submission_ids.size();
       begin += kIdsPerCallMax) {
    const std::size_t end =
        std::min(begin + kIdsPerCallMax, submission_ids.size());
    v1::GetReceiptsRequest request;
    request.set_study_id(study_id);
    for (std::size_t i = begin; i < end; ++i) {
      request.add_submission_ids(submission_ids[i]);
    }
    FetchSome(ingestion, request, options, sink);
  }
}

}  // namespace sluice

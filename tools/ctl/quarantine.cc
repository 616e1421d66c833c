#include "tools/ctl/quarantine.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "tools/ctl/export_format.h"

namespace sluice {
namespace {

// Limits of the service.
constexpr int kPageSize = 1000;
constexpr std::size_t kRetriesPerCallMax = 10'000;

grpc::Status RetrySome(v1::Admin::StubInterface& admin,
                       const v1::RetryQuarantinedRequest& request,
                       const CallOptions& options,
                       v1::RetryQuarantinedResponse* answer) {
  v1::RetryQuarantinedResponse response;
  const grpc::Status status = Call(options, [&](grpc::ClientContext& context) {
    return admin.RetryQuarantined(&context, request, &response);
  });
  if (status.ok()) answer->MergeFrom(response);
  return status;
}

}  // namespace

grpc::Status ListQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(const v1::QuarantinedSubmission&)> sink) {
  v1::ListQuarantineRequest request;
  request.set_pool(pool);
  request.set_page_size(kPageSize);
  for (;;) {
    v1::ListQuarantineResponse response;
    const grpc::Status status =
        Call(options, [&](grpc::ClientContext& context) {
          return admin.ListQuarantine(&context, request, &response);
        });
    if (!status.ok()) return status;
    for (const auto& entry : response.entries()) {
      if (!sink(entry)) return grpc::Status::OK;
    }
    // A page is empty if all its entries were retried meanwhile.
    if (!response.more() || response.entries().empty()) return status;
    request.set_after_sequence(response.entries().rbegin()->sequence());
  }
}

grpc::Status RetryQuarantined(v1::Admin::StubInterface& admin,
                              const std::string& pool,
                              const std::vector<std::int64_t>& sequences,
                              const CallOptions& options,
                              v1::RetryQuarantinedResponse* answer) {
  v1::RetryQuarantinedRequest request;
  request.set_pool(pool);
  if (sequences.empty()) {
    request.set_all(true);
    return RetrySome(admin, request, options, answer);
  }
  for (std::size_t begin = 0; begin < sequences.size();
       begin += kRetriesPerCallMax) {
    const std::size_t end =
        std::min(begin + kRetriesPerCallMax, sequences.size());
    request.clear_sequences();
    for (std::size_t i = begin; i < end; ++i) {
      request.add_sequences(sequences[i]);
    }
    const grpc::Status status = RetrySome(admin, request, options, answer);
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

grpc::Status GetQuarantined(v1::Admin::StubInterface& admin,
                            const v1::GetQuarantinedRequest& request,
                            const CallOptions& options,
                            v1::GetQuarantinedResponse* response) {
  return Call(options, [&](grpc::ClientContext& context) {
    return admin.GetQuarantined(&context, request, response);
  });
}

grpc::Status DiscardQuarantined(v1::Admin::StubInterface& admin,
                                const v1::DiscardQuarantinedRequest& request,
                                const CallOptions& options) {
  v1::DiscardQuarantinedResponse response;
  return Call(options, [&](grpc::ClientContext& context) {
    return admin.DiscardQuarantined(&context, request, &response);
  });
}

grpc::Status ListDiscarded(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<void(const v1::DiscardedSubmission&)> sink) {
  v1::ListDiscardedRequest request;
  request.set_pool(pool);
  request.set_page_size(kPageSize);
  for (;;) {
    v1::ListDiscardedResponse response;
    const grpc::Status status =
        Call(options, [&](grpc::ClientContext& context) {
          return admin.ListDiscarded(&context, request, &response);
        });
    if (!status.ok()) return status;
    for (const auto& record : response.records()) sink(record);
    if (!response.more() || response.records().empty()) return status;
    request.set_after_number(response.records().rbegin()->number());
  }
}

QuarantineReport ExportQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(absl::string_view)> sink) {
  QuarantineReport report;
  grpc::Status failed;
  report.status = ListQuarantine(
      admin, pool, options, [&](const v1::QuarantinedSubmission& entry) {
        if (entry.kind() != v1::QUESTIONNAIRE_RESPONSE) {
          ++report.left_out;
          return true;
        }
        v1::GetQuarantinedRequest request;
        request.set_pool(entry.pool());
        request.set_sequence(entry.sequence());
        v1::GetQuarantinedResponse response;
        failed = GetQuarantined(admin, request, options, &response);
        if (failed.error_code() == grpc::StatusCode::NOT_FOUND) {
          failed = grpc::Status::OK;  // was retried meanwhile
          return true;
        }
        if (!failed.ok()) return false;
        const auto line = FormatQuarantined(response);
        if (!line.ok()) {
          report.damaged.push_back(entry.sequence());
          return true;
        }
        ++report.written;
        if (!sink(*line)) failed = grpc::Status::CANCELLED;
        return failed.ok();
      });
  if (report.status.ok()) report.status = failed;
  return report;
}

}  // namespace sluice

// An Admin service that does as the test says, for tests of its clients.

#ifndef SLUICE_TESTS_FAKES_FAKE_ADMIN_H_
#define SLUICE_TESTS_FAKES_FAKE_ADMIN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "grpcpp/server.h"
#include "sluice/v1/admin.grpc.pb.h"

namespace sluice {

// Thread-safe; serves on a port of its own from construction on.
class FakeAdmin final : private v1::Admin::Service {
 public:
  FakeAdmin();
  ~FakeAdmin() override;

  // "127.0.0.1:" and the port.
  std::string target() const;

  void AddQuarantined(v1::GetQuarantinedResponse quarantined);
  // Retries are not taken, and this is why.
  void LeaveInQuarantine(const std::string& reason);

  // Exports are these responses, one after the other, and end so.
  void AddExported(v1::ExportedSubmission submission);
  void AddGap(std::int64_t first, std::int64_t last,
              v1::SequenceGap::Reason reason);
  void AddProgress(std::int64_t sequence, std::int64_t last_sequence);
  void EndExportsWith(const grpc::Status& status);

  std::vector<v1::ExportRequest> exports() const;
  std::vector<v1::RetryQuarantinedRequest> retries() const;

 private:
  grpc::Status ListQuarantine(grpc::ServerContext* context,
                              const v1::ListQuarantineRequest* request,
                              v1::ListQuarantineResponse* response) override;
  grpc::Status GetQuarantined(grpc::ServerContext* context,
                              const v1::GetQuarantinedRequest* request,
                              v1::GetQuarantinedResponse* response) override;
  grpc::Status RetryQuarantined(
      grpc::ServerContext* context, const v1::RetryQuarantinedRequest* request,
      v1::RetryQuarantinedResponse* response) override;
  grpc::Status Export(grpc::ServerContext* context,
                      const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mutex_;
  std::map<std::int64_t, v1::GetQuarantinedResponse> quarantined_
      ABSL_GUARDED_BY(mutex_);
  std::string left_reason_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ExportResponse> exported_ ABSL_GUARDED_BY(mutex_);
  grpc::Status export_status_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ExportRequest> exports_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::RetryQuarantinedRequest> retries_ ABSL_GUARDED_BY(mutex_);
};

// A questionnaire response of study S with one answer, with its hash.
v1::ExportedSubmission ExportedResponse(std::int64_t sequence);
// The same in the quarantine of pool clinical.
v1::GetQuarantinedResponse QuarantinedResponse(std::int64_t sequence);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_ADMIN_H_

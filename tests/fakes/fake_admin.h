// An Admin service for tests of its clients. Tests choose its answers.

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

// Thread-safe. Serves on a free port from construction on.
class FakeAdmin final : private v1::Admin::Service {
 public:
  FakeAdmin();
  ~FakeAdmin() override;

  // Returns the host and port, such as "127.0.0.1:50052".
  std::string target() const;

  void AddQuarantined(v1::GetQuarantinedResponse quarantined);
  // Makes all retries fail: the submissions stay in quarantine for `reason`.
  void LeaveInQuarantine(const std::string& reason);

  // Sets the responses of exports: the added responses in this order, then the
  // given status.
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
  grpc::Status DiscardQuarantined(
      grpc::ServerContext* context,
      const v1::DiscardQuarantinedRequest* request,
      v1::DiscardQuarantinedResponse* response) override;
  grpc::Status ListDiscarded(grpc::ServerContext* context,
                             const v1::ListDiscardedRequest* request,
                             v1::ListDiscardedResponse* response) override;
  // Returns a backup of a journal, without a store if the name is "journals".
  // ALREADY_EXISTS if the name is "taken".
  grpc::Status Backup(grpc::ServerContext* context,
                      const v1::BackupRequest* request,
                      v1::BackupResponse* response) override;
  grpc::Status Export(grpc::ServerContext* context,
                      const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mutex_;
  std::map<std::int64_t, v1::GetQuarantinedResponse> quarantined_
      ABSL_GUARDED_BY(mutex_);
  std::vector<v1::DiscardedSubmission> discarded_ ABSL_GUARDED_BY(mutex_);
  std::string left_reason_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ExportResponse> exported_ ABSL_GUARDED_BY(mutex_);
  grpc::Status export_status_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ExportRequest> exports_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::RetryQuarantinedRequest> retries_ ABSL_GUARDED_BY(mutex_);
};

// Returns a questionnaire response of study S with one answer, and its hash.
v1::ExportedSubmission ExportedResponse(std::int64_t sequence);
// Returns the response of ExportedResponse as an entry in the quarantine of the
// pool `clinical`.
v1::GetQuarantinedResponse QuarantinedResponse(std::int64_t sequence);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_ADMIN_H_

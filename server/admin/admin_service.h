// The service of admin.proto. gRPC calls it on its own threads, one for each
// call, so that calls may wait for the store and for slow clients.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_
#define SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/sync_stream.h"
#include "server/admin/admin_backend.h"
#include "sluice/v1/admin.grpc.pb.h"

namespace sluice {

// Thread-safe.
class AdminService final : public v1::Admin::Service {
 public:
  static constexpr int kExportsMax = 4;
  static constexpr int kPageSize = 100;
  static constexpr int kPageSizeMax = 1000;
  static constexpr int kRetriesMax = 10'000;
  static constexpr std::size_t kReasonBytesMax = 1000;
  static constexpr std::size_t kNameBytesMax = 200;
  // GetQuarantined returns a larger content without parsing it.
  static constexpr std::size_t kParsedBytesMax = std::size_t{4} << 20;

  // `backend` must outlive the service.
  explicit AdminService(AdminBackend* backend) : backend_(*backend) {}

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
  grpc::Status Export(grpc::ServerContext* context,
                      const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;

  // Implemented in admin_backup.cc.
  grpc::Status Backup(grpc::ServerContext* context,
                      const v1::BackupRequest* request,
                      v1::BackupResponse* response) override;

  // Returns the number of exports in progress.
  int exports() const;

 private:
  // Returns `pool`, or all pools with a quarantine if `pool` is empty.
  // NOT_FOUND if the pool has no quarantine.
  absl::StatusOr<std::vector<std::string>> SelectPools(
      const std::string& pool) const;
  // Counts a new export. Returns false if kExportsMax are in progress already.
  // Each success needs an EndExport.
  bool BeginExport();
  void EndExport();

  AdminBackend& backend_;

  mutable absl::Mutex mutex_;
  int exports_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_

// The service of admin.proto. gRPC calls it on threads of its own, one for each
// call, so it may wait for the store and for its callers.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_
#define SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_

#include <cstddef>

#include "absl/base/thread_annotations.h"
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
  // A larger content is not parsed for GetQuarantined.
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
  grpc::Status Export(grpc::ServerContext* context,
                      const v1::ExportRequest* request,
                      grpc::ServerWriter<v1::ExportResponse>* writer) override;

  // Exports in progress.
  int exports() const;

 private:
  // Those of the pool, or of all where it is empty. NOT_FOUND where it has no
  // quarantine.
  absl::StatusOr<std::vector<PoolQuarantine>> Quarantines(
      const std::string& pool) const;
  bool BeginExport();
  void EndExport();

  AdminBackend& backend_;

  mutable absl::Mutex mutex_;
  int exports_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_SERVICE_H_

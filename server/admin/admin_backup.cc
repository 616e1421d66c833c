// The RPC Backup of the admin service.

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admin/admin_service.h"

namespace sluice {

grpc::Status AdminService::Backup(grpc::ServerContext* context,
                                  const v1::BackupRequest* request,
                                  v1::BackupResponse* response) {
  const auto summary = backend_.Backup(
      request->name(), [context] { return !context->IsCancelled(); });
  if (!summary.ok()) {
    return {static_cast<grpc::StatusCode>(summary.status().code()),
            std::string(summary.status().message())};
  }
  response->set_directory(summary->directory);
  response->set_has_store(summary->has_store);
  for (const BackupSummary::File& file : summary->files) {
    v1::BackupFile* added = response->add_files();
    added->set_name(file.name);
    added->set_key(file.key);
    added->set_bytes(file.bytes);
  }
  return grpc::Status::OK;
}

}  // namespace sluice

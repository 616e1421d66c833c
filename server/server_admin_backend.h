// Gives the admin service access to the pools, journals and store of a server.

#ifndef SLUICE_SERVER_SERVER_ADMIN_BACKEND_H_
#define SLUICE_SERVER_SERVER_ADMIN_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/admin/admin_backend.h"
#include "server/backups.h"
#include "server/methods.h"
#include "server/pools.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

class ServerAdminBackend final : public AdminBackend {
 public:
  // The pointers must outlive this object. Backups are made below
  // `backup_directory`; none can be made if it is empty.
  ServerAdminBackend(Store* store, const Pools* pools, const Methods* methods,
                     std::string backup_directory)
      : store_(*store),
        pools_(*pools),
        methods_(*methods),
        backups_(std::move(backup_directory), pools, store) {}

  Store& store() override { return store_; }
  std::vector<std::string> QuarantinePools() override;
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(
      const std::string& pool, std::int64_t after, std::size_t max,
      bool with_content) override;
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      const std::string& pool, std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::Status RetryQuarantined(const std::string& pool,
                                std::int64_t sequence) override;
  absl::Status DiscardQuarantined(const std::string& pool,
                                  std::int64_t sequence,
                                  std::string_view reason,
                                  std::string_view by) override;
  absl::StatusOr<std::vector<Discarded>> ListDiscarded(
      const std::string& pool, std::int64_t after, std::size_t max) override;
  absl::StatusOr<BackupSummary> Backup(
      const std::string& name, const std::function<bool()>& go_on) override;
  std::int64_t LastSequence() override;
  absl::StatusOr<std::vector<std::int64_t>> PendingSequences() override;

 private:
  Store& store_;
  const Pools& pools_;
  const Methods& methods_;
  Backups backups_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SERVER_ADMIN_BACKEND_H_

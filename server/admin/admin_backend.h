// The interface through which the admin service uses the server.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_
#define SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/admin/backup_summary.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// Thread-safe. Pools have the names of the configuration; the argument `pool`
// must be one of QuarantinePools. Calls may block.
class AdminBackend {
 public:
  virtual ~AdminBackend() = default;

  // Returns the store, which outlives the backend.
  virtual Store& store() = 0;

  // Returns the pools that have a journal, and therefore a quarantine.
  virtual std::vector<std::string> QuarantinePools() = 0;
  // Like Journal::ListQuarantine and Journal::FindQuarantined, for one pool.
  virtual absl::StatusOr<std::vector<Quarantined>> ListQuarantine(
      const std::string& pool, std::int64_t after, std::size_t max,
      bool with_content) = 0;
  virtual absl::StatusOr<std::vector<std::optional<Quarantined>>>
  FindQuarantined(const std::string& pool, std::string_view study_id,
                  absl::Span<const std::string> submission_ids) = 0;
  // Moves a submission out of quarantine and into the pool's queue. NOT_FOUND
  // if no quarantined submission has this sequence number. After any other
  // error the submission is still in quarantine. If IsTransient(error), retries
  // of other submissions would fail as well.
  virtual absl::Status RetryQuarantined(const std::string& pool,
                                        std::int64_t sequence) = 0;

  // Like Journal::Discard and Journal::ListDiscarded, for one pool.
  virtual absl::Status DiscardQuarantined(const std::string& pool,
                                          std::int64_t sequence,
                                          std::string_view reason,
                                          std::string_view by) = 0;
  virtual absl::StatusOr<std::vector<Discarded>> ListDiscarded(
      const std::string& pool, std::int64_t after, std::size_t max) = 0;

  // Copies the journals and the store to the new directory `name`, like
  // Backups::Make. Ends with CANCELLED soon after `go_on` has returned false.
  virtual absl::StatusOr<BackupSummary> Backup(
      const std::string& name, const std::function<bool()>& go_on) = 0;

  // Returns the sequence number that was assigned last. Before the first
  // submission: the number before the first that will be assigned.
  virtual std::int64_t LastSequence() = 0;
  // Returns the sequence numbers of all submissions that are in work or queued,
  // in memory or in a journal. If LastSequence returned N before, every number
  // up to N is included, unless its submission has been stored (also as a gap),
  // quarantined, discarded or refused.
  virtual absl::StatusOr<std::vector<std::int64_t>> PendingSequences() = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_

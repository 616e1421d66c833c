#include "server/server_admin_backend.h"

#include "server/replay.h"
#include "spdlog/spdlog.h"

namespace sluice {

std::vector<std::string> ServerAdminBackend::QuarantinePools() {
  std::vector<std::string> names;
  for (const auto& [name, pool] : pools_.by_name()) {
    if (pool.journal != nullptr) names.push_back(name);
  }
  return names;
}

absl::StatusOr<std::vector<Quarantined>> ServerAdminBackend::ListQuarantine(
    const std::string& pool, std::int64_t after, std::size_t max,
    bool with_content) {
  return pools_.at(pool).journal->ListQuarantine(after, max, with_content);
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
ServerAdminBackend::FindQuarantined(
    const std::string& pool, std::string_view study_id,
    absl::Span<const std::string> submission_ids) {
  return pools_.at(pool).journal->FindQuarantined(study_id, submission_ids);
}

absl::Status ServerAdminBackend::RetryQuarantined(const std::string& pool,
                                                  std::int64_t sequence) {
  return sluice::RetryQuarantined(pools_.at(pool), methods_, sequence);
}

absl::Status ServerAdminBackend::DiscardQuarantined(const std::string& pool,
                                                    std::int64_t sequence,
                                                    std::string_view reason,
                                                    std::string_view by) {
  const ServerPool& with_journal = pools_.at(pool);
  const absl::Status status =
      with_journal.journal->Discard(sequence, reason, by);
  if (!status.ok()) return status;
  with_journal.UpdateQuarantineMetrics();
  // The name and the reason may be personal data, so only the journal's file
  // has them, not the log.
  spdlog::warn("discarded from quarantine: pool={} sequence={}", pool,
               sequence);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Discarded>> ServerAdminBackend::ListDiscarded(
    const std::string& pool, std::int64_t after, std::size_t max) {
  return pools_.at(pool).journal->ListDiscarded(after, max);
}

absl::StatusOr<BackupSummary> ServerAdminBackend::Backup(
    const std::string& name, const std::function<bool()>& go_on) {
  return backups_.Make(name, {.go_on = go_on});
}

std::int64_t ServerAdminBackend::LastSequence() {
  return pools_.last_sequence();
}

absl::StatusOr<std::vector<std::int64_t>>
ServerAdminBackend::PendingSequences() {
  return pools_.PendingSequences();
}

}  // namespace sluice

#include "server/server_admin_backend.h"

#include "server/replay.h"

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

std::int64_t ServerAdminBackend::LastSequence() {
  return pools_.last_sequence();
}

std::vector<std::int64_t> ServerAdminBackend::PendingSequences() {
  return pools_.PendingSequences();
}

}  // namespace sluice

// The quarantine of a journal, for the admin service.

#ifndef SLUICE_SERVER_ADMIN_JOURNAL_QUARANTINE_H_
#define SLUICE_SERVER_ADMIN_JOURNAL_QUARANTINE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/admin/admin_backend.h"
#include "stores/journal.h"

namespace sluice {

class JournalQuarantine final : public Quarantine {
 public:
  // `journal` must outlive this.
  explicit JournalQuarantine(Journal* journal) : journal_(journal) {}

  absl::StatusOr<std::vector<Quarantined>> List(std::int64_t after,
                                                std::size_t max,
                                                bool with_content) override {
    return journal_->ListQuarantine(after, max, with_content);
  }
  absl::StatusOr<std::vector<std::optional<Quarantined>>> Find(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    return journal_->FindQuarantined(study_id, submission_ids);
  }

 private:
  Journal* const journal_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_JOURNAL_QUARANTINE_H_

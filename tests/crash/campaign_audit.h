// The breaches that a campaign finds while it runs and at its end.

#ifndef SLUICE_TESTS_CRASH_CAMPAIGN_AUDIT_H_
#define SLUICE_TESTS_CRASH_CAMPAIGN_AUDIT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/crash/audit.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/ledger.h"

namespace sluice {

// Readers of the content of the store and of each quarantine.
using ContentReaders = std::vector<std::unique_ptr<ContentReader>>;

// Must be used by one thread.
class CampaignAudit {
 public:
  // `ledger` must outlive this object.
  explicit CampaignAudit(Ledger& ledger) : ledger_(ledger) {}

  // Records a breach that concerns a server, not a submission.
  void AddIncident(std::string text);
  std::int64_t incidents() const { return incidents_.breaches; }

  // Checks the answers that were received since the last call.
  absl::Status CheckNews(const ContentReaders& readers);
  // Checks all answers, at the end.
  absl::Status CheckAll(const ContentReaders& readers);

  bool found_breach() const {
    return early_.breaches > 0 || incidents_.breaches > 0;
  }
  // Number of answers checked by CheckNews.
  std::int64_t early_answers() const { return early_.answers; }
  // Returns the report of CheckAll with all other breaches.
  AuditReport Report() const;

 private:
  Ledger& ledger_;
  AuditReport incidents_;
  AuditReport early_;
  AuditReport all_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_AUDIT_H_

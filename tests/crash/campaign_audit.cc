#include "tests/crash/campaign_audit.h"

#include <utility>

namespace sluice {

void CampaignAudit::AddIncident(std::string text) {
  incidents_.AddBreach(std::move(text));
}

absl::Status CampaignAudit::CheckNews(const ContentReaders& readers) {
  for (const LedgerKey& key : ledger_.TakeNews()) {
    Findings findings;
    for (const auto& reader : readers) {
      if (absl::Status s = reader->Read(key, findings); !s.ok()) return s;
    }
    AuditKey(key, ledger_.Find(key), findings, early_);
  }
  return absl::OkStatus();
}

absl::Status CampaignAudit::CheckAll(const ContentReaders& readers) {
  FindingsByKey findings;
  for (const auto& reader : readers) {
    if (absl::Status s = reader->ReadAll(findings); !s.ok()) return s;
  }
  all_ = AuditAll(ledger_, findings);
  return absl::OkStatus();
}

AuditReport CampaignAudit::Report() const {
  AuditReport report = all_;
  // Incidents come first: missing submissions may be their consequence.
  report.breaches += incidents_.breaches;
  report.breach_texts.insert(report.breach_texts.begin(),
                             incidents_.breach_texts.begin(),
                             incidents_.breach_texts.end());
  // If a submission was missing at an earlier check and is stored now, it was
  // acknowledged too early. This is a breach.
  if (report.breaches == 0) {
    for (const std::string& text : early_.breach_texts) report.AddBreach(text);
  }
  return report;
}

}  // namespace sluice

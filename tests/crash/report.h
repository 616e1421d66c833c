// The report of a campaign.

#ifndef SLUICE_TESTS_CRASH_REPORT_H_
#define SLUICE_TESTS_CRASH_REPORT_H_

#include <string>

#include "tests/crash/campaign.h"

namespace sluice {

// Returns lines of text: the rounds, the checks, and the breaches, up to
// AuditReport::kBreachTextsMax of them.
std::string CampaignReport(const CampaignOptions& options,
                           const CampaignResult& result);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_REPORT_H_

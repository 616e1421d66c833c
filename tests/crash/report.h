// What a campaign tells at its end.

#ifndef SLUICE_TESTS_CRASH_REPORT_H_
#define SLUICE_TESTS_CRASH_REPORT_H_

#include <string>

#include "tests/crash/campaign.h"

namespace sluice {

// Lines of text: what was done, what was checked, and every breach (of many,
// the first).
std::string CampaignReport(const CampaignOptions& options,
                           const CampaignResult& result);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_REPORT_H_

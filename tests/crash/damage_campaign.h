// Rounds of damage: kills a server under load, damages one of its files, and
// starts the server again. Each round has new data.
//
// The start must name the damage, or nothing that was acknowledged may be
// missing. If the start stops, the campaign starts the server again with
// --accept-damage. What the server named as lost must then cover what is
// missing.

#ifndef SLUICE_TESTS_CRASH_DAMAGE_CAMPAIGN_H_
#define SLUICE_TESTS_CRASH_DAMAGE_CAMPAIGN_H_

#include <atomic>

#include "absl/status/statusor.h"
#include "base/progress_bar.h"
#include "tests/crash/campaign.h"

namespace sluice {

// For the store `sqlite`. Otherwise as RunCampaign.
absl::StatusOr<CampaignResult> RunDamageCampaign(const CampaignOptions& options,
                                                 ProgressBar& progress,
                                                 const std::atomic<bool>& stop);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_DAMAGE_CAMPAIGN_H_

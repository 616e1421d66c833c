// Rounds of faults: several servers share a PostgreSQL database that has
// standbys, and clients call all servers.
//
// Each round plays one to three faults (faults.h) under load, repairs
// everything, and waits until each server acknowledges again. A lost primary
// comes back as a new standby.

#ifndef SLUICE_TESTS_CRASH_CLUSTER_CAMPAIGN_H_
#define SLUICE_TESTS_CRASH_CLUSTER_CAMPAIGN_H_

#include <atomic>

#include "absl/status/statusor.h"
#include "base/progress_bar.h"
#include "tests/crash/campaign.h"

namespace sluice {

// Runs a campaign like RunCampaign. The option `store` must be "postgres", and
// `disk` must be kAsItIs.
absl::StatusOr<CampaignResult> RunClusterCampaign(
    const CampaignOptions& options, ProgressBar& progress,
    const std::atomic<bool>& stop);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CLUSTER_CAMPAIGN_H_

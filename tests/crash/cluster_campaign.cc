#include "tests/crash/cluster_campaign.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/crash/campaign_audit.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/faults.h"
#include "tests/crash/ledger.h"
#include "tests/crash/postgres_cluster.h"
#include "tests/crash/server_fleet.h"
#include "tests/postgres/local_postgres.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFaultsMax = 3;
// Longest time until the next fault. Usually a fault follows after a number of
// acknowledgements, but an earlier fault may stop the acknowledgements.
constexpr absl::Duration kBetweenFaultsMax = absl::Milliseconds(700);

PostgresClusterOptions ClusterOptions(const CampaignOptions& options) {
  return {.folder = options.folder + "/postgres",
          .standbys = options.standbys,
          .synchronous = options.mistake != Mistake::kAsynchronous,
          .promote_highest = options.mistake != Mistake::kLowestPromoted};
}

class ClusterCampaign {
 public:
  explicit ClusterCampaign(const CampaignOptions& options)
      : options_(options),
        random_(options.seed),
        audit_(ledger_),
        cluster_(ClusterOptions(options)),
        servers_(options, cluster_.Url(), ledger_, audit_) {}

  absl::StatusOr<CampaignResult> Run(ProgressBar& progress,
                                     const std::atomic<bool>& stop);

 private:
  absl::Status Prepare();
  absl::Status RunRound(int round);
  absl::Status PlayFault();
  absl::Status CheckNews();
  absl::Status AuditTheEnd(int round);
  absl::StatusOr<ContentReaders> OpenContent();

  const CampaignOptions options_;
  std::mt19937_64 random_;
  Ledger ledger_;
  CampaignAudit audit_;
  // Outlives the servers, so that they stop before their database.
  PostgresCluster cluster_;
  ServerFleet servers_;
  CampaignResult result_;
};

absl::StatusOr<CampaignResult> ClusterCampaign::Run(
    ProgressBar& progress, const std::atomic<bool>& stop) {
  const absl::Time begun = absl::Now();
  absl::Status status = Prepare();
  for (int round = 1; status.ok() && round <= options_.rounds; ++round) {
    if (stop || audit_.found_breach()) break;
    status = RunRound(round);
    result_.rounds = round;
    progress.Show(static_cast<double>(round) / options_.rounds,
                  absl::StrCat("round ", round, " of ", options_.rounds, ", ",
                               ledger_.acknowledged(), " acknowledged"));
  }
  if (status.ok()) status = AuditTheEnd(result_.rounds + 1);
  progress.Clear();
  if (!status.ok()) return status;
  result_.audit = audit_.Report();
  result_.early_answers = audit_.early_answers();
  result_.answers = ledger_.counts();
  result_.time = absl::Now() - begun;
  return std::move(result_);
}

absl::Status ClusterCampaign::Prepare() {
  const std::string folder = ClusterOptions(options_).folder;
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " exists, perhaps from an earlier campaign"));
  }
  absl::Status status = AdmitOtherUsers(options_.folder);
  if (status.ok()) status = cluster_.Create();
  if (status.ok()) status = servers_.Prepare();
  return status;
}

absl::Status ClusterCampaign::RunRound(int round) {
  absl::Status status = servers_.Repair(round);
  const std::uint64_t faults = 1 + random_() % kFaultsMax;
  for (std::uint64_t i = 0; i < faults; ++i) {
    if (status.ok() && !audit_.found_breach()) status = PlayFault();
  }
  if (!status.ok()) return status;

  status = cluster_.Repair();
  const absl::Time repaired = absl::Now();
  if (status.ok()) status = servers_.Repair(round);
  if (!status.ok()) return status;
  servers_.AwaitAcknowledgements();
  result_.longest_recovery =
      std::max(result_.longest_recovery, absl::Now() - repaired);
  servers_.StopClients();
  return round % options_.check_every == 0 ? CheckNews() : absl::OkStatus();
}

absl::Status ClusterCampaign::PlayFault() {
  const auto max = static_cast<std::uint64_t>(options_.acknowledgements_max);
  const auto count = static_cast<std::int64_t>(random_() % max);
  ledger_.AwaitAcknowledged(ledger_.acknowledged() + count,
                            absl::Now() + kBetweenFaultsMax);
  const absl::Span<const Fault> faults = AllFaults();
  const Fault& fault = faults[random_() % faults.size()];
  FaultStage stage{.cluster = cluster_, .servers = servers_, .random = random_};
  const auto played = fault.play(stage);
  if (played.ok() && *played) ++result_.faults[fault.name];
  return played.status();
}

absl::Status ClusterCampaign::CheckNews() {
  servers_.AwaitQueuesEmpty();
  if (audit_.incidents() > 0) return absl::OkStatus();
  const auto readers = OpenContent();
  if (!readers.ok()) return readers.status();
  return audit_.CheckNews(*readers);
}

absl::Status ClusterCampaign::AuditTheEnd(int round) {
  absl::Status status = cluster_.Repair();
  if (status.ok()) status = servers_.Repair(round);
  if (!status.ok()) return status;
  servers_.StopClients();
  servers_.AwaitQueuesEmpty();
  servers_.Stop();
  const auto readers = OpenContent();
  if (!readers.ok()) return readers.status();
  return audit_.CheckAll(*readers);
}

absl::StatusOr<ContentReaders> ClusterCampaign::OpenContent() {
  auto readers = servers_.OpenQuarantines();
  if (!readers.ok()) return readers;
  auto store = OpenPostgresContent(cluster_.PrimaryUrl());
  if (!store.ok()) return store.status();
  readers->push_back(*std::move(store));
  return readers;
}

}  // namespace

absl::StatusOr<CampaignResult> RunClusterCampaign(
    const CampaignOptions& options, ProgressBar& progress,
    const std::atomic<bool>& stop) {
  return ClusterCampaign(options).Run(progress, stop);
}

}  // namespace sluice

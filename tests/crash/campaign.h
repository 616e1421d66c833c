// Rounds of kill -9: starts a server on the same data again and again, kills it
// at a random moment while clients call it, and then checks the answers of the
// clients against the stored submissions.

#ifndef SLUICE_TESTS_CRASH_CAMPAIGN_H_
#define SLUICE_TESTS_CRASH_CAMPAIGN_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/progress_bar.h"
#include "tests/crash/audit.h"
#include "tests/crash/ledger.h"
#include "tests/crash/server_config.h"
#include "tests/crash/traffic.h"

namespace sluice {

enum class DiskMode {
  kAsItIs,    // kill -9: data survive once written
  kPowerCut,  // power cut: data survive once synced
  kLies,      // a power cut on a disk whose syncs do nothing
};

// A mistake in the operation of a PostgreSQL cluster, which a campaign with
// standbys must find.
enum class Mistake {
  kNone,
  kAsynchronous,     // commits wait for no standby
  kIgnoredWarnings,  // the servers do not see PostgreSQL's warnings
  kLowestPromoted,   // the standby that received the least is promoted
};

struct CampaignOptions {
  std::string server;        // path of the program `sluice`
  std::string disk_library;  // built from lying_disk.cc; unused with kAsItIs
  std::string deaf_library;  // built from deaf_libpq.cc; for kIgnoredWarnings
  std::string folder;        // absolute path of an existing folder
  std::string store = "sqlite";
  AckMode ack = AckMode::kStored;
  DiskMode disk = DiskMode::kAsItIs;
  // If the store is a server: percentage of rounds in which the store is killed
  // too.
  int store_kills_percent = 30;
  bool damage = false;  // damage_campaign.h
  int servers = 1;
  int standbys = 0;
  Mistake mistake = Mistake::kNone;
  int rounds = 100;
  std::uint64_t seed = 1;
  Callers callers;
  // Maximum number of acknowledgements in a round under load.
  int acknowledgements_max = 1000;
  // Number of rounds between two checks of the new answers.
  int check_every = 10;
};

// True if the campaign plays the rounds of cluster_campaign.h.
inline bool IsClusterCampaign(const CampaignOptions& options) {
  return options.servers > 1 || options.standbys > 0;
}

// Number of kills of the server, by its state.
struct Kills {
  int starting = 0;   // before it served
  int replaying = 0;  // while it processed entries of earlier servers
  int idle = 0;       // while it served without load
  int under_load = 0;
};

// Number of kills of the store, if the store is a server.
struct StoreKills {
  int under_load = 0;   // the server kept running; the store was restarted
  int with_server = 0;  // the server was killed right after the store
};

struct CampaignResult {
  int rounds = 0;
  Kills kills;
  StoreKills store_kills;
  // Number of times that each fault of faults.h or damage.h was played. A
  // campaign of damage also counts the outcomes.
  std::map<absl::string_view, int> faults;
  // Longest time from the end of all faults of a round until each server had
  // acknowledged something.
  absl::Duration longest_recovery;
  AnswerCounts answers;
  std::int64_t early_answers = 0;    // number of answers checked between rounds
  std::int64_t unsynced_writes = 0;  // sum over all power cuts
  std::int64_t undone_writes = 0;    // part of `unsynced_writes`
  absl::Duration time;
  // The audit of all keys at the end. Servers that did not start, ended by
  // themselves, or did not process their queue count as breaches too.
  AuditReport audit;
};

// Runs until all rounds are done, a breach is found, or `stop` is set. Then
// audits all keys. A server that cannot start, ends by itself (as after a
// failed assertion), or does not process its queue counts as a breach. Returns
// an error if the campaign itself cannot continue.
absl::StatusOr<CampaignResult> RunCampaign(const CampaignOptions& options,
                                           ProgressBar& progress,
                                           const std::atomic<bool>& stop);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_H_

// Rounds of kill -9: starts a server on the same data again and again, kills it
// at a random moment while clients call it, and then checks the answers of the
// clients against the stored submissions.

#ifndef SLUICE_TESTS_CRASH_CAMPAIGN_H_
#define SLUICE_TESTS_CRASH_CAMPAIGN_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/progress_bar.h"
#include "tests/crash/audit.h"
#include "tests/crash/ledger.h"
#include "tests/crash/server_config.h"
#include "tests/crash/traffic.h"

namespace sluice {

enum class DiskMode {
  kAsItIs,    // kill -9: written data survive
  kPowerCut,  // data that were not synced are lost
  kLies,      // a power cut on a disk whose syncs do nothing
};

struct CampaignOptions {
  std::string server;        // path of the program `sluice`
  std::string disk_library;  // built from lying_disk.cc; unused with kAsItIs
  std::string folder;        // absolute path of an existing folder
  std::string store = "sqlite";
  AckMode ack = AckMode::kStored;
  DiskMode disk = DiskMode::kAsItIs;
  // Percentage of rounds in which a store that is a server is killed too.
  int store_kills_percent = 30;
  int rounds = 100;
  std::uint64_t seed = 1;
  Callers callers;
  // Limit of acknowledgements in a round under load.
  int acknowledgements_max = 1000;
  // Rounds between two checks of the answers since the last check.
  int check_every = 10;
};

// Number of kills, by the state of the server.
struct Kills {
  int starting = 0;   // not serving yet
  int replaying = 0;  // had not processed all entries of earlier servers
  int idle = 0;       // serving, without load
  int under_load = 0;
};

// Number of kills of a store that is a server.
struct StoreKills {
  int under_load = 0;   // the server kept running; the store was restarted
  int with_server = 0;  // the server was killed right after the store
};

struct CampaignResult {
  int rounds = 0;
  Kills kills;
  StoreKills store_kills;
  AnswerCounts answers;
  std::int64_t early_answers = 0;    // checked between rounds
  std::int64_t unsynced_writes = 0;  // at all power cuts
  std::int64_t undone_writes = 0;    // of `unsynced_writes`
  // Servers that did not start, ended by themselves, or did not process their
  // queue.
  int incidents = 0;
  absl::Duration time;
  // The audit of all keys at the end. Incidents count as breaches too.
  AuditReport audit;
};

// Runs until all rounds are done, a breach is found, or `stop` is set. Then
// audits. A server that cannot start, ends by itself (as after a failed
// assertion), or does not process its queue is a breach too. Returns an error
// if the campaign itself cannot continue.
absl::StatusOr<CampaignResult> RunCampaign(const CampaignOptions& options,
                                           ProgressBar& progress,
                                           const std::atomic<bool>& stop);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_H_

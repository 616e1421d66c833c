// Rounds of kill -9: a server is started on the same data again and again, and
// killed at a random moment, while clients call it; then what they were told is
// held against what is there.

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
  kAsItIs,    // kill -9: what was written is there
  kPowerCut,  // what was written and not synced is lost
  kLies,      // the same on a disk that does not sync: it loses
};

struct CampaignOptions {
  std::string server;        // the program `sluice`
  std::string disk_library;  // lying_disk.cc, built; not used with kAsItIs
  std::string folder;        // of the campaign, an absolute path; it exists
  std::string store = "sqlite";
  AckMode ack = AckMode::kStored;
  DiskMode disk = DiskMode::kAsItIs;
  // In so many of a hundred rounds a store that is a server is killed as well.
  int store_kills_percent = 30;
  int rounds = 100;
  std::uint64_t seed = 1;
  Callers callers;
  // A round under load ends after at most so many acknowledgements.
  int acknowledgements_max = 1000;
  // After so many rounds what was told since the last check is checked.
  int check_every = 10;
};

// How far the server was when it was killed.
struct Kills {
  int starting = 0;   // it did not serve yet
  int replaying = 0;  // it had not worked off what an earlier one had left
  int idle = 0;       // it served, and had nothing to do
  int under_load = 0;
};

// Of a store that is a server.
struct StoreKills {
  int under_load = 0;   // the server went on, and it was started again
  int with_server = 0;  // the server was killed right after it
};

struct CampaignResult {
  int rounds = 0;
  Kills kills;
  StoreKills store_kills;
  AnswerCounts answers;
  std::int64_t early_answers = 0;    // checked between the rounds
  std::int64_t unsynced_writes = 0;  // at the power cuts
  std::int64_t undone_writes = 0;    // of these
  // Servers that did not start, ended by themselves, or did not end their work.
  int incidents = 0;
  absl::Duration time;
  // Of everything, at the end. Incidents are breaches of it as well.
  AuditReport audit;
};

// Runs until the rounds are over, a breach is found, or `stop` is set; then
// audits. A server that cannot start, or does not work off what it has, is a
// breach as well. An error: the campaign itself could not go on.
absl::StatusOr<CampaignResult> RunCampaign(const CampaignOptions& options,
                                           ProgressBar& progress,
                                           const std::atomic<bool>& stop);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_H_

#include "tests/crash/faults.h"

#include <signal.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "tests/crash/limits.h"
#include "tests/postgres/local_postgres.h"

namespace sluice {
namespace {

using Played = absl::StatusOr<bool>;

constexpr absl::Duration kLastMax = absl::Milliseconds(500);
// Limit for a commit to wait for a standby. No commit waits if all servers are
// killed or paused.
constexpr absl::Duration kWaitingLimit = absl::Seconds(2);
// Limit for a main process to notice that one of its processes was killed. A
// main process that is paused does not notice.
constexpr absl::Duration kReactionLimit = absl::Seconds(2);

// Parts of the titles of PostgreSQL's processes.
constexpr absl::string_view kSession = " sluice postgres [local]";
constexpr absl::string_view kWaitingCommit = " COMMIT waiting for ";
constexpr absl::string_view kWalSender = " walsender ";
constexpr absl::string_view kWalReceiver = " walreceiver ";

Played PlayedIfOk(const absl::Status& status) {
  if (!status.ok()) return status;
  return true;
}

// Lets the fault last for a random time. Waits for no state.
void LastUpTo(FaultStage& stage, absl::Duration max) {
  WaitUntil([] { return false; },
            max * std::uniform_real_distribution<double>(0, 1)(stage.random));
}

// Picks one of `choices`, or returns null if there are none.
template <typename Choice>
const Choice* Pick(FaultStage& stage, const std::vector<Choice>& choices) {
  const std::size_t drawn = stage.random();
  return choices.empty() ? nullptr : &choices[drawn % choices.size()];
}

std::vector<PostgresProcess> Find(const LocalPostgres& postgres,
                                  absl::string_view title) {
  std::vector<PostgresProcess> found;
  if (!postgres.running()) return found;
  for (PostgresProcess& process : postgres.Processes()) {
    if (absl::StrContains(process.title, title)) {
      found.push_back(std::move(process));
    }
  }
  return found;
}

// --- Servers ---

Played KillServer(FaultStage& stage) {
  stage.servers.Kill(stage.random() % stage.servers.size());
  return true;
}

Played KillAllServers(FaultStage& stage) {
  for (std::size_t i = 0; i < stage.servers.size(); ++i) stage.servers.Kill(i);
  return true;
}

Played PauseServer(FaultStage& stage) {
  stage.servers.Pause(stage.random() % stage.servers.size());
  return true;
}

// --- One process of PostgreSQL ---

template <int kSignal>
Played SignalOne(FaultStage& stage, const LocalPostgres& postgres,
                 absl::string_view title) {
  const std::vector<PostgresProcess> found = Find(postgres, title);
  const PostgresProcess* process = Pick(stage, found);
  if (process == nullptr || kill(process->pid, kSignal) != 0) return false;
  // Wait until the main process has noticed that the process was killed. The
  // main process then ends all other processes, and refuses new sessions until
  // it has recovered.
  if (kSignal == SIGKILL) {
    WaitUntil([&] { return kill(process->pid, 0) != 0; }, kReactionLimit);
  }
  return true;
}

template <int kSignal>
Played SignalSession(FaultStage& stage) {
  return SignalOne<kSignal>(stage, stage.cluster.primary(), kSession);
}

template <int kSignal>
Played SignalWalSender(FaultStage& stage) {
  return SignalOne<kSignal>(stage, stage.cluster.primary(), kWalSender);
}

template <int kSignal>
Played SignalWalReceiver(FaultStage& stage) {
  const std::vector<LocalPostgres*> standbys = stage.cluster.standbys();
  LocalPostgres* const* standby = Pick(stage, standbys);
  if (standby == nullptr) return false;
  return SignalOne<kSignal>(stage, **standby, kWalReceiver);
}

// --- Standbys ---

Played KillStandby(FaultStage& stage) {
  const std::vector<LocalPostgres*> standbys = stage.cluster.standbys();
  LocalPostgres* const* standby = Pick(stage, standbys);
  if (standby == nullptr || !(*standby)->running()) return false;
  return PlayedIfOk((*standby)->Kill());
}

Played PauseStandby(FaultStage& stage) {
  const std::vector<LocalPostgres*> standbys = stage.cluster.standbys();
  LocalPostgres* const* standby = Pick(stage, standbys);
  if (standby == nullptr || !(*standby)->running()) return false;
  (*standby)->Pause();
  return true;
}

Played KillAllStandbys(FaultStage& stage) {
  for (LocalPostgres* standby : stage.cluster.standbys()) {
    if (!standby->running()) continue;
    if (absl::Status s = standby->Kill(); !s.ok()) return s;
  }
  LastUpTo(stage, kLastMax);
  return !stage.cluster.standbys().empty();
}

Played PauseAllStandbys(FaultStage& stage) {
  for (LocalPostgres* standby : stage.cluster.standbys()) {
    if (standby->running()) standby->Pause();
  }
  LastUpTo(stage, kLastMax);
  return !stage.cluster.standbys().empty();
}

// --- The primary ---

Played RestartPrimary(FaultStage& stage) {
  if (absl::Status s = stage.cluster.primary().Kill(); !s.ok()) return s;
  LastUpTo(stage, kLastMax);
  return PlayedIfOk(stage.cluster.primary().Start());
}

Played KillPostmaster(FaultStage& stage) {
  if (absl::Status s = stage.cluster.primary().KillMain(); !s.ok()) return s;
  return PlayedIfOk(stage.cluster.primary().Start());
}

// Prepares the loss of the primary. A quorum of one standby survives the loss
// of one node only, so nodes that were replaced are repaired first. Returns
// false if there is no standby at all.
Played PrepareLoss(FaultStage& stage) {
  if (!stage.cluster.complete()) {
    if (absl::Status s = stage.cluster.Repair(); !s.ok()) return s;
  }
  return !stage.cluster.standbys().empty();
}

Played KillPrimaryAndPromote(FaultStage& stage) {
  absl::Status status = stage.cluster.primary().Kill();
  if (status.ok()) status = stage.cluster.Promote();
  return PlayedIfOk(status);
}

Played LosePrimary(FaultStage& stage) {
  const Played prepared = PrepareLoss(stage);
  if (!prepared.ok() || !*prepared) return prepared;
  return KillPrimaryAndPromote(stage);
}

// The old primary continues after the promotion, and nothing fences it.
Played HangPrimary(FaultStage& stage) {
  const Played prepared = PrepareLoss(stage);
  if (!prepared.ok() || !*prepared) return prepared;
  LocalPostgres& old_primary = stage.cluster.primary();
  old_primary.Pause();
  LastUpTo(stage, kLastMax);
  const absl::Status promoted = stage.cluster.Promote();
  old_primary.Resume();
  return PlayedIfOk(promoted);
}

// --- Commits that wait for a standby ---

// Ends the waits of commits that no standby has, and then loses the primary.
// The rows are gone, so no server may have reported them as stored.
template <int kSignal>
Played EndWaitsAndLosePrimary(FaultStage& stage) {
  const Played prepared = PrepareLoss(stage);
  if (!prepared.ok() || !*prepared) return prepared;
  // Kill the standbys. Paused standbys would find the rows in their sockets.
  if (const Played absent = KillAllStandbys(stage); !absent.ok()) return absent;
  std::vector<PostgresProcess> waiting;
  const auto commits_wait = [&] {
    waiting = Find(stage.cluster.primary(), kWaitingCommit);
    return !waiting.empty();
  };
  if (!WaitUntil(commits_wait, kWaitingLimit)) return false;
  for (const PostgresProcess& process : waiting) kill(process.pid, kSignal);
  LastUpTo(stage, kLastMax);
  return KillPrimaryAndPromote(stage);
}

// SIGTERM is what pg_terminate_backend sends, SIGINT is what pg_cancel_backend
// sends.
constexpr Fault kFaults[] = {
    {"server killed", KillServer},
    {"all servers killed", KillAllServers},
    {"server paused", PauseServer},
    {"session killed", SignalSession<SIGKILL>},
    {"session paused", SignalSession<SIGSTOP>},
    {"session terminated", SignalSession<SIGTERM>},
    {"statement cancelled", SignalSession<SIGINT>},
    {"walsender killed", SignalWalSender<SIGKILL>},
    {"walsender paused", SignalWalSender<SIGSTOP>},
    {"walreceiver killed", SignalWalReceiver<SIGKILL>},
    {"walreceiver paused", SignalWalReceiver<SIGSTOP>},
    {"standby killed", KillStandby},
    {"standby paused", PauseStandby},
    {"all standbys killed", KillAllStandbys},
    {"all standbys paused", PauseAllStandbys},
    {"primary restarted", RestartPrimary},
    {"postmaster killed", KillPostmaster},
    {"primary lost", LosePrimary},
    {"primary hung", HangPrimary},
    {"commits cancelled", EndWaitsAndLosePrimary<SIGINT>},
    {"commits terminated", EndWaitsAndLosePrimary<SIGTERM>},
};

}  // namespace

absl::Span<const Fault> AllFaults() { return kFaults; }

}  // namespace sluice

#include "tests/crash/campaign.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/crash/campaign_audit.h"
#include "tests/crash/campaign_store.h"
#include "tests/crash/cluster_campaign.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/damage_campaign.h"
#include "tests/crash/journal_probe.h"
#include "tests/crash/limits.h"
#include "tests/crash/power_cut.h"
#include "tests/crash/receipt_check.h"
#include "tests/crash/server_process.h"
#include "tests/crash/submission_source.h"
#include "tests/crash/undo_record.h"

namespace sluice {
namespace {

constexpr char kStudy[] = "CRASH";

// Percentage of rounds that end around the start, without load, and percentage
// of rounds that end after a time. All other rounds end after a number of
// acknowledgements.
constexpr std::uint64_t kStartPercent = 20;
constexpr std::uint64_t kTimePercent = 20;
constexpr absl::Duration kTimeMax = absl::Milliseconds(400);

// Longest pause before a killed store is started again.
constexpr absl::Duration kStoreDownMax = absl::Milliseconds(500);
// Longest time between the kill of a store and the kill of its server.
constexpr absl::Duration kAfterStoreMax = absl::Milliseconds(100);

// The way in which the store is killed in a round.
enum class StoreKill {
  kNone,
  kUnderLoad,   // the store is restarted, then the server is killed
  kWithServer,  // the store is restarted before the next server
};

// The moment at which the server is killed in a round.
struct Moment {
  bool load = true;
  // Time since the start. Empty if the number of acknowledgements decides.
  std::optional<absl::Duration> after;
  std::int64_t acknowledgements = 0;  // acknowledgements in this round
};

class Campaign {
 public:
  Campaign(const CampaignOptions& options, std::unique_ptr<CampaignStore> store)
      : options_(options),
        store_(std::move(store)),
        random_(options.seed),
        source_(kStudy, options.seed) {}

  absl::StatusOr<CampaignResult> Run(ProgressBar& progress,
                                     const std::atomic<bool>& stop);

 private:
  std::string DataDir() const { return options_.folder + "/data"; }
  std::string UndoDir() const { return options_.folder + "/undo"; }
  std::string JournalPath() const { return DataDir() + "/journal.db"; }

  absl::Status Prepare();
  absl::Status RunRound(int round);
  absl::Status StartServer();
  Moment PickMoment();
  StoreKill PickStoreKill(const Moment& moment);
  absl::Duration PickUpTo(absl::Duration max);
  // Waits for the moment. Starts the load, if there is one, once the server
  // serves.
  absl::Status AwaitMoment(const Moment& moment, int round);
  absl::Status AwaitAcknowledgements(std::int64_t count);
  // Kills and restarts the store while the server keeps running.
  absl::Status RestartStore();
  // Kills the store and waits for a random time.
  absl::Status KillStore();
  absl::Status Kill(bool under_load);
  absl::Status CountKill(bool serving, bool under_load);

  // Starts a server and checks the answers that were received since the last
  // check.
  absl::Status CheckNews();
  // Starts a last server, lets it process its queue and stop, and audits all
  // keys.
  absl::Status AuditTheEnd();
  absl::Status AwaitServing();
  absl::Status AwaitQueueEmpty();
  absl::StatusOr<ContentReaders> OpenContent();

  // Waits for a random time of at most `max`.
  void WaitUpTo(absl::Duration max);

  // Records a breach that concerns the server, not a submission.
  void Incident(absl::string_view what);

  const CampaignOptions options_;
  const std::unique_ptr<CampaignStore> store_;
  std::mt19937_64 random_;
  Ledger ledger_;
  SubmissionSource source_;

  std::unique_ptr<ServerProcess> server_;
  absl::Time started_;
  std::optional<Traffic> traffic_;
  // Duration of the last complete start.
  absl::Duration start_time_ = absl::Milliseconds(50);
  // Last position in the journal when the server was started.
  std::int64_t replayed_position_ = 0;

  CampaignAudit audit_{ledger_};
  CampaignResult result_;
};

absl::StatusOr<CampaignResult> Campaign::Run(ProgressBar& progress,
                                             const std::atomic<bool>& stop) {
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
  if (status.ok()) status = AuditTheEnd();
  progress.Clear();
  if (!status.ok()) return status;

  result_.audit = audit_.Report();
  result_.early_answers = audit_.early_answers();
  result_.answers = ledger_.counts();
  result_.time = absl::Now() - begun;
  return std::move(result_);
}

absl::Status Campaign::Prepare() {
  std::error_code error;
  if (std::filesystem::exists(DataDir(), error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(DataDir(), " exists, perhaps from an earlier campaign"));
  }
  std::filesystem::create_directories(DataDir(), error);
  std::filesystem::create_directories(UndoDir(), error);
  std::ofstream file(options_.folder + "/config.yaml", std::ios::binary);
  file << ServerConfig(options_.ack, store_->Yaml(), JournalPath());
  file.close();
  if (error || file.fail()) {
    return absl::UnavailableError(
        absl::StrCat("cannot write to ", options_.folder));
  }
  return absl::OkStatus();
}

absl::Status Campaign::RunRound(int round) {
  const Moment moment = PickMoment();
  const StoreKill store_kill = PickStoreKill(moment);
  absl::Status status = StartServer();
  if (status.ok() && round % options_.check_every == 0) status = CheckNews();
  if (status.ok()) status = AwaitMoment(moment, round);
  if (status.ok() && audit_.incidents() == 0) {
    if (store_kill == StoreKill::kUnderLoad) status = RestartStore();
    if (store_kill == StoreKill::kWithServer) status = KillStore();
  }
  if (!status.ok()) return status;
  return Kill(moment.load);
}

Moment Campaign::PickMoment() {
  const std::uint64_t percent = random_() % 100;
  if (percent < kStartPercent) {
    return {.load = false, .after = PickUpTo(start_time_ * 1.3)};
  }
  if (percent < kStartPercent + kTimePercent) {
    return {.load = true, .after = PickUpTo(kTimeMax)};
  }
  const auto max = static_cast<std::uint64_t>(options_.acknowledgements_max);
  return {.load = true,
          .after = std::nullopt,
          .acknowledgements = 1 + static_cast<std::int64_t>(random_() % max)};
}

StoreKill Campaign::PickStoreKill(const Moment& moment) {
  if (!store_->is_server()) return StoreKill::kNone;
  const auto percent = static_cast<int>(random_() % 100);
  const bool with_server = random_() % 2 == 0 || moment.after.has_value();
  if (percent >= options_.store_kills_percent) return StoreKill::kNone;
  return with_server ? StoreKill::kWithServer : StoreKill::kUnderLoad;
}

absl::Duration Campaign::PickUpTo(absl::Duration max) {
  return max * std::uniform_real_distribution<double>(0, 1)(random_);
}

absl::Status Campaign::StartServer() {
  // The server needs the store to start.
  if (absl::Status s = store_->Start(); !s.ok()) return s;
  ServerCommand command;
  command.program = options_.server;
  command.arguments = {"--config", options_.folder + "/config.yaml"};
  if (options_.disk != DiskMode::kAsItIs) {
    command.environment = {absl::StrCat("LD_PRELOAD=", options_.disk_library),
                           absl::StrCat(kDiskDataVariable, "=", DataDir()),
                           absl::StrCat(kDiskUndoVariable, "=", UndoDir())};
    if (options_.disk == DiskMode::kLies) {
      command.environment.push_back(absl::StrCat(kDiskLiesVariable, "=1"));
    }
  }
  started_ = absl::Now();
  auto server = ServerProcess::Start(command);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Campaign::AwaitMoment(const Moment& moment, int round) {
  const absl::Time deadline = started_ + moment.after.value_or(kStartLimit);
  if (!server_->AwaitServing(deadline)) {
    if (!moment.after.has_value() || server_->AwaitEnd(absl::Now())) {
      Incident("the server does not start");
    }
    return absl::OkStatus();
  }
  start_time_ = std::min(start_time_ * 2, absl::Now() - started_);
  if (moment.load) {
    traffic_.emplace(server_->port(), round, options_.callers, ledger_,
                     source_);
  }
  if (moment.after.has_value()) {
    if (server_->AwaitEnd(deadline)) Incident("the server ended by itself");
    return absl::OkStatus();
  }
  return AwaitAcknowledgements(moment.acknowledgements);
}

absl::Status Campaign::AwaitAcknowledgements(std::int64_t count) {
  const std::int64_t before = ledger_.acknowledged();
  if (ledger_.AwaitAcknowledged(before + count,
                                absl::Now() + kFirstAnswerLimit)) {
    return absl::OkStatus();
  }
  if (server_->AwaitEnd(absl::Now())) {
    Incident("the server ended by itself");
  } else if (ledger_.acknowledged() == before) {
    Incident("the server acknowledged nothing");
  }
  return absl::OkStatus();
}

absl::Status Campaign::RestartStore() {
  ++result_.store_kills.under_load;
  if (absl::Status s = store_->Kill(); !s.ok()) return s;
  WaitUpTo(kStoreDownMax);
  if (absl::Status s = store_->Start(); !s.ok()) return s;
  if (audit_.incidents() > 0) return absl::OkStatus();
  const auto max = static_cast<std::uint64_t>(options_.acknowledgements_max);
  return AwaitAcknowledgements(1 + static_cast<std::int64_t>(random_() % max));
}

absl::Status Campaign::KillStore() {
  ++result_.store_kills.with_server;
  const bool serving = server_->serving();
  if (absl::Status s = store_->Kill(); !s.ok()) return s;
  // A server that is still starting may fail without its store. Only a serving
  // server must survive.
  if (serving) WaitUpTo(kAfterStoreMax);
  return absl::OkStatus();
}

void Campaign::WaitUpTo(absl::Duration max) {
  if (server_->AwaitEnd(absl::Now() + PickUpTo(max))) {
    Incident("the server ended by itself while its store was down");
  }
}

absl::Status Campaign::Kill(bool under_load) {
  const bool serving = server_->serving();
  server_->Kill();
  traffic_.reset();
  if (absl::Status s = CountKill(serving, under_load); !s.ok()) return s;
  if (options_.disk == DiskMode::kAsItIs) return absl::OkStatus();
  // In half of the cuts, no write had reached the disk before a sync.
  const bool eager_disk = random_() % 2 == 0;
  const auto cut = CutPower(DataDir(), UndoDir(), [&](std::size_t writes) {
    return eager_disk ? random_() % (writes + 1) : 0;
  });
  if (!cut.ok()) return cut.status();
  result_.unsynced_writes += static_cast<std::int64_t>(cut->writes);
  result_.undone_writes += static_cast<std::int64_t>(cut->undone);
  return absl::OkStatus();
}

absl::Status Campaign::CountKill(bool serving, bool under_load) {
  JournalLeft left;
  if (options_.ack == AckMode::kJournal) {
    auto probed = ProbeJournal(JournalPath(), options_.folder + "/probe.db",
                               replayed_position_);
    if (!probed.ok()) return probed.status();
    left = *probed;
  }
  Kills& kills = result_.kills;
  if (!serving) {
    ++kills.starting;
  } else if (left.old_entries > 0) {
    ++kills.replaying;
  } else {
    ++(under_load ? kills.under_load : kills.idle);
  }
  replayed_position_ = left.last_position;
  return absl::OkStatus();
}

absl::Status Campaign::CheckNews() {
  if (absl::Status s = AwaitServing(); !s.ok()) return s;
  if (absl::Status s = AwaitQueueEmpty(); !s.ok()) return s;
  if (audit_.incidents() > 0) return absl::OkStatus();
  auto readers = OpenContent();
  if (!readers.ok()) return readers.status();
  return audit_.CheckNews(*readers);
}

absl::Status Campaign::AuditTheEnd() {
  absl::Status status = StartServer();
  if (status.ok()) status = AwaitServing();
  if (status.ok()) status = AwaitQueueEmpty();
  if (!status.ok() || !server_->serving()) return status;
  const auto stub = v1::Ingestion::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                          grpc::InsecureChannelCredentials()));
  status = CheckReceipts(*stub, ledger_, audit_);
  if (!status.ok()) return status;
  const auto exit_code = server_->Stop(absl::Now() + kStopLimit);
  if (!exit_code.ok() || *exit_code != 0) {
    Incident("the last server did not stop with exit code 0");
  }
  auto readers = OpenContent();
  if (!readers.ok()) return readers.status();
  return audit_.CheckAll(*readers);
}

absl::Status Campaign::AwaitServing() {
  if (!server_->AwaitServing(absl::Now() + kStartLimit)) {
    Incident("the server does not start");
  }
  return absl::OkStatus();
}

absl::Status Campaign::AwaitQueueEmpty() {
  if (!AwaitWorkedOff(*server_) && audit_.incidents() == 0) {
    Incident("the server does not process its queue");
  }
  return absl::OkStatus();
}

absl::StatusOr<ContentReaders> Campaign::OpenContent() {
  ContentReaders readers;
  auto store = store_->OpenContent();
  if (!store.ok()) return store.status();
  readers.push_back(*std::move(store));
  if (options_.ack == AckMode::kJournal) {
    auto quarantine = OpenQuarantineContent(JournalPath());
    if (!quarantine.ok()) return quarantine.status();
    readers.push_back(*std::move(quarantine));
  }
  return readers;
}

void Campaign::Incident(absl::string_view what) {
  audit_.AddIncident(absl::StrCat("round ", result_.rounds + 1, ": ", what,
                                  "; its log ends with:\n",
                                  server_->LogTail()));
}

}  // namespace

absl::StatusOr<CampaignResult> RunCampaign(const CampaignOptions& options,
                                           ProgressBar& progress,
                                           const std::atomic<bool>& stop) {
  if (options.damage) return RunDamageCampaign(options, progress, stop);
  if (IsClusterCampaign(options)) {
    return RunClusterCampaign(options, progress, stop);
  }
  auto store = MakeCampaignStore(options.store, options.folder);
  if (store == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("no such kind of store: ", options.store));
  }
  return Campaign(options, std::move(store)).Run(progress, stop);
}

}  // namespace sluice

#include "tests/crash/damage_campaign.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/crash/campaign_store.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/damage.h"
#include "tests/crash/ledger.h"
#include "tests/crash/limits.h"
#include "tests/crash/loss.h"
#include "tests/crash/server_config.h"
#include "tests/crash/server_process.h"
#include "tests/crash/submission_source.h"
#include "tests/crash/traffic.h"

namespace sluice {
namespace {

constexpr char kDamagedStudy[] = "DAMAGE";

// True if the campaign damages the file. The lock and the index of the log have
// no acknowledged data.
bool MayBeDamaged(const std::filesystem::path& file) {
  const std::string name = file.filename();
  return !absl::EndsWith(name, ".lock") && !absl::EndsWith(name, "-shm") &&
         std::filesystem::is_regular_file(file) &&
         std::filesystem::file_size(file) > 0;
}

// A round: its data, and all that was told about them.
class DamageRound {
 public:
  DamageRound(const CampaignOptions& options, int round,
              std::mt19937_64& random, CampaignResult& result)
      : options_(options),
        round_(round),
        random_(random),
        result_(result),
        data_(options.folder + "/data"),
        store_(MakeCampaignStore(options.store, options.folder)),
        source_(kDamagedStudy, random()) {}

  absl::Status Run() {
    absl::Status status = Prepare();
    if (status.ok()) status = KillUnderLoad();
    if (status.ok()) status = DamageOneFile();
    if (status.ok()) status = StartAndCheck();
    return status;
  }

  // Adds the answers of the round to `counts`.
  void Count(AnswerCounts& counts) const {
    for (const auto& [what, count] : ledger_.counts()) counts[what] += count;
  }

 private:
  std::string JournalPath() const { return data_ + "/journal.db"; }

  absl::Status Prepare() {
    std::error_code error;
    std::filesystem::remove_all(data_, error);
    std::filesystem::create_directories(data_, error);
    std::ofstream file(options_.folder + "/config.yaml", std::ios::binary);
    file << ServerConfig(options_.ack, store_->Yaml(), JournalPath());
    file.close();
    if (!error && !file.fail()) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("cannot write to ", options_.folder));
  }

  absl::Status Start(bool accept_damage) {
    ServerCommand command;
    command.program = options_.server;
    command.arguments = {"--config", options_.folder + "/config.yaml"};
    if (accept_damage) command.arguments.push_back("--accept-damage");
    auto server = ServerProcess::Start(command);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  // Starts the server. Returns true if it serves. Collects what it logs.
  absl::StatusOr<bool> Serves(bool accept_damage) {
    if (absl::Status s = Start(accept_damage); !s.ok()) return s;
    const bool serves = server_->AwaitServing(absl::Now() + kStartLimit);
    if (!serves && !server_->AwaitEnd(absl::Now() + kStartLimit)) {
      Breach("the server neither serves nor ends");
    }
    absl::StrAppend(&log_, server_->LogTail());
    return serves;
  }

  absl::Status KillUnderLoad() {
    if (absl::Status s = Start(/*accept_damage=*/false); !s.ok()) return s;
    if (!server_->AwaitServing(absl::Now() + kStartLimit)) {
      log_ = server_->LogTail();
      Breach("the server does not start without damage");
      return absl::UnavailableError("no server to damage");
    }
    Traffic traffic(server_->port(), round_, options_.callers, ledger_,
                    source_);
    const auto max = static_cast<std::uint64_t>(options_.acknowledgements_max);
    ledger_.AwaitAcknowledged(1 + static_cast<std::int64_t>(random_() % max),
                              absl::Now() + kFirstAnswerLimit);
    server_->Kill();
    return absl::OkStatus();
  }

  absl::Status DamageOneFile() {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(data_)) {
      if (MayBeDamaged(file.path())) files.push_back(file.path());
    }
    if (files.empty()) return absl::NotFoundError("the server left no file");
    std::ranges::sort(files);  // the order of a folder depends on chance
    damaged_ = files[random_() % files.size()];
    const absl::Span<const Damage> damages = AllDamages();
    const Damage& damage = damages[random_() % damages.size()];
    what_ = absl::StrCat(damaged_.filename().string(), " ", damage.name);
    ++result_.faults[damage.name];
    return damage.play(damaged_, random_);
  }

  absl::Status StartAndCheck() {
    auto serves = Serves(/*accept_damage=*/false);
    if (!serves.ok()) return serves.status();
    if (!*serves) {
      ++result_.faults["start stopped"];
      if (ReadLosses(log_).empty()) {
        Breach("the start stops, but names no damage");
      }
      serves = Serves(/*accept_damage=*/true);
      if (!serves.ok()) return serves.status();
      if (!*serves) {
        // Only a backup helps.
        ++result_.faults["beyond --accept-damage"];
        return absl::OkStatus();
      }
    }
    if (!AwaitWorkedOff(*server_)) {
      Breach("the server does not process its queue");
      return absl::OkStatus();
    }
    absl::StrAppend(&log_, server_->LogTail());
    return CheckLosses();
  }

  absl::Status CheckLosses() {
    FindingsByKey findings;
    auto reader = store_->OpenContent();
    if (!reader.ok()) return reader.status();
    if (absl::Status s = (*reader)->ReadAll(findings); !s.ok()) {
      // The server, too, reports the damage when it reads.
      ++result_.faults["content unreadable"];
      return absl::OkStatus();
    }
    if (options_.ack == AckMode::kJournal) {
      auto quarantine = OpenQuarantineContent(JournalPath());
      if (!quarantine.ok()) return quarantine.status();
      if (absl::Status s = (*quarantine)->ReadAll(findings); !s.ok()) return s;
    }
    std::vector<Loss> losses = FindLosses(ledger_, findings);
    // A store has no checksums of its pages. An export verifies each content
    // against its hash, and so names a flipped bit in a content.
    if (!absl::StartsWith(damaged_.filename().string(), "journal")) {
      std::erase_if(losses, [](const Loss& loss) { return loss.altered; });
    }
    if (!losses.empty()) ++result_.faults["acknowledged submissions lost"];
    if (!losses.empty() && !Covers(ReadLosses(log_), losses)) {
      Breach(absl::StrCat(losses.size(),
                          " acknowledged submissions are missing, which the "
                          "server did not name; the first is ",
                          losses.front().key.submission_id, " with number ",
                          losses.front().sequences.front()));
    }
    return absl::OkStatus();
  }

  void Breach(absl::string_view what) {
    result_.audit.AddBreach(absl::StrCat("round ", round_, ", ", what_, ": ",
                                         what, "; the log says:\n", log_));
  }

  const CampaignOptions& options_;
  const int round_;
  std::mt19937_64& random_;
  CampaignResult& result_;
  const std::string data_;
  const std::unique_ptr<CampaignStore> store_;
  Ledger ledger_;
  SubmissionSource source_;
  std::unique_ptr<ServerProcess> server_;
  std::filesystem::path damaged_;
  std::string what_;  // the damage
  std::string log_;   // of the starts after the damage
};

}  // namespace

absl::StatusOr<CampaignResult> RunDamageCampaign(
    const CampaignOptions& options, ProgressBar& progress,
    const std::atomic<bool>& stop) {
  const absl::Time begun = absl::Now();
  std::mt19937_64 random(options.seed);
  CampaignResult result;
  for (int number = 1; number <= options.rounds; ++number) {
    if (stop || result.audit.breaches > 0) break;
    DamageRound round(options, number, random, result);
    const absl::Status status = round.Run();
    round.Count(result.answers);
    result.rounds = number;
    progress.Show(static_cast<double>(number) / options.rounds,
                  absl::StrCat("round ", number, " of ", options.rounds));
    if (!status.ok() && result.audit.breaches == 0) {
      progress.Clear();
      return status;
    }
  }
  progress.Clear();
  result.time = absl::Now() - begun;
  return result;
}

}  // namespace sluice

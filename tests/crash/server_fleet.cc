#include "tests/crash/server_fleet.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/crash/content_reader.h"
#include "tests/crash/limits.h"
#include "tests/crash/server_config.h"

namespace sluice {
namespace {

constexpr char kStudyOfAll[] = "CRASH";

// A short timeout: each fault of PostgreSQL costs a server about this time.
constexpr absl::string_view kStoreTimeout = "2s";

// Limits the load, so that the database stays small during many rounds: each
// new standby receives a copy of the database.
constexpr absl::Duration kPauseOfCallers = absl::Milliseconds(100);

// Spreads callers over the servers.
Callers PerServer(const Callers& callers, int servers) {
  const auto share = [servers](int count) {
    return (count + servers - 1) / servers;
  };
  return {.submit = share(callers.submit),
          .stream = share(callers.stream),
          .import = share(callers.import),
          .events = share(callers.events),
          .pause = kPauseOfCallers};
}

}  // namespace

ServerFleet::ServerFleet(const CampaignOptions& options, const std::string& url,
                         Ledger& ledger, CampaignAudit& audit)
    : options_(options),
      url_(url),
      ledger_(ledger),
      audit_(audit),
      callers_(PerServer(options.callers, options.servers)) {
  const int sources = options.ack == AckMode::kStored ? 1 : options.servers;
  for (int i = 0; i < sources; ++i) {
    sources_.push_back(std::make_unique<SubmissionSource>(
        kStudyOfAll, options.seed + static_cast<std::uint64_t>(i)));
  }
  for (int i = 0; i < options.servers; ++i) {
    const std::string name = absl::StrCat("server", i);
    members_.push_back({.name = name,
                        .folder = absl::StrCat(options.folder, "/", name),
                        .process = nullptr,
                        .traffic = nullptr});
  }
}

// Kills all servers before the clients end: a client may wait for a paused
// server.
ServerFleet::~ServerFleet() {
  for (const Member& member : members_) {
    if (member.process != nullptr) member.process->Kill();
  }
}

absl::Status ServerFleet::Prepare() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[i];
    std::error_code error;
    std::filesystem::create_directories(member.folder, error);
    std::ofstream file(member.folder + "/config.yaml", std::ios::binary);
    file << ServerConfig(
        options_.ack,
        absl::StrCat("{kind: postgres, url: ", YamlString(url_),
                     ", server: ", i, ", timeout: ", kStoreTimeout, "}"),
        JournalPath(member));
    file.close();
    if (error || file.fail()) {
      return absl::UnavailableError(
          absl::StrCat("cannot write to ", member.folder));
    }
  }
  return absl::OkStatus();
}

absl::Status ServerFleet::Repair(int round) {
  round_ = round;
  for (Member& member : members_) {
    if (member.process != nullptr) {
      member.process->Resume();
    } else if (absl::Status s = Start(member); !s.ok()) {
      return s;
    }
  }
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (HasEnded(member)) continue;
    if (!member.process->AwaitServing(absl::Now() + kStartLimit)) {
      Incident(member, "does not start");
    } else if (member.traffic == nullptr) {
      member.traffic =
          std::make_unique<Traffic>(member.process->port(), round, callers_,
                                    ledger_, *sources_[i % sources_.size()]);
    }
  }
  return absl::OkStatus();
}

absl::Status ServerFleet::Start(Member& member) {
  ServerCommand command;
  command.program = options_.server;
  command.arguments = {"--config", member.folder + "/config.yaml"};
  if (options_.mistake == Mistake::kIgnoredWarnings) {
    command.environment = {absl::StrCat("LD_PRELOAD=", options_.deaf_library)};
  }
  auto process = ServerProcess::Start(command);
  if (!process.ok()) return process.status();
  member.process = *std::move(process);
  return absl::OkStatus();
}

void ServerFleet::Kill(std::size_t server) {
  Member& member = members_[server];
  if (member.process == nullptr || HasEnded(member)) return;
  member.process->Kill();
  member.traffic.reset();
  member.process.reset();
}

void ServerFleet::Pause(std::size_t server) {
  if (members_[server].process != nullptr) members_[server].process->Pause();
}

void ServerFleet::AwaitAcknowledgements() {
  std::vector<std::int64_t> before;
  for (const Member& member : members_) {
    before.push_back(
        member.traffic == nullptr ? 0 : member.traffic->acknowledged());
  }
  const absl::Time deadline = absl::Now() + kFirstAnswerLimit;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[i];
    while (!HasEnded(member) && member.traffic != nullptr &&
           member.traffic->acknowledged() == before[i]) {
      if (absl::Now() > deadline) {
        Incident(member, "acknowledges nothing");
        break;
      }
      member.process->AwaitEnd(absl::Now() + kLookPause);
    }
  }
}

void ServerFleet::StopClients() {
  for (Member& member : members_) member.traffic.reset();
}

void ServerFleet::AwaitQueuesEmpty() {
  for (const Member& member : members_) {
    if (!HasEnded(member) && !AwaitWorkedOff(*member.process)) {
      Incident(member, "does not process its queue");
    }
  }
}

void ServerFleet::Stop() {
  for (Member& member : members_) {
    if (HasEnded(member)) continue;
    const auto exit_code = member.process->Stop(absl::Now() + kStopLimit);
    if (!exit_code.ok() || *exit_code != 0) {
      Incident(member, "did not stop with exit code 0");
    }
  }
}

absl::StatusOr<ContentReaders> ServerFleet::OpenQuarantines() const {
  ContentReaders readers;
  if (options_.ack != AckMode::kJournal) return readers;
  for (const Member& member : members_) {
    auto quarantine = OpenQuarantineContent(JournalPath(member));
    if (!quarantine.ok()) return quarantine.status();
    readers.push_back(*std::move(quarantine));
  }
  return readers;
}

bool ServerFleet::HasEnded(const Member& member) {
  if (!member.process->AwaitEnd(absl::InfinitePast())) return false;
  if (audit_.incidents() == 0) Incident(member, "ended by itself");
  return true;
}

void ServerFleet::Incident(const Member& member, absl::string_view what) {
  audit_.AddIncident(absl::StrCat("round ", round_, ": ", member.name, " ",
                                  what, "; its log ends with:\n",
                                  member.process->LogTail()));
}

}  // namespace sluice

// sluice-crash: tests that acknowledged submissions survive kill -9.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/progress_bar.h"
#include "tests/crash/campaign.h"
#include "tests/crash/campaign_store.h"
#include "tests/crash/report.h"
#include "tools/flags.h"

ABSL_FLAG(int, rounds, 100,
          "number of rounds; the server is killed once in each. With --servers "
          "or --standbys, one to three faults are played in each");
ABSL_FLAG(std::uint64_t, seed, 1, "seed of the moments and of the submissions");
ABSL_FLAG(
    std::string, store, "sqlite",
    "sqlite, postgres (a server of its own, which is killed too) or discard "
    "(keeps nothing: the campaign must find that)");
ABSL_FLAG(int, store_kills, 30,
          "percentage of rounds in which PostgreSQL is killed too");
ABSL_FLAG(int, servers, 1,
          "with --store=postgres: number of servers that share the database");
ABSL_FLAG(int, standbys, 0,
          "with --store=postgres: number of synchronous standbys; the primary "
          "is then lost again and again");
ABSL_FLAG(std::string, mistake, "none",
          "with --standbys: asynchronous (commits wait for no standby), "
          "ignored_warnings (the servers do not see PostgreSQL's warnings) or "
          "lowest_promoted (the standby that received the least is promoted); "
          "the campaign must find the loss");
ABSL_FLAG(bool, journal, false,
          "acknowledge Submit and ImportPatients by a journal");
ABSL_FLAG(
    bool, memory_queue, false,
    "acknowledge them by a queue in memory (loses submissions: the campaign "
    "must find that)");
ABSL_FLAG(bool, power_cut, false, "lose writes that were not synced");
ABSL_FLAG(
    bool, lying_fsync, false,
    "with --power_cut: syncs do nothing (the campaign must find the loss)");
ABSL_FLAG(bool, damage, false,
          "damage a file after each kill; the next start must name the loss");
ABSL_FLAG(int, callers, 8,
          "threads that call Submit; each other method gets a quarter as many");
ABSL_FLAG(int, acks, 1000, "limit of acknowledgements in a round under load");
ABSL_FLAG(int, check_every, 10, "number of rounds between two checks");
ABSL_FLAG(std::string, dir, "",
          "folder for the data; must not have data yet (default: a temporary "
          "folder)");
ABSL_FLAG(bool, keep, false, "keep the folder even if nothing was lost");
ABSL_FLAG(std::string, server, "",
          "server to run, e.g. build/debug/bin/sluice, which has assertions "
          "(default: the sluice beside this program)");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluice-crash [flags]\n"
    "\n"
    "Starts a server on the same data again and again, and kills it (SIGKILL)\n"
    "at random moments while clients call it. Then checks every\n"
    "acknowledgement against the store and the quarantine.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 every acknowledged submission is stored once, as its "
    "receipt\n"
    "says; 1 there is a breach, or the campaign could not continue; 2 bad "
    "usage\n";

std::atomic<bool> stop = false;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

absl::StatusOr<int> ReadCount(const absl::Flag<int>& flag,
                              absl::string_view name, int max) {
  const int count = absl::GetFlag(flag);
  if (count >= 1 && count <= max) return count;
  return Wrong(absl::StrCat("--", name, " must be between 1 and ", max));
}

absl::Status ReadCounts(CampaignOptions& options) {
  const auto rounds = ReadCount(FLAGS_rounds, "rounds", 1'000'000);
  if (!rounds.ok()) return rounds.status();
  options.rounds = *rounds;
  const auto acks = ReadCount(FLAGS_acks, "acks", 1'000'000);
  if (!acks.ok()) return acks.status();
  options.acknowledgements_max = *acks;
  const auto check_every =
      ReadCount(FLAGS_check_every, "check_every", 1'000'000);
  if (!check_every.ok()) return check_every.status();
  options.check_every = *check_every;
  const auto callers = ReadCount(FLAGS_callers, "callers", 1000);
  if (!callers.ok()) return callers.status();
  const int others = (*callers + 3) / 4;
  options.callers = {
      .submit = *callers, .stream = others, .import = others, .events = others};
  return absl::OkStatus();
}

absl::Status ReadCluster(CampaignOptions& options) {
  const auto servers = ReadCount(FLAGS_servers, "servers", 16);
  if (!servers.ok()) return servers.status();
  options.servers = *servers;
  options.standbys = absl::GetFlag(FLAGS_standbys);
  if (options.standbys < 0 || options.standbys > 4) {
    return Wrong("--standbys must be between 0 and 4");
  }
  const std::string mistake = absl::GetFlag(FLAGS_mistake);
  if (mistake == "asynchronous") {
    options.mistake = Mistake::kAsynchronous;
  } else if (mistake == "ignored_warnings") {
    options.mistake = Mistake::kIgnoredWarnings;
  } else if (mistake == "lowest_promoted") {
    options.mistake = Mistake::kLowestPromoted;
  } else if (mistake != "none") {
    return Wrong(
        "--mistake must be none, asynchronous, ignored_warnings or "
        "lowest_promoted");
  }
  if (options.mistake != Mistake::kNone && options.standbys == 0) {
    return Wrong("--mistake needs --standbys");
  }
  if (IsClusterCampaign(options) &&
      (options.store != "postgres" || options.disk != DiskMode::kAsItIs ||
       options.ack == AckMode::kMemoryQueue)) {
    return Wrong(
        "--servers and --standbys need --store=postgres, and cannot be "
        "combined with --power_cut or --memory_queue");
  }
  return absl::OkStatus();
}

absl::Status ReadModes(CampaignOptions& options) {
  options.store = absl::GetFlag(FLAGS_store);
  if (MakeCampaignStore(options.store, "") == nullptr) {
    return Wrong("--store must be sqlite, postgres or discard");
  }
  options.store_kills_percent = absl::GetFlag(FLAGS_store_kills);
  if (options.store_kills_percent < 0 || options.store_kills_percent > 100) {
    return Wrong("--store_kills must be between 0 and 100");
  }
  const bool journal = absl::GetFlag(FLAGS_journal);
  const bool memory_queue = absl::GetFlag(FLAGS_memory_queue);
  if (journal && memory_queue) {
    return Wrong("--journal and --memory_queue cannot be combined");
  }
  if (journal) options.ack = AckMode::kJournal;
  if (memory_queue) options.ack = AckMode::kMemoryQueue;
  const bool power_cut = absl::GetFlag(FLAGS_power_cut);
  const bool lies = absl::GetFlag(FLAGS_lying_fsync);
  if (lies && !power_cut) return Wrong("--lying_fsync needs --power_cut");
  options.damage = absl::GetFlag(FLAGS_damage);
  if (options.damage &&
      (options.store != "sqlite" || power_cut || memory_queue)) {
    return Wrong(
        "--damage needs --store=sqlite, and cannot be combined with "
        "--power_cut or --memory_queue");
  }
  if (power_cut) options.disk = lies ? DiskMode::kLies : DiskMode::kPowerCut;
  return absl::OkStatus();
}

absl::Status FindPrograms(CampaignOptions& options) {
  std::error_code error;
  const auto folder =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  options.server = absl::GetFlag(FLAGS_server);
  if (options.server.empty()) options.server = folder / "sluice";
  options.disk_library = folder / "libsluice_lying_disk.so";
  options.deaf_library = folder / "libsluice_deaf_libpq.so";
  if (access(options.server.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot run ", options.server, "; is it built?"));
  }
  const std::string& library = options.mistake == Mistake::kIgnoredWarnings
                                   ? options.deaf_library
                                   : options.disk_library;
  const bool preloads = options.disk != DiskMode::kAsItIs ||
                        options.mistake == Mistake::kIgnoredWarnings;
  if (preloads && access(library.c_str(), R_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", library, "; is it built?"));
  }
  return absl::OkStatus();
}

// Returns the folder of the campaign. Resolves symbolic links, because the disk
// library recognizes the server's files by their paths.
absl::StatusOr<std::string> MakeFolder() {
  std::error_code error;
  std::filesystem::path folder = absl::GetFlag(FLAGS_dir);
  if (folder.empty()) {
    std::string name =
        std::filesystem::temp_directory_path(error) / "sluice-crash.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
      return absl::UnavailableError("cannot make a temporary folder");
    }
    folder = name;
  }
  std::filesystem::create_directories(folder, error);
  const auto resolved = std::filesystem::canonical(folder, error);
  if (!error) return resolved.string();
  return absl::UnavailableError(
      absl::StrCat("cannot use ", folder.string(), ": ", error.message()));
}

absl::StatusOr<CampaignOptions> ReadFlags(const CommandLine& line) {
  if (!line.positional.empty()) {
    return Wrong(absl::StrCat("unexpected argument ", line.positional.front()));
  }
  CampaignOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  absl::Status status = ReadCounts(options);
  status.Update(ReadModes(options));
  status.Update(ReadCluster(options));
  if (status.ok()) status = FindPrograms(options);
  if (!status.ok()) return status;
  return options;
}

int Complain(const absl::Status& status) {
  std::cerr << "sluice-crash: " << status.message() << " (see --help)\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : EXIT_FAILURE;
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tests/crash/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  auto options = line.ok() ? ReadFlags(*line) : line.status();
  if (!options.ok()) return Complain(options.status());
  auto folder = MakeFolder();
  if (!folder.ok()) return Complain(folder.status());
  options->folder = *std::move(folder);

  signal(SIGINT, [](int) { stop = true; });
  signal(SIGTERM, [](int) { stop = true; });
  ProgressBar progress(STDERR_FILENO);
  const auto result = RunCampaign(*options, progress, stop);
  const bool whole = result.ok() && result->audit.breaches == 0;
  if (result.ok()) std::cout << CampaignReport(*options, *result);
  if (absl::GetFlag(FLAGS_keep) || !whole) {
    std::cerr << "sluice-crash: the data are in " << options->folder << "\n";
  } else {
    std::error_code ignored;
    std::filesystem::remove_all(options->folder, ignored);
  }
  if (!result.ok()) return Complain(result.status());
  return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

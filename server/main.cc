// sluice: the ingestion server.

#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "config/config.h"
#include "server/build_info.h"
#include "server/config_reload.h"
#include "server/grpc_log.h"
#include "server/idle_memory.h"
#include "server/ingestion_server.h"
#include "server/metrics/http_endpoint.h"
#include "server/process_limits.h"
#include "server/stop_during_start.h"
#include "server/store_opening.h"
#include "spdlog/spdlog.h"
#ifdef SLUICE_TCMALLOC
#include "gperftools/malloc_extension.h"
#endif

namespace sluice {
namespace {

enum ExitCode {
  kDrainedClean = 0,
  kFailed = 1,
  kBadUsageOrConfig = 2,
  kDrainTimeRanOut = 3,
  kLeftInJournal = 4,
};

constexpr char kUsage[] =
    "usage: sluice --config FILE [--check] [--accept-damage]\n"
    "              [--adopt-journal PATH]...\n"
    "  --config FILE    configuration file (YAML); required\n"
    "  --check          print the configuration with all defaults, or all its\n"
    "                   errors, and exit\n"
    "  --accept-damage  start although acknowledged submissions are missing\n"
    "                   from a journal or the store, or a journal is missing;\n"
    "                   they are lost\n"
    "  --adopt-journal PATH\n"
    "                   move the entries of this journal, which no pool uses,\n"
    "                   into the journals of this server, and start; may be\n"
    "                   given several times\n"
    "  --version        print the version and exit\n"
    "  --help           print this text and exit\n"
    "\n"
    "SIGTERM and SIGINT drain the server, SIGHUP reloads the configuration.\n";

// Interval at which the configuration file is polled for changes, and at which
// the server looks for idle memory.
constexpr timespec kPollInterval = {.tv_sec = 1, .tv_nsec = 0};

struct Flags {
  std::string config_path;
  bool check = false;
  bool accept_damage = false;
  std::vector<std::string> adopt_journals;
};

// Exits if the flags are wrong, or if they only request a text such as the
// help.
Flags ParseFlags(int argc, char** argv) {
  static const option kOptions[] = {
      {"config", required_argument, nullptr, 'c'},
      {"check", no_argument, nullptr, 'k'},
      {"accept-damage", no_argument, nullptr, 'd'},
      {"adopt-journal", required_argument, nullptr, 'j'},
      {"version", no_argument, nullptr, 'v'},
      {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0}};
  Flags flags;
  for (int c = 0;
       (c = getopt_long(argc, argv, "c:h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'c':
        flags.config_path = optarg;
        break;
      case 'k':
        flags.check = true;
        break;
      case 'd':
        flags.accept_damage = true;
        break;
      case 'j':
        flags.adopt_journals.push_back(optarg);
        break;
      case 'v':
        std::cout << "sluice " << kVersion << "\n";
        std::exit(kDrainedClean);
      case 'h':
        std::cout << kUsage;
        std::exit(kDrainedClean);
      default:
        std::cerr << kUsage;
        std::exit(kBadUsageOrConfig);
    }
  }
  if (flags.config_path.empty() || optind < argc) {
    std::cerr << kUsage;
    std::exit(kBadUsageOrConfig);
  }
  return flags;
}

// Parses the text of the file at `path`. If it is not valid, prints its errors
// and returns nullopt.
std::optional<Config> LoadConfig(const std::string& path,
                                 const ConfigText& text) {
  if (!text.has_value()) {
    std::cerr << path << ": cannot be read\n";
    return std::nullopt;
  }
  std::vector<ConfigError> errors;
  Config config = ParseConfig(*text, &errors);
  for (const ConfigError& error : errors) {
    std::cerr << error.ToString(path) << "\n";
  }
  if (!errors.empty()) return std::nullopt;
  return config;
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Returns the stop signals, and SIGHUP for a reload.
sigset_t AllSignals() {
  sigset_t signals = StopSignals();
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Blocks the signals in this thread and in all threads that it starts later, so
// that sigtimedwait receives them.
void BlockSignals() {
  const sigset_t signals = AllSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// From now on a stop signal ends the process at once: an operator who sends a
// second signal does not want to wait for the drain. SIGHUP stays blocked.
void UnblockStopSignals() {
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

absl::StatusOr<std::unique_ptr<IngestionServer>> TryToStart(
    Config config, const Flags& flags) {
  if (absl::Status limits = CheckProcessLimits(config); !limits.ok()) {
    return limits;
  }
  StopDuringStart stop(StopSignals());
  // The store may be migrated while it is opened. Meanwhile /healthz returns
  // 200 and /readyz 503.
  auto http = HttpEndpoint::Start({.address = config.metrics});
  if (!http.ok()) return http.status();
  auto store = OpenConfiguredStore(config, flags.accept_damage);
  if (!store.ok()) return store.status();
  return IngestionServer::Start({.config = std::move(config),
                                 .store = *std::move(store),
                                 .http = *std::move(http),
                                 .step = {},
                                 .accept_damage = flags.accept_damage,
                                 .adopt_journals = flags.adopt_journals,
                                 .before_serving = [&stop] { stop.End(); }});
}

// Like TryToStart, and turns the failure to start a thread into an error.
absl::StatusOr<std::unique_ptr<IngestionServer>> StartServer(
    Config config, const Flags& flags) {
  try {
    return TryToStart(std::move(config), flags);
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(error.what());
  }
}

#ifdef SLUICE_TCMALLOC
void GiveBackIdleMemory(IdleMemory* idle) {
  // The allocator locks its large blocks while it gives memory back. Small
  // steps let other threads allocate in between.
  constexpr std::size_t kStepBytes = std::size_t{8} << 20;
  MallocExtension* const allocator = MallocExtension::instance();
  std::size_t free_bytes = 0;
  allocator->GetNumericProperty("tcmalloc.pageheap_free_bytes", &free_bytes);
  for (std::size_t bytes = idle->Look(free_bytes); bytes > 0;) {
    const std::size_t step = std::min(bytes, kStepBytes);
    allocator->ReleaseToSystem(step);
    bytes -= step;
  }
}
#else
// Sanitizers have their own allocator.
void GiveBackIdleMemory(IdleMemory*) {}
#endif

// Waits for a stop signal and returns it. Meanwhile reloads the configuration
// when its file has changed, or on SIGHUP, and gives back idle memory.
int AwaitStopSignal(ConfigReload* reload) {
  const sigset_t signals = AllSignals();
  IdleMemory idle;
  for (;;) {
    const int received = sigtimedwait(&signals, nullptr, &kPollInterval);
    if (received == SIGHUP) {
      reload->Reload();
    } else if (received > 0) {
      return received;
    } else {
      reload->Look();
      GiveBackIdleMemory(&idle);
    }
  }
}

// Logs who starts, with which configuration, and where.
void LogStart(const std::string& config_path, const Config& config) {
  std::string store = config.store.kind;
  for (const auto& [key, value] : config.store.options) {
    // A URL has no password: it is refused when the configuration is read.
    absl::StrAppend(&store, " ", key, "=",
                    key == "path" ? NormalPath(value) : value);
  }
  spdlog::info(
      "starting: version={} pid={} config={} listen={} metrics={} admin={} "
      "store: kind={}",
      kVersion, getpid(), NormalPath(config_path), config.listen,
      config.metrics, config.admin.empty() ? "none" : config.admin, store);
}

// Logs all lines, also if there are more than the log queues.
void Log(const DrainReport& report) {
  constexpr std::size_t kLinesAtOnce = 1000;
  const auto level = !report.clean()        ? spdlog::level::err
                     : report.journaled > 0 ? spdlog::level::warn
                                            : spdlog::level::info;
  std::size_t lines = 0;
  bool written = true;
  for (const std::string& line : report.ToLines()) {
    spdlog::log(level, "drain: {}", line);
    if (++lines % kLinesAtOnce == 0 && written) written = FlushLog();
  }
}

int Run(const Flags& flags) {
  BlockSignals();
  // New files contain patient data, so only the owner may read them.
  umask(S_IRWXG | S_IRWXO);
  ConfigText text = ReadConfigText(flags.config_path);
  std::optional<Config> config = LoadConfig(flags.config_path, text);
  if (!config.has_value()) return kBadUsageOrConfig;
  if (flags.check) {
    std::cout << ConfigToYaml(*config);
    return kDrainedClean;
  }

  StartLog();
  SetLogOptions(config->log);
  LogMessagesOfGrpc();
  LogStart(flags.config_path, *config);
  auto server = StartServer(*config, flags);
  if (!server.ok()) {
    spdlog::error("cannot start: {}", std::string(server.status().message()));
    return kFailed;
  }
  spdlog::info("serving: port={} metrics_port={} admin_port={}",
               (*server)->port(), (*server)->metrics_port(),
               (*server)->admin_port());

  ConfigReload reload(flags.config_path, *std::move(text), server->get());
  const int received = AwaitStopSignal(&reload);
  spdlog::info("draining: signal={}", strsignal(received));
  UnblockStopSignals();
  const DrainReport report = (*server)->Drain();
  Log(report);
  if (report.clean()) {
    return report.journaled == 0 ? kDrainedClean : kLeftInJournal;
  }
  // A hanging thread still uses the server, so the server must not be
  // destroyed.
  if (report.stuck()) {
    FlushLog();
    std::_Exit(kDrainTimeRanOut);
  }
  return report.left.empty() ? kFailed : kDrainTimeRanOut;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  sluice::OpenStandardDescriptors();
  sluice::IgnoreWriteSignals();
  // Debian builds Abseil with deadlock detection, which slows down every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const int exit_code = sluice::Run(sluice::ParseFlags(argc, argv));
  sluice::FlushLog();
  return exit_code;
}

// sluice-datastore: a small datastore for tests and experiments.

#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/process.h"
#include "forms/content.h"
#include "stores/content_type.h"
#include "stores/discard_store.h"
#include "stores/sqlite_store.h"
#include "tools/datastore/datastore_server.h"
#include "tools/datastore/datastore_service.h"
#include "tools/flags.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50061",
          "host:port to serve on; port 0 takes any free port");
ABSL_FLAG(std::string, path, "", "file of the database");
ABSL_FLAG(bool, discard, false, "keep nothing; instead of --path");
ABSL_FLAG(absl::Duration, delay, absl::ZeroDuration(),
          "delay of each batch, before the time that storing takes");
ABSL_FLAG(double, fail_rate, 0,
          "share of the batches, from 0 to 1, that fail with UNAVAILABLE");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluice-datastore [flags] --path=FILE | --discard\n"
    "\n"
    "Serves sluice.v1.Datastore without TLS until SIGTERM or SIGINT. Prints "
    "its\n"
    "port when it is ready, and counts of batches at the end. In Sluice's\n"
    "configuration: store: {kind: datastore, target: \"host:port\"}.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 ended by a signal; 1 cannot serve; 2 bad usage\n";

absl::Status CheckFlags(const CommandLine& line) {
  if (!line.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument ", line.positional.front()));
  }
  if (absl::GetFlag(FLAGS_path).empty() != absl::GetFlag(FLAGS_discard)) {
    return absl::InvalidArgumentError("give either --path or --discard");
  }
  const absl::Duration delay = absl::GetFlag(FLAGS_delay);
  if (delay < absl::ZeroDuration() || delay > absl::Minutes(1)) {
    return absl::InvalidArgumentError("--delay must be from 0 to 1m");
  }
  // Written so that NaN fails too.
  const double fail_rate = absl::GetFlag(FLAGS_fail_rate);
  if (!(fail_rate >= 0 && fail_rate <= 1)) {
    return absl::InvalidArgumentError("--fail_rate must be from 0 to 1");
  }
  return absl::OkStatus();
}

bool SameContent(SubmissionKind kind, std::string_view a, std::string_view b) {
  return SameMessage(ContentType(kind), a, b);
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore() {
  if (absl::GetFlag(FLAGS_discard)) {
    return std::make_unique<DiscardStore>(DiscardStoreOptions());
  }
  return SqliteStore::Open({.path = absl::GetFlag(FLAGS_path)}, SameContent);
}

// Blocks the stop signals in every thread, so that sigwait receives them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::Status Serve() {
  const sigset_t stop_signals = BlockStopSignals();
  const auto store = OpenStore();
  if (!store.ok()) return store.status();
  DatastoreService service(store->get(),
                           {.delay = absl::GetFlag(FLAGS_delay),
                            .fail_rate = absl::GetFlag(FLAGS_fail_rate)});
  auto server = DatastoreServer::Start(absl::GetFlag(FLAGS_listen), &service);
  if (!server.ok()) return server.status();
  std::cout << "serving: port=" << (*server)->port() << std::endl;

  int received = 0;
  sigwait(&stop_signals, &received);
  server->reset();
  const DatastoreCounts counts = service.counts();
  std::cout << "ended: batches=" << counts.batches
            << " submissions=" << counts.submissions
            << " failed=" << counts.failed
            << " peak_in_flight=" << counts.peak_in_flight << std::endl;
  return absl::OkStatus();
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tools/datastore/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  const absl::Status usage = line.ok() ? CheckFlags(*line) : line.status();
  if (!usage.ok()) {
    std::cerr << "sluice-datastore: " << usage.message() << " (see --help)\n";
    return kExitUsage;
  }
  const absl::Status served = Serve();
  if (served.ok()) return EXIT_SUCCESS;
  std::cerr << "sluice-datastore: " << served.message() << "\n";
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  sluice::OpenStandardDescriptors();
  sluice::IgnoreWriteSignals();
  return sluice::Main(argc, argv);
}

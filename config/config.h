// Values of the configuration file, their defaults, and its parser and writer.
// docs/operations.md explains each key to operators.

#ifndef SLUICE_CONFIG_CONFIG_H_
#define SLUICE_CONFIG_CONFIG_H_

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/log_options.h"
#include "config/config_error.h"
#include "config/method.h"
#include "policies/priority.h"
#include "pool/gate_limits.h"
#include "stores/kinds/store_kind.h"

namespace sluice {

struct StoreConfig {
  std::string kind = "sqlite";
  StoreOptions options = {{"path", "data/sluice.db"}};
  bool allow_loss = false;

  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

struct WorkersConfig {
  std::size_t min = 2;
  std::size_t max = 2;
  // A worker that works on one batch for longer than this counts as hung.
  absl::Duration task_timeout = absl::Seconds(60);

  friend bool operator==(const WorkersConfig&, const WorkersConfig&) = default;
};

// Tenants among which a pool is shared fairly.
enum class FairBy {
  kNone,   // no sharing: first come, first served
  kStudy,  // a share for each study
  kSite,   // a share for each site of a study
};

// Limits of the quarantine of a journal. The limits are at least
// kQuarantineFactor times the limits of the queue, because everything in the
// queue may have to move into quarantine, and one study must leave room for
// others.
struct QuarantineConfig {
  std::size_t max = 100'000;
  std::size_t max_bytes = std::size_t{2} << 30;

  friend bool operator==(const QuarantineConfig&,
                         const QuarantineConfig&) = default;
};
inline constexpr std::size_t kQuarantineFactor = 8;

struct PoolConfig {
  // Path of the journal's file; empty for a queue in memory.
  std::string journal_path = {};
  // Limits of the queue: its submissions, and the bytes of submissions queued
  // or in work.
  std::size_t queue_capacity = 4096;
  std::size_t queue_capacity_bytes = std::size_t{256} << 20;
  // Used only with a journal.
  QuarantineConfig quarantine = {};
  // Smallest free space of the journal's disk, in bytes, at which submissions
  // are still acknowledged; 0 for no limit. Used only with a journal.
  std::size_t min_free_disk = 0;
  // Limits of the waiting room: parked arrivals and their bytes.
  std::size_t waiting_max = 10000;
  std::size_t waiting_max_bytes = std::size_t{256} << 20;
  WorkersConfig workers = {};
  // Maximum number of submissions that a worker takes at once and stores
  // together.
  std::size_t batch_max = 256;
  // Maximum number of bytes of the submissions that a worker takes at once. A
  // larger submission is taken alone.
  std::size_t batch_max_bytes = std::size_t{16} << 20;
  FairBy fair_by = FairBy::kNone;

  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

// Acknowledgement mode: when a caller is answered.
enum class Ack {
  kStored,  // once the submission is in the store
  kQueued,  // once it is in the queue; with a journal, on disk
};

// A second policy of a method, whose decisions are counted and have no effect.
struct ShadowConfig {
  std::string on_full;  // the policy's name; empty: no shadow
  // Limit of the wait, for timed_wait.
  absl::Duration max_wait = absl::ZeroDuration();

  friend bool operator==(const ShadowConfig&, const ShadowConfig&) = default;
};

struct MethodConfig {
  std::string pool;
  std::string on_full = "fail_fast";  // a policy's name
  // Limit of the wait, for timed_wait.
  absl::Duration max_wait = absl::ZeroDuration();
  ShadowConfig shadow = {};
  Ack ack = Ack::kStored;
  bool allow_loss = false;
  // Priority class of the method when several methods compete for the pool.
  Priority priority = Priority::kNormal;

  friend bool operator==(const MethodConfig&, const MethodConfig&) = default;
};

struct LimitsConfig {
  // Maximum size of a request, in bytes. Larger requests are answered
  // INVALID_ARGUMENT.
  std::size_t message_bytes = std::size_t{16} << 20;
  // Deepest nesting of messages inside messages. The request itself is level 1.
  int nesting = 64;
  // Maximum number of answers in a response, and of items. Each is counted over
  // all levels.
  std::size_t answers = 10000;
  // Maximum number of connections. Further connections are closed at once.
  std::size_t connections = 10000;
  // Maximum number of calls in flight on one connection (HTTP/2
  // SETTINGS_MAX_CONCURRENT_STREAMS).
  std::size_t calls_per_connection = 1000;
  // Memory limit for requests that gRPC is still receiving, in bytes.
  std::size_t transport_bytes = std::size_t{512} << 20;
  // Number of finished submissions whose ids are remembered, so that a
  // submission sent again is recognised without the store.
  std::size_t recent_ids = 100000;

  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct Config {
  std::string listen = "127.0.0.1:50051";
  std::string metrics = "127.0.0.1:9464";
  // Address of the admin service; empty: no admin service.
  std::string admin;
  // Number of completion queues, each with a thread; 0: one for every two
  // processors.
  std::size_t completion_queues = 0;
  StoreConfig store;
  std::map<std::string, PoolConfig> pools;
  std::array<MethodConfig, kMethods> methods;
  LimitsConfig limits;
  LogOptions log;
  absl::Duration drain_timeout = absl::Seconds(25);
  // Directory below which backups are made; empty if none can be made.
  std::string backup_directory;

  const MethodConfig& method(Method m) const { return methods[Index(m)]; }

  friend bool operator==(const Config&, const Config&) = default;
};

// True if lanes share the pool: it has a `fair_by`, or its methods have
// different priorities. `config` must have a pool of this name.
bool SharedByLane(const Config& config, const std::string& pool);

// Returns the limits of the pool called `pool`, which must be in the
// configuration.
GateLimits GateLimitsOf(const Config& config, const std::string& pool);
// Returns the limits of a batch of the pool.
BatchLimits BatchLimitsOf(const PoolConfig& pool);

// Name of the pool that serves GetReceipts unless the configuration names
// another. Lookups have their own pool so that they never queue behind
// submissions.
inline constexpr std::string_view kReceiptsPool = "receipts";

// Returns the settings of the receipts pool that are used if the configuration
// does not define the pool.
PoolConfig DefaultReceiptsPool(const LimitsConfig& limits);

// Reads the YAML text, which may be any bytes. Afterwards either `errors` is
// empty and the result is valid, or `errors` has every problem, ordered by
// line, and the result must not be used. Thread-safe.
Config ParseConfig(std::string_view yaml, ConfigErrors* errors);

// Returns the effective configuration with all defaults as YAML. ParseConfig
// reads the text back as an equal configuration.
std::string ConfigToYaml(const Config& config);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_H_

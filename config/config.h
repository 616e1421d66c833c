// The configuration file: what it may say, its defaults, and what is wrong with
// one. docs/operations.md explains each key to operators.

#ifndef SLUICE_CONFIG_CONFIG_H_
#define SLUICE_CONFIG_CONFIG_H_

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "config/config_error.h"
#include "config/method.h"
#include "policies/priority.h"
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
  // A worker that has a batch for longer hangs.
  absl::Duration task_timeout = absl::Seconds(60);

  friend bool operator==(const WorkersConfig&, const WorkersConfig&) = default;
};

// Among whom a pool is shared fairly.
enum class FairBy {
  kNone,   // nobody in particular: first come first served
  kStudy,  // studies
  kSite,   // sites, each of its study
};

struct PoolConfig {
  // The file of the journal; empty for a queue in memory.
  std::string journal_path = {};
  // Submissions in the queue, and the bytes of those in the queue or in work.
  std::size_t queue_capacity = 4096;
  std::size_t queue_capacity_bytes = std::size_t{256} << 20;
  // Arrivals parked until there is room, and their bytes.
  std::size_t waiting_max = 10000;
  std::size_t waiting_max_bytes = std::size_t{256} << 20;
  WorkersConfig workers = {};
  // A worker takes at most this many at once, and stores them together.
  std::size_t batch_max = 256;
  FairBy fair_by = FairBy::kNone;

  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

// When a caller is answered.
enum class Ack {
  kStored,  // once the store has it
  kQueued,  // once the queue has it; a journal: on disk
};

// A policy that is asked beside a method's own, and changes nothing.
struct ShadowConfig {
  std::string on_full;                             // its name; empty: none
  absl::Duration max_wait = absl::ZeroDuration();  // of timed_wait

  friend bool operator==(const ShadowConfig&, const ShadowConfig&) = default;
};

struct MethodConfig {
  std::string pool;
  std::string on_full = "fail_fast";               // a policy's name
  absl::Duration max_wait = absl::ZeroDuration();  // of timed_wait
  ShadowConfig shadow = {};
  Ack ack = Ack::kStored;
  bool allow_loss = false;
  // How much of the pool's work it gets when other methods want it too.
  Priority priority = Priority::kNormal;

  friend bool operator==(const MethodConfig&, const MethodConfig&) = default;
};

struct LimitsConfig {
  // A larger request is answered INVALID_ARGUMENT.
  std::size_t message_bytes = std::size_t{16} << 20;
  // Messages inside messages, the request being 1.
  int nesting = 64;
  // Connections beyond this many are closed as they come.
  std::size_t connections = 10000;
  // Calls that one connection may have in flight (HTTP/2
  // SETTINGS_MAX_CONCURRENT_STREAMS).
  std::size_t calls_per_connection = 1000;
  // What gRPC may hold of requests that are still arriving.
  std::size_t transport_bytes = std::size_t{512} << 20;
  // Submissions that are remembered after they ended, so that those that come
  // again are recognised without the store.
  std::size_t recent_ids = 100000;

  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct Config {
  std::string listen = "127.0.0.1:50051";
  std::string metrics = "127.0.0.1:9464";
  // Where the admin service is; empty: nowhere.
  std::string admin;
  // Completion queues, with a thread each; 0: one for every two processors.
  std::size_t completion_queues = 0;
  StoreConfig store;
  std::map<std::string, PoolConfig> pools;
  std::array<MethodConfig, kMethods> methods;
  LimitsConfig limits;
  absl::Duration drain_timeout = absl::Seconds(30);

  const MethodConfig& method(Method m) const { return methods[Index(m)]; }

  friend bool operator==(const Config&, const Config&) = default;
};

// Whether the pool is shared by lanes: `fair_by` says so, or its methods are of
// different priorities.
bool SharedByLane(const Config& config, const std::string& pool);

// The pool that answers GetReceipts unless the configuration gives it another:
// its questions never queue behind submissions.
inline constexpr std::string_view kReceiptsPool = "receipts";

// What that pool is where the configuration does not say.
PoolConfig DefaultReceiptsPool(const LimitsConfig& limits);

// Reads the YAML text, which may be any bytes. Either `errors` is empty
// afterwards and the result is valid, or `errors` has all that is wrong, by
// line, and the result is of no use.
Config ParseConfig(std::string_view yaml, ConfigErrors* errors);

// The whole effective configuration, every default spelled out, as YAML that
// ParseConfig reads back to an equal one.
std::string ConfigToYaml(const Config& config);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_H_

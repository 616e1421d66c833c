#include "config/config.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/path.h"
#include "config/config_methods.h"
#include "config/config_reader.h"
#include "config/yaml_tree.h"
#include "stores/kinds/kinds.h"

namespace sluice {
namespace {

constexpr std::size_t kKiB = std::size_t{1} << 10;
constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kTiB = std::size_t{1} << 40;

// Bounds of the values, which docs/operations.md lists as well.
constexpr Bounds kCompletionQueues = {0, 64};
constexpr Bounds kMessageBytes = {kKiB, 512 * kMiB};
constexpr Bounds kNesting = {8, 100};
constexpr Bounds kAnswers = {1, 10'000'000};
constexpr Bounds kConnections = {1, 1'000'000};
constexpr Bounds kCallsPerConnection = {1, 1'000'000};
constexpr Bounds kHeldBytes = {kKiB, kTiB};
constexpr Bounds kRecentIds = {0, 10'000'000};
constexpr Bounds kQueueCapacity = {1, 10'000'000};
constexpr Bounds kQuarantineMax = {1, 100'000'000};
constexpr Bounds kQuarantineBytes = {kKiB, 16 * kTiB};
constexpr Bounds kMinFreeDisk = {0, kTiB};
constexpr Bounds kWaitingMax = {0, 10'000'000};
constexpr Bounds kWorkers = {1, 1024};
constexpr absl::Duration kTaskTimeoutMin = absl::Seconds(1);
constexpr absl::Duration kTaskTimeoutMax = absl::Hours(24);
constexpr Bounds kBatchMax = {1, 10'000};
constexpr std::size_t kPoolsMax = 64;
constexpr std::size_t kPoolNameBytesMax = 64;
constexpr absl::Duration kDrainTimeoutMax = absl::Hours(24);

// --- The server as a whole ---

// True if two servers would have the same address. Port 0 never clashes,
// because each server gets a different free port.
bool Clash(const std::string& a, const std::string& b) {
  return a == b && !a.ends_with(":0");
}

void ReadAddresses(ConfigSection& root, Config* config) {
  root.ReadAddress("listen", &config->listen);
  root.ReadAddress("metrics", &config->metrics);
  root.ReadAddress("admin", &config->admin);
  if (config->metrics.starts_with('[')) {
    root.Error("metrics",
               "must be an IPv4 address or a host name: the HTTP endpoint does "
               "not support IPv6");
  } else if (Clash(config->metrics, config->listen)) {
    root.Error("metrics", "must differ from listen");
  }
  if (Clash(config->admin, config->listen)) {
    root.Error("admin", "must differ from listen");
  } else if (Clash(config->admin, config->metrics)) {
    root.Error("admin", "must differ from metrics");
  }
}

// Requires room for the largest request, which would otherwise wait for ever.
void RequireRoomForAMessage(ConfigSection& section, const std::string& key,
                            std::size_t bytes, const LimitsConfig& limits) {
  if (bytes >= limits.message_bytes) return;
  section.Error(key, absl::StrCat("is ", FormatBytes(bytes),
                                  ", but must be at least "
                                  "limits.message_bytes (",
                                  FormatBytes(limits.message_bytes),
                                  "), or the largest request would never "
                                  "be admitted"));
}

void ReadLimits(ConfigSection limits, LimitsConfig* config) {
  std::size_t nesting = static_cast<std::size_t>(config->nesting);
  limits.ReadBytes("message_bytes", kMessageBytes, &config->message_bytes);
  limits.ReadCount("nesting", kNesting, &nesting);
  limits.ReadCount("answers", kAnswers, &config->answers);
  limits.ReadCount("connections", kConnections, &config->connections);
  limits.ReadCount("calls_per_connection", kCallsPerConnection,
                   &config->calls_per_connection);
  limits.ReadBytes("transport_bytes", kHeldBytes, &config->transport_bytes);
  limits.ReadCount("recent_ids", kRecentIds, &config->recent_ids);
  limits.RejectUnknownKeys();
  config->nesting = static_cast<int>(nesting);

  RequireRoomForAMessage(limits, "transport_bytes", config->transport_bytes,
                         *config);
}

void ReadDrain(ConfigSection drain, Config* config) {
  drain.ReadDuration("timeout", kDrainTimeoutMax, &config->drain_timeout);
  drain.RejectUnknownKeys();
}

void ReadLog(ConfigSection log, LogOptions* options) {
  std::string text;
  if (log.ReadText("format", &text)) {
    const auto* const format = std::ranges::find(kLogFormatNames, text);
    if (format == kLogFormatNames.end()) {
      log.Error("format", UnknownName("format", text, {"json", "text"}));
    } else {
      options->format =
          static_cast<LogFormat>(format - kLogFormatNames.begin());
    }
  }
  if (log.ReadText("level", &text)) {
    const auto* const level = std::ranges::find(kLogLevelNames, text);
    if (level == kLogLevelNames.end()) {
      log.Error("level", UnknownName("level", text,
                                     {"debug", "error", "info", "warning"}));
    } else {
      options->level = static_cast<LogLevel>(level - kLogLevelNames.begin());
    }
  }
  log.RejectUnknownKeys();
}

void ReadBackup(ConfigSection backup, Config* config) {
  if (backup.ReadText("directory", &config->backup_directory)) {
    if (!NamesAFile(config->backup_directory)) {
      backup.Error("directory", "must be the path of a directory");
    } else if (config->admin.empty()) {
      backup.Error("directory",
                   "backups are made by the admin service: set admin to its "
                   "address");
    }
  }
  backup.RejectUnknownKeys();
}

// --- The store ---

std::vector<std::string> StoreKindNames() {
  std::vector<std::string> names;
  for (const StoreKind& kind : StoreKinds()) names.emplace_back(kind.name);
  return names;
}

void ReadStore(ConfigSection store, StoreConfig* config) {
  if (!store.present()) return;
  config->options.clear();
  store.ReadBool("allow_loss", &config->allow_loss);
  if (!store.ReadText("kind", &config->kind)) {
    if (!store.Has("kind")) {
      store.Error("kind", absl::StrCat("missing, allowed: ",
                                       absl::StrJoin(StoreKindNames(), ", ")));
    }
    return;
  }
  const StoreKind* kind = FindStoreKind(config->kind);
  if (kind == nullptr) {
    store.Error("kind",
                UnknownName("kind of store", config->kind, StoreKindNames()));
    return;
  }
  absl::btree_set<std::string> unread;
  for (const std::string& key : store.Keys()) {
    if (key == "kind" || key == "allow_loss") continue;
    if (!store.ReadText(key, &config->options[key])) unread.insert(key);
  }
  const std::vector<StoreOptionError> errors = kind->check(config->options);
  for (const StoreOptionError& error : errors) {
    if (unread.contains(error.key)) continue;  // reported already
    store.Error(error.key.empty() ? "kind" : error.key, error.message);
  }
  if (errors.empty() && kind->resolve != nullptr) {
    kind->resolve(config->options);
  }
  if (kind->loses && !config->allow_loss) {
    store.Error("kind", absl::StrCat(config->kind,
                                     " keeps nothing: all submissions would "
                                     "be lost; use another kind, or accept "
                                     "the loss with allow_loss: true"));
  }
}

// --- Pools ---

// True if `name` can be a pool's name. Names are values of the metrics' label
// `pool`.
bool IsPoolName(const std::string& name) {
  return !name.empty() && name.size() <= kPoolNameBytesMax &&
         std::ranges::all_of(name, [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

void ReadJournal(ConfigSection& queue, PoolConfig* pool) {
  std::string path;
  if (!queue.ReadText("path", &path)) {
    if (!queue.Has("path")) {
      queue.Error("path",
                  "missing: name the journal's file, e.g. data/journal.db");
    }
  } else if (!NamesAFile(path)) {
    queue.Error("path", "must be the path of a file, not of a directory");
  } else {
    pool->journal_path = path;
  }
}

// A data file, and the key of the configuration that names it.
struct DataFile {
  std::string key;
  std::string path;    // as written in the configuration
  std::string normal;  // NormalPath of `path`
};

// Returns the reason why `file` conflicts with `other`, or an empty text.
std::string Conflict(const DataFile& file, const DataFile& other) {
  if (file.normal == other.normal) {
    return absl::StrCat("already used by ", other.key,
                        ": choose a file of its own");
  }
  for (const char* suffix : kReservedSuffixes) {
    if (file.normal == absl::StrCat(other.normal, suffix)) {
      return absl::StrCat("reserved for ", other.key, ", which needs the file ",
                          other.path, suffix, ": choose another name");
    }
    if (other.normal == absl::StrCat(file.normal, suffix)) {
      return absl::StrCat("needs the file ", file.path, suffix,
                          ", which is already used by ", other.key,
                          ": choose another name for one of the two");
    }
  }
  return "";
}

// Reports each data file that two pools, or a pool and the store, would share.
// Detects different spellings of one path, and data files that have the name of
// a lock file or write-ahead log of another data file.
void RejectSharedFiles(ConfigSection& root, const Config& config) {
  if (config.pools.empty()) return;  // reported already
  std::vector<DataFile> files;
  const auto path = config.store.options.find("path");
  if (path != config.store.options.end()) {
    files.push_back({"store.path", path->second, NormalPath(path->second)});
  }
  ConfigSection pools = root.Section("pools");
  for (const auto& [name, pool] : config.pools) {
    if (pool.journal_path.empty()) continue;
    DataFile file = {absl::StrCat("pools.", name, ".queue.path"),
                     pool.journal_path, NormalPath(pool.journal_path)};
    for (const DataFile& other : files) {
      const std::string conflict = Conflict(file, other);
      if (conflict.empty()) continue;
      pools.Section(name).Section("queue").Error("path", conflict);
      break;  // one error for each key
    }
    files.push_back(std::move(file));
  }
}

// Reports an error if a limit of the quarantine is too small for the queue.
void RequireRoomForTheQueue(ConfigSection& quarantine, const std::string& key,
                            std::size_t limit, const std::string& of_queue,
                            std::size_t smallest, const std::string& as_text) {
  if (limit >= smallest) return;
  quarantine.Error(
      key, absl::StrCat("must be at least ", kQuarantineFactor, " times ",
                        of_queue, " (", as_text,
                        "), so that submissions that are queued find room in "
                        "quarantine"));
}

// Reads the limits of the quarantine. Must be called after the limits of the
// queue were read, because the defaults grow with these limits.
void ReadQuarantine(ConfigSection section, PoolConfig* pool) {
  QuarantineConfig& quarantine = pool->quarantine;
  const std::size_t smallest = kQuarantineFactor * pool->queue_capacity;
  const std::size_t smallest_bytes =
      kQuarantineFactor * pool->queue_capacity_bytes;
  quarantine.max = std::max(quarantine.max, smallest);
  quarantine.max_bytes = std::max(quarantine.max_bytes, smallest_bytes);
  section.ReadCount("max", kQuarantineMax, &quarantine.max);
  section.ReadBytes("max_bytes", kQuarantineBytes, &quarantine.max_bytes);
  section.RejectUnknownKeys();
  RequireRoomForTheQueue(section, "max", quarantine.max, "queue.capacity",
                         smallest, absl::StrCat(smallest));
  RequireRoomForTheQueue(section, "max_bytes", quarantine.max_bytes,
                         "queue.capacity_bytes", smallest_bytes,
                         FormatBytes(smallest_bytes));
}

void ReadQueue(ConfigSection queue, const LimitsConfig& limits,
               PoolConfig* pool) {
  std::string kind = "memory";
  if (queue.ReadText("kind", &kind) && kind != "memory" && kind != "journal") {
    queue.Error("kind",
                UnknownName("kind of queue", kind, {"journal", "memory"}));
    return;  // the other keys may belong to the kind that was meant
  }
  queue.ReadCount("capacity", kQueueCapacity, &pool->queue_capacity);
  queue.ReadBytes("capacity_bytes", kHeldBytes, &pool->queue_capacity_bytes);
  if (kind == "journal") {
    ReadJournal(queue, pool);
    ReadQuarantine(queue.Section("quarantine"), pool);
    queue.ReadBytes("min_free_disk", kMinFreeDisk, &pool->min_free_disk);
  }
  queue.RejectUnknownKeys();
  RequireRoomForAMessage(queue, "capacity_bytes", pool->queue_capacity_bytes,
                         limits);
}

void ReadWaiting(ConfigSection waiting, const LimitsConfig& limits,
                 PoolConfig* pool) {
  waiting.ReadCount("max", kWaitingMax, &pool->waiting_max);
  waiting.ReadBytes("max_bytes", kHeldBytes, &pool->waiting_max_bytes);
  waiting.RejectUnknownKeys();
  if (pool->waiting_max > 0) {
    RequireRoomForAMessage(waiting, "max_bytes", pool->waiting_max_bytes,
                           limits);
  }
}

void ReadWorkers(ConfigSection section, WorkersConfig* workers) {
  const bool has_min = section.ReadCount("min", kWorkers, &workers->min);
  const bool has_max = section.ReadCount("max", kWorkers, &workers->max);
  if (section.ReadDuration("task_timeout", kTaskTimeoutMax,
                           &workers->task_timeout) &&
      workers->task_timeout < kTaskTimeoutMin) {
    section.Error("task_timeout",
                  absl::StrCat("must be at least ",
                               absl::FormatDuration(kTaskTimeoutMin)));
  }
  section.RejectUnknownKeys();
  if (section.Has("min") != section.Has("max")) {
    section.Error(section.Has("min") ? "max" : "min",
                  "missing: set both min and max, or neither");
  }
  if (has_min && has_max && workers->min > workers->max) {
    section.Error(
        "min", absl::StrCat("is ", workers->min, ", but must be at most max (",
                            workers->max, ")"));
  }
}

void ReadFairBy(ConfigSection& section, FairBy* fair_by) {
  std::string text;
  if (!section.ReadText("fair_by", &text)) return;
  if (text == "none") {
    *fair_by = FairBy::kNone;
  } else if (text == "study") {
    *fair_by = FairBy::kStudy;
  } else if (text == "site") {
    *fair_by = FairBy::kSite;
  } else {
    section.Error("fair_by",
                  UnknownName("value", text, {"none", "site", "study"}));
  }
}

void ReadPool(ConfigSection section, const LimitsConfig& limits,
              PoolConfig* pool) {
  ReadQueue(section.Section("queue"), limits, pool);
  ReadWaiting(section.Section("waiting"), limits, pool);
  ReadWorkers(section.Section("workers"), &pool->workers);
  ConfigSection batch = section.Section("batch");
  batch.ReadCount("max", kBatchMax, &pool->batch_max);
  batch.ReadBytes("max_bytes", kHeldBytes, &pool->batch_max_bytes);
  batch.RejectUnknownKeys();
  ReadFairBy(section, &pool->fair_by);
  section.RejectUnknownKeys();
}

void ReadPools(ConfigSection& root, Config* config) {
  ConfigSection pools = root.Section("pools");
  const std::vector<std::string> names = pools.Keys();
  if (names.empty() && (pools.present() || !root.Has("pools"))) {
    root.Error("pools", "must have at least one pool, e.g. {clinical: {}}");
  }
  if (names.size() > kPoolsMax) {
    root.Error("pools", absl::StrCat("has ", names.size(), " pools, at most ",
                                     kPoolsMax, " are allowed"));
    return;
  }
  for (const std::string& name : names) {
    if (!IsPoolName(name)) {
      pools.Error(name,
                  absl::StrCat("a pool's name may have letters, digits, _ "
                               "and -, at most ",
                               kPoolNameBytesMax, " characters"));
      continue;
    }
    PoolConfig& pool = config->pools[name];
    if (name == kReceiptsPool) pool = DefaultReceiptsPool(config->limits);
    ReadPool(pools.Section(name), config->limits, &pool);
  }
}

}  // namespace

bool SharedByLane(const Config& config, const std::string& pool) {
  SLUICE_DCHECK(config.pools.contains(pool));
  if (config.pools.at(pool).fair_by != FairBy::kNone) return true;
  absl::btree_set<Priority> priorities;
  for (const MethodConfig& method : config.methods) {
    if (method.pool == pool) priorities.insert(method.priority);
  }
  return priorities.size() > 1;
}

GateLimits GateLimitsOf(const Config& config, const std::string& pool) {
  const PoolConfig& limits = config.pools.at(pool);
  return {.capacity = limits.queue_capacity,
          .capacity_bytes = limits.queue_capacity_bytes,
          .waiting_max = limits.waiting_max,
          .waiting_max_bytes = limits.waiting_max_bytes,
          .by_lane = SharedByLane(config, pool)};
}

BatchLimits BatchLimitsOf(const PoolConfig& pool) {
  return {.tasks = pool.batch_max, .bytes = pool.batch_max_bytes};
}

PoolConfig DefaultReceiptsPool(const LimitsConfig& limits) {
  PoolConfig pool = {
      .queue_capacity = 1024, .workers = {.min = 1, .max = 1}, .batch_max = 16};
  pool.queue_capacity_bytes =
      std::max(pool.queue_capacity_bytes, limits.message_bytes);
  pool.waiting_max_bytes =
      std::max(pool.waiting_max_bytes, limits.message_bytes);
  return pool;
}

Config ParseConfig(std::string_view yaml, ConfigErrors* errors) {
  errors->clear();
  Config config;
  if (const std::optional<YamlNode> document = ParseYaml(yaml, errors)) {
    ConfigSection root(*document, errors);
    ReadAddresses(root, &config);
    root.ReadCount("completion_queues", kCompletionQueues,
                   &config.completion_queues);
    ReadLimits(root.Section("limits"), &config.limits);
    ReadStore(root.Section("store"), &config.store);
    ReadPools(root, &config);
    RejectSharedFiles(root, config);
    ReadMethods(root, &config);
    ReadLog(root.Section("log"), &config.log);
    ReadDrain(root.Section("drain"), &config);
    ReadBackup(root.Section("backup"), &config);
    root.RejectUnknownKeys();
  }
  std::ranges::stable_sort(*errors, {}, &ConfigError::line);
  return config;
}

}  // namespace sluice

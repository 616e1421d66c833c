#include "config/config_change.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {
namespace {

using Keys = std::vector<std::string>;

// Adds `key` to `needs_restart` if the file has a new value for it. The running
// value stays.
template <typename Value>
void Keep(const std::string& key, const Value& running, const Value& fresh,
          Keys* needs_restart) {
  if (running != fresh) needs_restart->push_back(key);
}

void KeepLimits(const LimitsConfig& running, const LimitsConfig& fresh,
                Keys* keys) {
  Keep("limits.message_bytes", running.message_bytes, fresh.message_bytes,
       keys);
  Keep("limits.nesting", running.nesting, fresh.nesting, keys);
  Keep("limits.answers", running.answers, fresh.answers, keys);
  Keep("limits.connections", running.connections, fresh.connections, keys);
  Keep("limits.calls_per_connection", running.calls_per_connection,
       fresh.calls_per_connection, keys);
  Keep("limits.transport_bytes", running.transport_bytes, fresh.transport_bytes,
       keys);
  Keep("limits.recent_ids", running.recent_ids, fresh.recent_ids, keys);
}

void KeepStore(const StoreConfig& running, const StoreConfig& fresh,
               Keys* keys) {
  Keep("store.kind", running.kind, fresh.kind, keys);
  for (const auto& [key, value] : running.options) {
    const auto other = fresh.options.find(key);
    if (other == fresh.options.end() || other->second != value) {
      keys->push_back(absl::StrCat("store.", key));
    }
  }
  for (const auto& [key, value] : fresh.options) {
    if (!running.options.contains(key)) {
      keys->push_back(absl::StrCat("store.", key));
    }
  }
  Keep("store.allow_loss", running.allow_loss, fresh.allow_loss, keys);
}

void KeepQueueKind(const std::string& path, const PoolConfig& running,
                   const PoolConfig& fresh, Keys* keys) {
  if (running.journal_path.empty() != fresh.journal_path.empty()) {
    keys->push_back(path + ".queue.kind");
  } else {
    Keep(path + ".queue.path", running.journal_path, fresh.journal_path, keys);
  }
}

// Applies changed limits of a journal, but keeps the quarantine large enough
// for the running limits of the queue. Must be called after the limits of the
// queue have been changed.
void ChangeQuarantine(const std::string& path, const PoolConfig& fresh,
                      PoolConfig* pool, Keys* keys) {
  if (pool->journal_path.empty()) return;
  QuarantineConfig quarantine = pool->quarantine;
  if (!fresh.journal_path.empty()) {
    quarantine = fresh.quarantine;
    pool->min_free_disk = fresh.min_free_disk;
  }
  pool->quarantine.max =
      std::max(quarantine.max, kQuarantineFactor * pool->queue_capacity);
  pool->quarantine.max_bytes = std::max(
      quarantine.max_bytes, kQuarantineFactor * pool->queue_capacity_bytes);
  if (fresh.journal_path.empty()) return;
  Keep(path + ".queue.quarantine.max_bytes", pool->quarantine.max_bytes,
       fresh.quarantine.max_bytes, keys);
}

// Applies changed limits of a pool, except for byte limits below the running
// limits.message_bytes. Such a limit was chosen for a new limits.message_bytes.
// It waits for the restart that changes limits.message_bytes, because until
// then the largest request would not fit.
void ChangePool(const std::string& path, const LimitsConfig& limits,
                const PoolConfig& fresh, PoolConfig* pool, Keys* keys) {
  KeepQueueKind(path, *pool, fresh, keys);
  pool->queue_capacity = fresh.queue_capacity;
  if (fresh.queue_capacity_bytes >= limits.message_bytes) {
    pool->queue_capacity_bytes = fresh.queue_capacity_bytes;
  }
  Keep(path + ".queue.capacity_bytes", pool->queue_capacity_bytes,
       fresh.queue_capacity_bytes, keys);
  ChangeQuarantine(path, fresh, pool, keys);
  if (fresh.waiting_max == 0 ||
      fresh.waiting_max_bytes >= limits.message_bytes) {
    pool->waiting_max = fresh.waiting_max;
    pool->waiting_max_bytes = fresh.waiting_max_bytes;
  }
  Keep(path + ".waiting.max", pool->waiting_max, fresh.waiting_max, keys);
  Keep(path + ".waiting.max_bytes", pool->waiting_max_bytes,
       fresh.waiting_max_bytes, keys);
  pool->workers.min = fresh.workers.min;
  pool->workers.max = fresh.workers.max;
  Keep(path + ".workers.task_timeout", pool->workers.task_timeout,
       fresh.workers.task_timeout, keys);
  pool->batch_max = fresh.batch_max;
  pool->batch_max_bytes = fresh.batch_max_bytes;
  pool->fair_by = fresh.fair_by;
}

void ChangePools(const Config& fresh, Config* config, Keys* keys) {
  for (auto& [name, pool] : config->pools) {
    const std::string path = absl::StrCat("pools.", name);
    const auto found = fresh.pools.find(name);
    if (found == fresh.pools.end()) {
      keys->push_back(path);
    } else {
      ChangePool(path, config->limits, found->second, &pool, keys);
    }
  }
  for (const auto& [name, pool] : fresh.pools) {
    if (!config->pools.contains(name)) {
      keys->push_back(absl::StrCat("pools.", name));
    }
  }
}

// True if a crash would lose acknowledged submissions although neither
// allow_loss nor may_lose permits it.
bool LosesAcknowledged(Method method, const MethodConfig& config,
                       const PoolConfig& pool) {
  return config.ack == Ack::kQueued && pool.journal_path.empty() &&
         !config.allow_loss && !MayLose(method);
}

// Applies changed settings of a method. If the running pool has no journal and
// the file gives it one, a new acknowledgement mode waits for the restart that
// opens the journal.
void ChangeMethod(Method method, const PoolConfig& pool,
                  const MethodConfig& fresh, MethodConfig* config, Keys* keys) {
  const std::string path =
      absl::StrCat("methods.", std::string(FullMethodName(method)));
  Keep(path + ".pool", config->pool, fresh.pool, keys);
  config->on_full = fresh.on_full;
  config->max_wait = fresh.max_wait;
  config->shadow = fresh.shadow;
  config->priority = fresh.priority;
  if (!LosesAcknowledged(method, fresh, pool)) {
    config->ack = fresh.ack;
    config->allow_loss = fresh.allow_loss;
  }
  Keep(path + ".ack", config->ack, fresh.ack, keys);
  Keep(path + ".allow_loss", config->allow_loss, fresh.allow_loss, keys);
}

}  // namespace

ConfigChange ChangeConfig(const Config& running, const Config& fresh) {
  SLUICE_DCHECK(!running.pools.empty());
  SLUICE_DCHECK(!fresh.pools.empty());
  ConfigChange change = {.config = running, .needs_restart = {}};
  Config* config = &change.config;
  Keys* keys = &change.needs_restart;
  Keep("listen", running.listen, fresh.listen, keys);
  Keep("metrics", running.metrics, fresh.metrics, keys);
  Keep("admin", running.admin, fresh.admin, keys);
  Keep("completion_queues", running.completion_queues, fresh.completion_queues,
       keys);
  KeepStore(running.store, fresh.store, keys);
  ChangePools(fresh, config, keys);
  for (const Method method : kAllMethods) {
    MethodConfig& into = config->methods[Index(method)];
    ChangeMethod(method, config->pools.at(into.pool), fresh.method(method),
                 &into, keys);
  }
  KeepLimits(running.limits, fresh.limits, keys);
  Keep("backup.directory", running.backup_directory, fresh.backup_directory,
       keys);
  config->log = fresh.log;
  config->drain_timeout = fresh.drain_timeout;
  return change;
}

}  // namespace sluice

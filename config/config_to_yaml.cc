#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "config/config.h"
#include "config/config_reader.h"
#include "yaml-cpp/emitter.h"
#include "yaml-cpp/emittermanip.h"

namespace sluice {
namespace {

template <typename Value>
void Put(YAML::Emitter& out, const std::string& key, const Value& value) {
  out << YAML::Key << key << YAML::Value << value;
}

void OpenMap(YAML::Emitter& out, const std::string& key) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
}

// Opens a map that is written on one line: {max: 256}.
void OpenFlowMap(YAML::Emitter& out, const std::string& key) {
  out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginMap;
}

void CloseMap(YAML::Emitter& out) { out << YAML::EndMap; }

void PutLimits(YAML::Emitter& out, const LimitsConfig& limits) {
  OpenMap(out, "limits");
  Put(out, "message_bytes", FormatBytes(limits.message_bytes));
  Put(out, "nesting", limits.nesting);
  Put(out, "answers", limits.answers);
  Put(out, "connections", limits.connections);
  Put(out, "calls_per_connection", limits.calls_per_connection);
  Put(out, "transport_bytes", FormatBytes(limits.transport_bytes));
  Put(out, "recent_ids", limits.recent_ids);
  CloseMap(out);
}

void PutStore(YAML::Emitter& out, const StoreConfig& store) {
  OpenMap(out, "store");
  Put(out, "kind", store.kind);
  for (const auto& [key, value] : store.options) Put(out, key, value);
  Put(out, "allow_loss", store.allow_loss);
  CloseMap(out);
}

void PutLog(YAML::Emitter& out, const LogOptions& log) {
  OpenFlowMap(out, "log");
  Put(out, "format",
      std::string(kLogFormatNames[static_cast<std::size_t>(log.format)]));
  Put(out, "level",
      std::string(kLogLevelNames[static_cast<std::size_t>(log.level)]));
  CloseMap(out);
}

const char* FairByName(FairBy fair_by) {
  switch (fair_by) {
    case FairBy::kNone:
      return "none";
    case FairBy::kStudy:
      return "study";
    case FairBy::kSite:
      return "site";
  }
  return "";
}

void PutPool(YAML::Emitter& out, const std::string& name,
             const PoolConfig& pool) {
  OpenMap(out, name);
  OpenFlowMap(out, "queue");
  Put(out, "kind", pool.journal_path.empty() ? "memory" : "journal");
  if (!pool.journal_path.empty()) Put(out, "path", pool.journal_path);
  Put(out, "capacity", pool.queue_capacity);
  Put(out, "capacity_bytes", FormatBytes(pool.queue_capacity_bytes));
  if (!pool.journal_path.empty()) {
    OpenFlowMap(out, "quarantine");
    Put(out, "max", pool.quarantine.max);
    Put(out, "max_bytes", FormatBytes(pool.quarantine.max_bytes));
    CloseMap(out);
    Put(out, "min_free_disk", FormatBytes(pool.min_free_disk));
  }
  CloseMap(out);
  OpenFlowMap(out, "waiting");
  Put(out, "max", pool.waiting_max);
  Put(out, "max_bytes", FormatBytes(pool.waiting_max_bytes));
  CloseMap(out);
  OpenFlowMap(out, "workers");
  Put(out, "min", pool.workers.min);
  Put(out, "max", pool.workers.max);
  Put(out, "task_timeout", absl::FormatDuration(pool.workers.task_timeout));
  CloseMap(out);
  OpenFlowMap(out, "batch");
  Put(out, "max", pool.batch_max);
  Put(out, "max_bytes", FormatBytes(pool.batch_max_bytes));
  CloseMap(out);
  Put(out, "fair_by", FairByName(pool.fair_by));
  CloseMap(out);
}

void PutMethod(YAML::Emitter& out, Method method, const MethodConfig& config) {
  OpenFlowMap(out, std::string(FullMethodName(method)));
  Put(out, "pool", config.pool);
  Put(out, "on_full", config.on_full);
  if (config.max_wait > absl::ZeroDuration()) {
    Put(out, "max_wait", absl::FormatDuration(config.max_wait));
  }
  if (!config.shadow.on_full.empty()) {
    OpenFlowMap(out, "shadow");
    Put(out, "on_full", config.shadow.on_full);
    if (config.shadow.max_wait > absl::ZeroDuration()) {
      Put(out, "max_wait", absl::FormatDuration(config.shadow.max_wait));
    }
    CloseMap(out);
  }
  if (method != Method::kGetReceipts) {
    Put(out, "ack", config.ack == Ack::kStored ? "stored" : "queued");
    Put(out, "allow_loss", config.allow_loss);
    Put(out, "priority", std::string(kPriorityNames[Index(config.priority)]));
  }
  CloseMap(out);
}

}  // namespace

std::string ConfigToYaml(const Config& config) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  Put(out, "listen", config.listen);
  Put(out, "metrics", config.metrics);
  // Leave out an empty address: no value means "no admin service".
  if (!config.admin.empty()) Put(out, "admin", config.admin);
  Put(out, "completion_queues", config.completion_queues);
  PutLimits(out, config.limits);
  PutStore(out, config.store);
  OpenMap(out, "pools");
  for (const auto& [name, pool] : config.pools) PutPool(out, name, pool);
  CloseMap(out);
  OpenMap(out, "methods");
  for (const Method method : kAllMethods) {
    PutMethod(out, method, config.method(method));
  }
  CloseMap(out);
  PutLog(out, config.log);
  OpenFlowMap(out, "drain");
  Put(out, "timeout", absl::FormatDuration(config.drain_timeout));
  CloseMap(out);
  // Leave out an empty directory: a missing key means "no backups".
  if (!config.backup_directory.empty()) {
    OpenFlowMap(out, "backup");
    Put(out, "directory", config.backup_directory);
    CloseMap(out);
  }
  out << YAML::EndMap << YAML::Newline;
  return out.c_str();
}

}  // namespace sluice

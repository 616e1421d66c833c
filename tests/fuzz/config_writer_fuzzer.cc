// ConfigToYaml writes every configuration, valid or not, as one YAML document:
// reading it never fails because of its syntax, and a valid configuration is
// read back equal. Texts such as paths may have any characters.
//
// Input: a byte that chooses the form, then the rest. The rest is either values
// for the fields of Config, one after the other, or changes to a valid
// configuration.

#include <array>
#include <string>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

// Returns a number. Small numbers are near most limits; large numbers are
// written with a unit.
std::size_t ReadNumber(InputReader& input) {
  const std::size_t value = input.Byte();
  return value << (input.Byte() % 24);
}

absl::Duration ReadMilliseconds(InputReader& input) {
  return absl::Milliseconds(static_cast<std::int64_t>(ReadNumber(input)) + 1);
}

std::string ReadName(InputReader& input) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "clinical", "telemetry", "receipts", "a-b_c", "true", "7"};
  return std::string(kNames[input.Below(kNames.size())]);
}

std::string ReadPolicy(InputReader& input, absl::Duration* max_wait) {
  static constexpr std::array<std::string_view, 5> kPolicies = {
      "fail_fast", "block", "timed_wait", "drop", "drop_oldest"};
  const std::string_view policy = kPolicies[input.Below(kPolicies.size())];
  *max_wait =
      policy == "timed_wait" ? ReadMilliseconds(input) : absl::ZeroDuration();
  return std::string(policy);
}

PoolConfig ReadPool(InputReader& input) {
  PoolConfig pool;
  if (input.Flag()) pool.journal_path = input.Utf8Text();
  pool.queue_capacity = ReadNumber(input);
  pool.queue_capacity_bytes += ReadNumber(input);
  pool.waiting_max = ReadNumber(input);
  pool.waiting_max_bytes += ReadNumber(input);
  pool.workers.min = input.Byte();
  pool.workers.max = pool.workers.min + input.Byte();
  pool.workers.task_timeout = ReadMilliseconds(input) + absl::Seconds(1);
  pool.batch_max = ReadNumber(input);
  pool.batch_max_bytes += ReadNumber(input);
  pool.fair_by = static_cast<FairBy>(input.Below(3));
  return pool;
}

MethodConfig ReadMethod(InputReader& input, Method method) {
  MethodConfig config;
  config.pool = ReadName(input);
  config.on_full = ReadPolicy(input, &config.max_wait);
  if (input.Flag()) {
    config.shadow.on_full = ReadPolicy(input, &config.shadow.max_wait);
  }
  if (method == Method::kGetReceipts) return config;
  config.ack = input.Flag() ? Ack::kQueued : Ack::kStored;
  config.allow_loss = input.Flag();
  config.priority = static_cast<Priority>(input.Below(kPriorityNames.size()));
  return config;
}

Config ReadConfig(InputReader& input) {
  Config config;
  if (input.Flag()) config.listen = "[::1]:50051";
  if (input.Flag()) config.admin = "localhost:50052";
  config.completion_queues = input.Below(65);
  config.limits.message_bytes = ReadNumber(input) + 1024;
  config.limits.nesting = input.Byte();
  config.limits.answers = ReadNumber(input);
  config.limits.connections = ReadNumber(input);
  config.limits.calls_per_connection = ReadNumber(input);
  config.limits.transport_bytes += ReadNumber(input);
  config.limits.recent_ids = ReadNumber(input);
  config.drain_timeout = ReadMilliseconds(input);
  if (input.Flag()) config.store.options["path"] = input.Utf8Text();
  if (input.Flag()) config.store.options[input.Utf8Text()] = input.Utf8Text();
  config.store.allow_loss = input.Flag();
  for (std::size_t pools = input.Below(4); pools > 0; --pools) {
    config.pools[ReadName(input)] = ReadPool(input);
  }
  for (const Method method : kAllMethods) {
    config.methods[Index(method)] = ReadMethod(input, method);
  }
  return config;
}

Config ValidConfig() {
  ConfigErrors errors;
  const Config config = ParseConfig(R"yaml(
listen: 127.0.0.1:50051
metrics: 127.0.0.1:9464
store: {kind: sqlite, path: data/sluice.db}
pools:
  clinical:
    queue: {kind: journal, path: data/journal.db, capacity: 100000}
    workers: {min: 2, max: 16}
  telemetry:
    queue: {kind: memory, capacity: 4096}
    workers: {min: 1, max: 1}
methods:
  default: {pool: clinical, on_full: fail_fast, ack: stored}
  sluice.v1.Ingestion/Submit:
    pool: clinical
    on_full: timed_wait
    max_wait: 250ms
    shadow: {on_full: timed_wait, max_wait: 1s}
    ack: stored
  sluice.v1.Ingestion/RecordEvents: {pool: telemetry, on_full: drop, ack: queued}
)yaml",
                                    &errors);
  Require(errors.empty(), "the configuration to change is valid");
  Require(
      ParseConfig(ConfigToYaml(config), &errors) == config && errors.empty(),
      "the configuration to change is read back");
  return config;
}

// Changes a few values of a valid configuration. A configuration with only
// random values would hardly ever be valid.
Config ReadChanges(InputReader& input) {
  static const Config valid = ValidConfig();
  Config config = valid;
  for (int changes = 0; changes < 8 && !input.empty(); ++changes) {
    // GetReceipts has fewer settings.
    const Method method =
        input.Flag() ? Method::kSubmit : Method::kRecordEvents;
    MethodConfig& of_method = config.methods[Index(method)];
    PoolConfig& pool = config.pools[input.Flag() ? "clinical" : "telemetry"];
    switch (input.Below(14)) {
      case 0:
        of_method.on_full = ReadPolicy(input, &of_method.max_wait);
        break;
      case 1:
        of_method.shadow.on_full =
            ReadPolicy(input, &of_method.shadow.max_wait);
        break;
      case 2:
        of_method.ack = Ack::kQueued;
        of_method.allow_loss = input.Flag();
        break;
      case 3:
        of_method.priority =
            static_cast<Priority>(input.Below(kPriorityNames.size()));
        break;
      case 4:
        of_method.pool = "telemetry";
        break;
      case 5:
        pool.journal_path = input.Utf8Text();
        // The limits of a memory queue's quarantine are not written.
        if (pool.journal_path.empty()) pool.quarantine = {};
        break;
      case 6:
        pool.queue_capacity = ReadNumber(input);
        break;
      case 7:
        pool.queue_capacity_bytes += ReadNumber(input);
        break;
      case 8:
        pool.waiting_max = ReadNumber(input);
        break;
      case 9:
        pool.fair_by = static_cast<FairBy>(input.Below(3));
        break;
      case 10:
        pool.workers.task_timeout = ReadMilliseconds(input);
        break;
      case 11:
        config.drain_timeout = ReadMilliseconds(input);
        break;
      case 12:
        config.store.options["path"] = input.Utf8Text();
        break;
      case 13:
        config.store.allow_loss = input.Flag();
        break;
    }
  }
  return config;
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  const Config config =
      reader.Flag() ? ReadChanges(reader) : ReadConfig(reader);
  const std::string yaml = ConfigToYaml(config);
  ConfigErrors errors;
  const Config read = ParseConfig(yaml, &errors);
  for (const ConfigError& error : errors) {
    Require(error.message.find("YAML") == std::string::npos,
            "what is written is YAML");
    Require(IsPrintable(error.ToString("config.yaml")),
            "an error has no control characters");
  }
  if (errors.empty()) Require(read == config, "it is read back equal");
}

}  // namespace sluice

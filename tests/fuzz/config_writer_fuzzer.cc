// ConfigToYaml writes every configuration, valid or not, as one YAML document:
// reading it never fails because of its syntax, and a valid configuration is
// read back equal. Texts such as paths may have any characters.
//
// Input: values for the fields of Config, one after the other.

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
  if (policy == "timed_wait") *max_wait = ReadMilliseconds(input);
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

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  const Config config = ReadConfig(reader);
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

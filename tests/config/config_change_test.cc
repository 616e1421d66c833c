#include "config/config_change.h"

#include <cstddef>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/yaml_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config Parse(const std::string& yaml) {
  ConfigErrors errors;
  Config config = ParseConfig(yaml, &errors);
  for (const ConfigError& error : errors) {
    ADD_FAILURE() << error.ToString("yaml") << "\n" << yaml;
  }
  return config;
}

// Returns the change when a server that runs `before` reads `after`.
ConfigChange Change(const std::string& before, const std::string& after) {
  return ChangeConfig(Parse(before), Parse(after));
}

// --- Every key ---

// A file with every key. No key has its default value.
constexpr std::string_view kEveryKey = R"(
listen: 127.0.0.1:1001
metrics: 127.0.0.1:1002
admin: 127.0.0.1:1003
completion_queues: 3
limits:
  message_bytes: 1MiB
  nesting: 20
  answers: 103
  connections: 100
  calls_per_connection: 101
  transport_bytes: 64MiB
  recent_ids: 102
store: {kind: discard, allow_loss: true, delay: 5ms, jitter: pareto, fail_rate: 0.1}
pools:
  main:
    queue: {kind: journal, path: a.db, capacity: 200, capacity_bytes: 4MiB, quarantine: {max: 4000, max_bytes: 112MiB}, min_free_disk: 6MiB}
    waiting: {max: 201, max_bytes: 5MiB}
    workers: {min: 3, max: 5, task_timeout: 11s}
    batch: {max: 202, max_bytes: 7MiB}
    fair_by: study
  other: {}
  receipts: {}
methods:
  sluice.v1.Ingestion/Submit: {pool: main, on_full: timed_wait, max_wait: 7ms, ack: queued, allow_loss: true, priority: high}
  sluice.v1.Ingestion/SubmitStream: {pool: other, shadow: {on_full: timed_wait, max_wait: 21ms}}
  sluice.v1.Ingestion/ImportPatients: {pool: main}
  sluice.v1.Ingestion/RecordEvents: {pool: other}
  sluice.v1.Ingestion/GetReceipts: {pool: receipts}
log: {format: json, level: debug}
drain: {timeout: 9s}
backup: {directory: backups}
)";

// A change of one key: a text in kEveryKey, and the text that replaces it.
struct KeyChange {
  std::string key;
  std::string from;
  std::string to;
  // Keys that need a restart; empty if the key changes live.
  std::vector<std::string> needs_restart;
};

const std::vector<KeyChange>& KeyChanges() {
  static const auto* const kChanges = new std::vector<KeyChange>{
      {"listen", "127.0.0.1:1001", "127.0.0.1:2001", {"listen"}},
      {"metrics", "127.0.0.1:1002", "127.0.0.1:2002", {"metrics"}},
      {"admin", "127.0.0.1:1003", "127.0.0.1:2003", {"admin"}},
      {"completion_queues",
       "completion_queues: 3",
       "completion_queues: 4",
       {"completion_queues"}},
      {"limits.message_bytes",
       "message_bytes: 1MiB",
       "message_bytes: 2MiB",
       {"limits.message_bytes"}},
      {"limits.nesting", "nesting: 20", "nesting: 21", {"limits.nesting"}},
      {"limits.answers", "answers: 103", "answers: 96", {"limits.answers"}},
      {"limits.connections",
       "connections: 100",
       "connections: 99",
       {"limits.connections"}},
      {"limits.calls_per_connection",
       "calls_per_connection: 101",
       "calls_per_connection: 98",
       {"limits.calls_per_connection"}},
      {"limits.transport_bytes", "64MiB", "65MiB", {"limits.transport_bytes"}},
      {"limits.recent_ids",
       "recent_ids: 102",
       "recent_ids: 97",
       {"limits.recent_ids"}},
      {"store.kind",
       "{kind: discard, allow_loss: true, delay: 5ms, jitter: pareto, "
       "fail_rate: 0.1}",
       "{kind: sqlite, allow_loss: true, path: x.db}",
       {"store.kind", "store.delay", "store.fail_rate", "store.jitter",
        "store.path"}},
      {"store.delay", "delay: 5ms", "delay: 6ms", {"store.delay"}},
      {"store.jitter", "jitter: pareto", "jitter: constant", {"store.jitter"}},
      {"store.fail_rate",
       "fail_rate: 0.1",
       "fail_rate: 0.2",
       {"store.fail_rate"}},
      {"store.allow_loss",
       "discard, allow_loss: true, delay: 5ms, jitter: pareto, fail_rate: 0.1",
       "sqlite, allow_loss: false, path: x.db",
       {"store.kind", "store.delay", "store.fail_rate", "store.jitter",
        "store.path", "store.allow_loss"}},
      {"pools.P.queue.kind",
       "kind: journal, path: a.db, capacity: 200, capacity_bytes: 4MiB, "
       "quarantine: {max: 4000, max_bytes: 112MiB}, min_free_disk: 6MiB",
       "kind: memory, capacity: 200, capacity_bytes: 4MiB",
       {"pools.main.queue.kind"}},
      {"pools.P.queue.path", "a.db", "b.db", {"pools.main.queue.path"}},
      {"pools.P.queue.capacity", "capacity: 200", "capacity: 300", {}},
      {"pools.P.queue.quarantine.max", "max: 4000", "max: 5000", {}},
      {"pools.P.queue.quarantine.max_bytes", "112MiB", "113MiB", {}},
      {"pools.P.queue.min_free_disk", "6MiB", "7MiB", {}},
      {"pools.P.fair_by", "fair_by: study", "fair_by: site", {}},
      {"methods.M.priority", "priority: high", "priority: low", {}},
      {"pools.P.queue.capacity_bytes",
       "capacity_bytes: 4MiB",
       "capacity_bytes: 14MiB",
       {}},
      {"pools.P.waiting.max", "max: 201", "max: 301", {}},
      {"pools.P.waiting.max_bytes", "5MiB", "15MiB", {}},
      {"pools.P.workers.min", "{min: 3,", "{min: 4,", {}},
      {"pools.P.workers.max", "max: 5,", "max: 6,", {}},
      {"pools.P.workers.task_timeout",
       "task_timeout: 11s",
       "task_timeout: 12s",
       {"pools.main.workers.task_timeout"}},
      {"pools.P.batch.max", "max: 202", "max: 302", {}},
      {"pools.P.batch.max_bytes", "7MiB", "8MiB", {}},
      {"methods.M.pool",
       "SubmitStream: {pool: other",
       "SubmitStream: {pool: main",
       {"methods.sluice.v1.Ingestion/SubmitStream.pool"}},
      {"methods.M.on_full",
       "on_full: timed_wait, max_wait: 7ms",
       "on_full: block",
       {}},
      {"methods.M.max_wait", "7ms", "8ms", {}},
      {"methods.M.shadow.on_full",
       "on_full: timed_wait, max_wait: 21ms",
       "on_full: drop_oldest",
       {}},
      {"methods.M.shadow.max_wait", "21ms", "22ms", {}},
      {"methods.M.ack", "ack: queued", "ack: stored", {}},
      {"methods.M.allow_loss", "queued, allow_loss: true", "queued", {}},
      {"log.format", "format: json", "format: text", {}},
      {"log.level", "level: debug", "level: error", {}},
      {"drain.timeout", "timeout: 9s", "timeout: 19s", {}},
      {"backup.directory",
       "directory: backups",
       "directory: elsewhere",
       {"backup.directory"}},
  };
  return *kChanges;
}

// Adds the keys of a map to `keys`, with P for the name of each pool and M for
// the name of each method.
void AddKeys(const YamlNode& node, const std::string& path,
             std::set<std::string>* keys) {
  for (const YamlEntry& entry : node.entries) {
    const std::string name = path == "pools"     ? "P"
                             : path == "methods" ? "M"
                                                 : entry.key;
    const std::string key = path.empty() ? name : absl::StrCat(path, ".", name);
    if (entry.value.kind == YamlNode::Kind::kMap) {
      AddKeys(entry.value, key, keys);
    } else {
      keys->insert(key);
    }
  }
}

// A new key needs an entry in kChanges, which says whether the key changes
// live. EachKeyIsAppliedOrNamed checks that ChangeConfig agrees.
TEST(ConfigChange, TheTestsKnowEveryKeyThatThereIs) {
  const std::string yaml = ConfigToYaml(Parse(std::string(kEveryKey)));
  ConfigErrors errors;
  const auto tree = ParseYaml(yaml, &errors);
  ASSERT_TRUE(tree.has_value());
  std::set<std::string> there_are;
  AddKeys(*tree, "", &there_are);
  std::set<std::string> known;
  for (const KeyChange& change : KeyChanges()) known.insert(change.key);
  EXPECT_EQ(there_are, known);
}

TEST(ConfigChange, EachKeyIsAppliedOrNamed) {
  const std::string before(kEveryKey);
  const Config running = Parse(before);
  for (const KeyChange& change : KeyChanges()) {
    const std::string after =
        absl::StrReplaceAll(before, {{change.from, change.to}});
    const Config fresh = Parse(after);
    ASSERT_NE(fresh, running) << change.key;
    const ConfigChange result = ChangeConfig(running, fresh);
    EXPECT_EQ(result.needs_restart, change.needs_restart) << change.key;
    EXPECT_EQ(result.config, change.needs_restart.empty() ? fresh : running)
        << change.key;
  }
}

TEST(ConfigChange, NothingNewIsNoChange) {
  const Config config = Parse(std::string(kEveryKey));
  const ConfigChange change = ChangeConfig(config, config);
  EXPECT_EQ(change.config, config);
  EXPECT_THAT(change.needs_restart, IsEmpty());
}

// --- Keys that depend on each other ---

TEST(ConfigChange, AppliesWhatIsLiveBesideWhatIsNot) {
  const ConfigChange change = Change(
      "listen: 127.0.0.1:1\npools: {main: {workers: {min: 2, max: 2}}}\n",
      "listen: 127.0.0.1:2\npools: {main: {queue: {capacity: 7}, workers: "
      "{min: 3, max: 3, task_timeout: 9s}}}\n");
  EXPECT_THAT(change.needs_restart,
              ElementsAre("listen", "pools.main.workers.task_timeout"));
  EXPECT_EQ(change.config.listen, "127.0.0.1:1");
  EXPECT_EQ(change.config.pools.at("main").workers.max, 3u);
  EXPECT_EQ(change.config.pools.at("main").queue_capacity, 7u);
}

TEST(ConfigChange, PoolsComeAndGoWithARestart) {
  const ConfigChange change =
      Change("pools: {old: {}}\n",
             "pools: {new: {queue: {capacity: 7}}}\n"
             "methods: {default: {pool: new, on_full: block}}\n");
  EXPECT_THAT(change.needs_restart,
              ElementsAre("pools.old", "pools.new",
                          "methods.sluice.v1.Ingestion/Submit.pool",
                          "methods.sluice.v1.Ingestion/SubmitStream.pool",
                          "methods.sluice.v1.Ingestion/ImportPatients.pool",
                          "methods.sluice.v1.Ingestion/RecordEvents.pool"));
  EXPECT_FALSE(change.config.pools.contains("new"));
  EXPECT_EQ(change.config.method(Method::kSubmit).pool, "old");
  EXPECT_EQ(change.config.method(Method::kSubmit).on_full, "block");
}

// The journal waits for the restart. Until then `ack: queued` would acknowledge
// from a queue in memory.
TEST(ConfigChange, AcknowledgesFromTheQueueOnlyWhereTheRunningPoolMay) {
  const std::string memory = "pools: {main: {}}\n";
  const std::string journal =
      "pools: {main: {queue: {kind: journal, path: a.db}}}\n"
      "methods: {default: {ack: queued, on_full: block}}\n";
  const ConfigChange change = Change(memory, journal);
  EXPECT_THAT(change.needs_restart,
              ElementsAre("pools.main.queue.kind",
                          "methods.sluice.v1.Ingestion/Submit.ack",
                          "methods.sluice.v1.Ingestion/SubmitStream.ack",
                          "methods.sluice.v1.Ingestion/ImportPatients.ack"))
      << "RecordEvents may lose";
  EXPECT_EQ(change.config.method(Method::kSubmit).ack, Ack::kStored);
  EXPECT_EQ(change.config.method(Method::kSubmit).on_full, "block");
  EXPECT_EQ(change.config.method(Method::kRecordEvents).ack, Ack::kQueued);
}

TEST(ConfigChange, KeepsTheLeaveToLoseAsLongAsItIsMadeUseOf) {
  const ConfigChange change = Change(
      "pools: {main: {}}\n"
      "methods: {sluice.v1.Ingestion/Submit: {ack: queued, allow_loss: "
      "true}}\n",
      "pools: {main: {queue: {kind: journal, path: a.db}}}\n"
      "methods: {sluice.v1.Ingestion/Submit: {ack: queued}}\n");
  EXPECT_THAT(change.needs_restart,
              ElementsAre("pools.main.queue.kind",
                          "methods.sluice.v1.Ingestion/Submit.allow_loss"));
  EXPECT_TRUE(change.config.method(Method::kSubmit).allow_loss);
}

TEST(ConfigChange, HasRoomForTheLargestRequestThatRuns) {
  const ConfigChange change = Change(
      "limits: {message_bytes: 8MiB}\n"
      "pools: {main: {queue: {capacity: 5}, waiting: {max: 0, max_bytes: "
      "1KiB}}}\n",
      "limits: {message_bytes: 1MiB}\n"
      "pools: {main: {queue: {capacity: 6, capacity_bytes: 7MiB}, waiting: "
      "{max: 9, max_bytes: 7MiB}}}\n");
  EXPECT_THAT(
      change.needs_restart,
      ElementsAre("pools.main.queue.capacity_bytes", "pools.main.waiting.max",
                  "pools.main.waiting.max_bytes", "limits.message_bytes"));
  const PoolConfig& pool = change.config.pools.at("main");
  EXPECT_EQ(pool.queue_capacity, 6u);
  EXPECT_EQ(pool.queue_capacity_bytes, PoolConfig().queue_capacity_bytes);
  EXPECT_EQ(pool.waiting_max, 0u);
}

// --- Any two configurations ---

// Returns a random valid configuration. There are few possible values, so that
// two configurations often share some.
Config RandomConfig(std::mt19937& random) {
  const auto one_of = [&](std::vector<std::string> texts) {
    return texts[std::uniform_int_distribution<std::size_t>(
        0, texts.size() - 1)(random)];
  };
  for (;;) {
    std::string yaml = absl::StrCat(
        "limits: {message_bytes: ", one_of({"1MiB", "8MiB"}), "}\npools:\n");
    for (const char* pool : {"a", "b"}) {
      absl::StrAppend(
          &yaml, "  ", pool, ": {queue: {", "kind: ",
          one_of({"memory", absl::StrCat("journal, path: ", pool, ".db")}),
          ", capacity_bytes: ", one_of({"1MiB", "8MiB"}),
          "}, waiting: {max: ", one_of({"0", "5"}),
          ", max_bytes: ", one_of({"1MiB", "8MiB"}), "}}\n");
    }
    absl::StrAppend(&yaml, "methods:\n");
    for (const Method method : kAllMethods) {
      if (method == Method::kGetReceipts) continue;
      absl::StrAppend(
          &yaml, "  ", std::string(FullMethodName(method)),
          ": {pool: ", one_of({"a", "b"}), ", on_full: ",
          one_of({"block", "drop", "drop_oldest", "timed_wait, max_wait: 1ms"}),
          ", shadow: {on_full: ", one_of({"block", "drop"}), "}",
          ", ack: ", one_of({"stored", "queued"}),
          ", allow_loss: ", one_of({"true", "true", "false"}), "}\n");
    }
    ConfigErrors errors;
    Config config = ParseConfig(yaml, &errors);
    if (errors.empty()) return config;
  }
}

TEST(ConfigChange, OfAnyTwoIsValidAndNamesWhatItDoesNotTakeOver) {
  std::mt19937 random(20261124);
  int partly = 0;
  for (int i = 0; i < 200 && !testing::Test::HasFailure(); ++i) {
    const Config running = RandomConfig(random);
    const Config fresh = RandomConfig(random);
    const ConfigChange change = ChangeConfig(running, fresh);
    const std::string yaml = ConfigToYaml(change.config);
    EXPECT_EQ(Parse(yaml), change.config);
    EXPECT_EQ(change.config == fresh, change.needs_restart.empty())
        << absl::StrJoin(change.needs_restart, ", ");
    const std::set<std::string> once(change.needs_restart.begin(),
                                     change.needs_restart.end());
    EXPECT_EQ(once.size(), change.needs_restart.size());
    if (change.config != fresh && change.config != running) ++partly;
  }
  EXPECT_GT(partly, 20);
}

}  // namespace
}  // namespace sluice

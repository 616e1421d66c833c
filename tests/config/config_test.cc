#include "config/config.h"

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "config/yaml_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Returns the errors of `yaml`, each as "line: key: message".
std::vector<std::string> Errors(const std::string& yaml) {
  ConfigErrors errors;
  ParseConfig(yaml, &errors);
  std::vector<std::string> texts;
  for (const ConfigError& error : errors) {
    texts.push_back(
        absl::StrCat(error.line, ": ", error.key, ": ", error.message));
  }
  return texts;
}

// Returns the configuration of a text that must be valid.
Config Parse(const std::string& yaml) {
  ConfigErrors errors;
  Config config = ParseConfig(yaml, &errors);
  for (const ConfigError& error : errors) {
    ADD_FAILURE() << error.ToString("yaml") << "\n" << yaml;
  }
  return config;
}

std::string ShippedYaml() {
  std::ifstream file(SLUICE_SOURCE_DIR "/config.yaml");
  return {std::istreambuf_iterator<char>(file), {}};
}

// Three valid lines. Tests append the lines that they check.
constexpr char kOnePool[] =
    "store: {kind: sqlite, path: test.db}\n"
    "pools:\n"
    "  main: {}\n";

std::string OnePool(const std::string& more) {
  return absl::StrCat(kOnePool, more);
}

constexpr char kSubmit[] = "sluice.v1.Ingestion/Submit";
constexpr char kReceipts[] = "sluice.v1.Ingestion/GetReceipts";

// Returns a pool `main` and the entry of one method, on line 5.
std::string WithMethod(const std::string& method, const std::string& entry) {
  return OnePool(absl::StrCat("methods:\n  ", method, ": ", entry, "\n"));
}

// --- Valid configurations ---

TEST(Config, TheShippedFileIsRight) {
  const Config config = Parse(ShippedYaml());
  EXPECT_EQ(config.listen, "127.0.0.1:50051");
  EXPECT_EQ(config.metrics, "127.0.0.1:9464");
  EXPECT_EQ(config.admin, "127.0.0.1:50052");
  EXPECT_EQ(config.store.kind, "sqlite");
  EXPECT_EQ(config.store.options, (StoreOptions{{"path", "data/sluice.db"}}));
  EXPECT_EQ(config.drain_timeout, absl::Seconds(25));

  const PoolConfig& clinical = config.pools.at("clinical");
  EXPECT_EQ(clinical.journal_path, "data/journal.db");
  EXPECT_EQ(clinical.queue_capacity, 100000u);
  EXPECT_EQ(clinical.queue_capacity_bytes, std::size_t{256} << 20);
  EXPECT_EQ(clinical.waiting_max, 10000u);
  EXPECT_EQ(clinical.waiting_max_bytes, std::size_t{256} << 20);
  EXPECT_EQ(clinical.workers, (WorkersConfig{.min = 2, .max = 16}));
  EXPECT_EQ(clinical.batch_max, 256u);
  EXPECT_EQ(clinical.batch_max_bytes, std::size_t{16} << 20);
  EXPECT_EQ(config.pools.at("telemetry").workers,
            (WorkersConfig{.min = 1, .max = 1}));

  const MethodConfig& submit = config.method(Method::kSubmit);
  EXPECT_EQ(submit.pool, "clinical");
  EXPECT_EQ(submit.on_full, "timed_wait");
  EXPECT_EQ(submit.max_wait, absl::Milliseconds(250));
  EXPECT_EQ(submit.ack, Ack::kStored);
  EXPECT_EQ(config.method(Method::kSubmitStream).on_full, "block");
  EXPECT_EQ(config.method(Method::kImportPatients).on_full, "fail_fast");
  const MethodConfig& events = config.method(Method::kRecordEvents);
  EXPECT_EQ(events.pool, "telemetry");
  EXPECT_EQ(events.on_full, "drop");
  EXPECT_EQ(events.ack, Ack::kQueued);
}

TEST(Config, OnePoolIsEnough) {
  const Config config = Parse("pools: {main: {}}");
  EXPECT_EQ(config.listen, Config().listen);
  EXPECT_EQ(config.store, StoreConfig());
  EXPECT_EQ(config.limits, LimitsConfig());
  EXPECT_EQ(config.pools.at("main"), PoolConfig());
  for (const Method method : kAllMethods) {
    const MethodConfig& m = config.method(method);
    EXPECT_EQ(m.pool, method == Method::kGetReceipts ? "receipts" : "main");
    EXPECT_EQ(m.on_full, "fail_fast");
    EXPECT_EQ(m.ack, Ack::kStored);
  }
}

TEST(Config, EveryKeyIsRead) {
  const Config config = Parse(R"(
listen: "[::1]:0"
metrics: localhost:9000
admin: "[::1]:9001"
completion_queues: 3
limits:
  message_bytes: 1MiB
  nesting: 20
  answers: 21
  connections: 7
  calls_per_connection: 8
  transport_bytes: 2GiB
  recent_ids: 9
store: {kind: discard, delay: 5ms, jitter: pareto, fail_rate: 0.5, allow_loss: true}
pools:
  main:
    queue: {kind: journal, path: j.db, capacity: 10, capacity_bytes: 1048577, quarantine: {max: 80, max_bytes: 9MiB}, min_free_disk: 2MiB}
    waiting: {max: 11, max_bytes: 3MiB}
    workers: {min: 12, max: 14, task_timeout: 90s}
    batch: {max: 13, max_bytes: 4MiB}
    fair_by: site
methods:
  default: {priority: low}
  sluice.v1.Ingestion/Submit: {priority: high}
drain: {timeout: 1m30s}
backup: {directory: data/backups}
)");
  EXPECT_EQ(config.listen, "[::1]:0");
  EXPECT_EQ(config.metrics, "localhost:9000");
  EXPECT_EQ(config.admin, "[::1]:9001");
  EXPECT_EQ(config.completion_queues, 3u);
  EXPECT_EQ(config.limits.message_bytes, 1u << 20);
  EXPECT_EQ(config.limits.nesting, 20);
  EXPECT_EQ(config.limits.answers, 21u);
  EXPECT_EQ(config.limits.connections, 7u);
  EXPECT_EQ(config.limits.calls_per_connection, 8u);
  EXPECT_EQ(config.limits.transport_bytes, std::size_t{2} << 30);
  EXPECT_EQ(config.limits.recent_ids, 9u);
  EXPECT_EQ(config.store.kind, "discard");
  EXPECT_EQ(config.store.options,
            (StoreOptions{
                {"delay", "5ms"}, {"fail_rate", "0.5"}, {"jitter", "pareto"}}));
  EXPECT_TRUE(config.store.allow_loss);
  EXPECT_EQ(
      config.pools.at("main"),
      (PoolConfig{
          .journal_path = "j.db",
          .queue_capacity = 10,
          .queue_capacity_bytes = 1048577,
          .quarantine = {.max = 80, .max_bytes = std::size_t{9} << 20},
          .min_free_disk = std::size_t{2} << 20,
          .waiting_max = 11,
          .waiting_max_bytes = std::size_t{3} << 20,
          .workers = {.min = 12, .max = 14, .task_timeout = absl::Seconds(90)},
          .batch_max = 13,
          .batch_max_bytes = std::size_t{4} << 20,
          .fair_by = FairBy::kSite}));
  EXPECT_EQ(config.method(Method::kSubmit).priority, Priority::kHigh);
  EXPECT_EQ(config.method(Method::kSubmitStream).priority, Priority::kLow);
  EXPECT_EQ(config.method(Method::kGetReceipts).priority, Priority::kNormal);
  EXPECT_EQ(config.drain_timeout, absl::Seconds(90));
  EXPECT_EQ(config.backup_directory, "data/backups");
}

TEST(Config, BackupsNeedADirectoryAndTheAdminService) {
  const std::string admin = "admin: 127.0.0.1:1\npools: {main: {}}\n";
  EXPECT_THAT(Errors(admin + "backup: {directory: data/backups}\n"), IsEmpty());
  EXPECT_THAT(Errors(admin + "backup: {}\n"), IsEmpty());
  for (const char* bad : {"\"\"", ".", "..", "/", "data/"}) {
    EXPECT_THAT(Errors(absl::StrCat(admin, "backup: {directory: ", bad, "}\n")),
                ElementsAre(StartsWith("3: backup.directory: ")))
        << bad;
  }
  EXPECT_THAT(Errors(admin + "backup: {dir: x}\n"),
              ElementsAre(HasSubstr("backup.dir: unknown key")));
  EXPECT_THAT(Errors("pools: {main: {}}\nbackup: {directory: x}\n"),
              ElementsAre(AllOf(StartsWith("2: backup.directory: "),
                                HasSubstr("set admin"))));
}

TEST(Config, TheServersNumberMayComeFromTheEnvironment) {
  const auto yaml = [](const std::string& server) {
    return absl::StrCat(
        "store: {kind: postgres, url: \"postgresql:///epro\", server: ", server,
        "}\npools: {main: {}}\n");
  };
  setenv("SLUICE_SERVER", "7", 1);
  const Config config = Parse(yaml("env:SLUICE_SERVER"));
  // --check prints the number, so that an operator sees it.
  EXPECT_EQ(config.store.options.at("server"), "7");
  EXPECT_THAT(ConfigToYaml(config), HasSubstr("server: 7\n"));
  setenv("SLUICE_SERVER", "seven", 1);
  EXPECT_THAT(Errors(yaml("env:SLUICE_SERVER")),
              ElementsAre("1: store.server: the environment variable "
                          "SLUICE_SERVER must be a number from 0 to 1023"));
  unsetenv("SLUICE_SERVER");
  EXPECT_THAT(Errors(yaml("env:SLUICE_SERVER")),
              ElementsAre("1: store.server: the environment variable "
                          "SLUICE_SERVER is not set"));
}

TEST(Config, AnEmptyWaitingRoomNeedsNoBytes) {
  const Config config =
      Parse("pools: {main: {waiting: {max: 0, max_bytes: 1KiB}}}");
  EXPECT_EQ(config.pools.at("main").waiting_max, 0u);
}

TEST(Config, WhoIsFairToWhomMustBeKnown) {
  EXPECT_THAT(Errors("pools: {main: {fair_by: sites}}"),
              ElementsAre(HasSubstr("pools.main.fair_by: unknown value "
                                    "\"sites\": did you mean site?")));
  EXPECT_THAT(Errors(WithMethod("default", "{priority: hihg}")),
              ElementsAre(HasSubstr("methods.default.priority: unknown "
                                    "priority \"hihg\": did you mean high?")));
  EXPECT_THAT(
      Errors(WithMethod("sluice.v1.Ingestion/GetReceipts", "{priority: high}")),
      ElementsAre(HasSubstr(".priority: unknown key")));
}

TEST(Config, APoolIsSharedByLanesWhereAKeySaysSo) {
  const auto shared = [](const std::string& yaml) {
    return SharedByLane(Parse(yaml), "main");
  };
  EXPECT_FALSE(shared("pools: {main: {}}"));
  EXPECT_TRUE(shared("pools: {main: {fair_by: study}}"));
  EXPECT_FALSE(
      shared("pools: {main: {}}\n"
             "methods: {default: {priority: low}}"));
  EXPECT_TRUE(
      shared("pools: {main: {}}\n"
             "methods: {sluice.v1.Ingestion/Submit: "
             "{priority: high}}"));
}

// --- The YAML itself ---

TEST(ConfigYaml, SyntaxErrorsHaveTheirLine) {
  EXPECT_THAT(Errors("listen: 127.0.0.1:1\npools: {a: {}\n\nstore: [\n"),
              ElementsAre(StartsWith("4: : YAML syntax error: ")));
  EXPECT_THAT(Errors("a: b\n\t- c\n"),
              ElementsAre(HasSubstr(": YAML syntax error: ")));
}

// yaml-cpp names the end of the file with a control character.
TEST(ConfigYaml, SyntaxErrorsHaveNoControlCharacters) {
  EXPECT_THAT(Errors("metrics: \"\\"),
              ElementsAre(HasSubstr("unknown escape character: \\x04")));
}

TEST(ConfigYaml, AnEmptyFileHasNoPools) {
  for (const char* yaml : {"", "\n\n", "# nothing\n", "---\n", "~", "{}"}) {
    EXPECT_THAT(Errors(yaml), ElementsAre(AllOf(StartsWith("0: pools: "),
                                                HasSubstr("at least one"))))
        << yaml;
  }
}

TEST(ConfigYaml, ItMustBeAMap) {
  for (const char* yaml : {"pools", "[pools]", "- pools: {}", "\"\"", "42"}) {
    EXPECT_THAT(Errors(yaml),
                ElementsAre("0: : the file must be a map (key: value)"))
        << yaml;
  }
}

TEST(ConfigYaml, OneDocumentOnly) {
  EXPECT_THAT(Errors("pools: {a: {}}\n---\npools: {b: {}}\n"),
              ElementsAre(HasSubstr("second YAML document")));
  EXPECT_THAT(Errors("pools: {a: {}}\n...\n"), IsEmpty());
}

TEST(ConfigYaml, DuplicateKeysAreErrorsAtEveryLevel) {
  EXPECT_THAT(
      Errors("drain: {timeout: 1s, timeout: 2s}\n"
             "pools: {a: {}}\n"
             "drain: {timeout: 3s}\n"),
      ElementsAre("1: drain.timeout: duplicate key, first defined on line 1",
                  "3: drain: duplicate key, first defined on line 1"));
}

TEST(ConfigYaml, AnchorsAliasesAndTagsAreRefused) {
  EXPECT_THAT(
      Errors("pools:\n  a: &x {}\n  b: *x\n"),
      ElementsAre("2: : anchors (&name) are not supported: remove the anchor"));
  EXPECT_THAT(Errors("pools: {a: *x}\n"), ElementsAre(StartsWith("1: : ")));
  EXPECT_THAT(
      Errors("pools: {a: {}}\nlisten: !!binary aGk=\n"),
      ElementsAre("2: : tags (!name) are not supported: remove the tag"));
}

TEST(ConfigYaml, AnAliasBombIsRefused) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::vector<std::string> aliases(10, absl::StrCat("*a", i - 1));
    absl::StrAppend(&yaml, "a", i, ": &a", i, " [", absl::StrJoin(aliases, ","),
                    "]\n");
  }
  EXPECT_THAT(Errors(yaml), ElementsAre(HasSubstr("anchors")));
}

TEST(ConfigYaml, SizeIsBounded) {
  EXPECT_THAT(Errors(std::string(kYamlBytesMax + 1, ' ')),
              ElementsAre(HasSubstr("larger than")));
  std::string many = "pools: {a: {}}\nx: [";
  for (std::size_t i = 0; i < kYamlNodesMax; ++i) many += "1,";
  EXPECT_THAT(Errors(many + "]\n"), ElementsAre(HasSubstr("more than")));
}

TEST(ConfigYaml, DepthIsBounded) {
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    for (const int depth : {static_cast<int>(kYamlDepthMax) + 1, 400, 50000}) {
      std::string yaml;
      for (int i = 0; i < depth; ++i) yaml += open;
      EXPECT_THAT(Errors(yaml), ElementsAre(StartsWith("1: : "))) << open;
    }
  }
}

TEST(ConfigYaml, KeysAreNames) {
  for (const char* yaml : {"? [a]\n: b\n", "? {a: b}\n: c\n", ": b\n", "~: b\n",
                           "pools: {: {}}\n"}) {
    EXPECT_THAT(Errors(yaml), ElementsAre(HasSubstr("key"))) << yaml;
  }
}

TEST(ConfigYaml, ControlCharactersAreRefused) {
  // The YAML parser treats the first character as the end of the file.
  for (const char c : {'\x04', '\x00', '\x1b', '\x7f'}) {
    EXPECT_THAT(
        Errors(absl::StrCat("pools: {a: {}}\n#", std::string(1, c),
                            "\ndrain: nonsense")),
        ElementsAre(
            "2: : control character: only tabs and line ends are allowed"));
  }
}

TEST(ConfigYaml, OtherEncodingsAreRefused) {
  for (const char* bad :
       {"\xff\xfe", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\x80", "\xfc"}) {
    EXPECT_THAT(Errors(absl::StrCat("pools: {a: {}}\n\n# ", bad)),
                ElementsAre("3: : not UTF-8: save the file as UTF-8"));
  }
  EXPECT_THAT(Errors("pools: {a: {}} # \xc3\xa4 \xe2\x82\xac "
                     "\xf0\x9f\x8c\x8d \xed\x9f\xbf \xf4\x8f\xbf\xbf"),
              IsEmpty());
}

TEST(ConfigYaml, AByteOrderMarkAndWindowsLineEndsAreFine) {
  EXPECT_THAT(Errors("\xef\xbb\xbfpools:\r\n  a: {}\r\n"), IsEmpty());
}

// --- Keys and values ---

TEST(ConfigErrors, AllAreCollectedByLine) {
  EXPECT_THAT(
      Errors("listen: nonsense\n"
             "completion_queue: 1\n"
             "pools:\n"
             "  main:\n"
             "    queue: {capacity: 0}\n"
             "    workers: {min: 1, max: 1}\n"
             "    batch: {max: lots}\n"
             "store: {kind: sqlite, path: x.db, colour: red}\n"
             "methods:\n"
             "  default: {pool: mian, on_full: fail_fsat}\n"
             "drain: 30s\n"),
      ElementsAre(
          StartsWith("1: listen: must be host:port"),
          StartsWith("2: completion_queue: unknown key"),
          StartsWith("4: pools.main: no method uses this pool"),
          StartsWith("5: pools.main.queue.capacity: must be a whole number "
                     "from 1 to 10000000, not \"0\""),
          StartsWith("7: pools.main.batch.max: must be a whole number"),
          StartsWith("8: store.colour: "),
          StartsWith("10: methods.default.on_full: unknown policy \"fail_fsat\""
                     ": did you mean fail_fast?"),
          StartsWith("10: methods.default.pool: unknown pool \"mian\": did you "
                     "mean main?"),
          StartsWith("11: drain: must be a map")));
}

TEST(ConfigErrors, TextNamesTheFileTheLineAndTheKey) {
  EXPECT_EQ((ConfigError{.line = 7, .key = "a.b", .message = "is bad"})
                .ToString("config.yaml"),
            "config.yaml:7: a.b: is bad");
  EXPECT_EQ((ConfigError{.key = "pools", .message = "is bad"})
                .ToString("config.yaml"),
            "config.yaml: pools: is bad");
  EXPECT_EQ((ConfigError{.line = 2, .message = "is bad"}).ToString("x.yaml"),
            "x.yaml:2: is bad");
}

TEST(ConfigErrors, UnknownKeysSuggestTheNearest) {
  EXPECT_THAT(Errors("pools: {main: {queue: {capcity: 1}}}"),
              ElementsAre("1: pools.main.queue.capcity: unknown key "
                          "\"capcity\": did you mean capacity?"));
  EXPECT_THAT(Errors("pools: {main: {queue: {size: 1}}}"),
              ElementsAre("1: pools.main.queue.size: unknown key \"size\", "
                          "allowed: capacity, capacity_bytes, kind"));
}

TEST(ConfigErrors, UnprintableTextIsEscapedAndCut) {
  const std::string key = "x\\n\\e[31m" + std::string(1000, 'y');
  const std::vector<std::string> errors =
      Errors(OnePool(absl::StrCat("\"", key, "\": 1\n")));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0], StartsWith("4: x\\n\\x1b[31myyy"));
  EXPECT_LT(errors[0].size(), 400u);
}

TEST(ConfigErrors, AMapIsNoValueAndAValueIsNoMap) {
  EXPECT_THAT(
      Errors("listen: {host: a}\n"
             "metrics: [a, b]\n"
             "completion_queues:\n"
             "limits: 5\n"
             "store: sqlite\n"
             "pools: [a]\n"
             "methods: ~\n"),
      ElementsAre("1: listen: must be a single value, not a list or a map",
                  "2: metrics: must be a single value, not a list or a map",
                  "3: completion_queues: value missing: remove the key or give "
                  "it a value",
                  "4: limits: must be a map (key: value)",
                  "5: store: must be a map (key: value)",
                  "6: pools: must be a map (key: value)",
                  "7: methods: must be a map (key: value)"));
}

TEST(ConfigValues, Counts) {
  const auto errors = [](const std::string& count) {
    return Errors(
        absl::StrCat("pools: {main: {queue: {capacity: ", count, "}}}"));
  };
  for (const char* good : {"1", "10000000", "\"64\""}) {
    EXPECT_THAT(errors(good), IsEmpty()) << good;
  }
  for (const char* bad : {"0", "-1", "+1", "1.0", "1e3", "0x10", "010", "1_000",
                          "\"1,000\"", "10000001", "18446744073709551616",
                          "99999999999999999999999", "true", "\" 1\"", "1k"}) {
    EXPECT_THAT(errors(bad),
                ElementsAre(StartsWith("1: pools.main.queue.capacity: must be "
                                       "a whole number from 1 to 10000000")))
        << bad;
  }
}

TEST(ConfigValues, LimitsOfMemoryNameTheirKeys) {
  EXPECT_THAT(Errors("limits: {answers: 0}\npools: {main: {}}"),
              ElementsAre(StartsWith("1: limits.answers: must be a whole "
                                     "number from 1 to 10000000")));
  EXPECT_THAT(
      Errors("pools: {main: {batch: {max_bytes: 1}}}"),
      ElementsAre(StartsWith("1: pools.main.batch.max_bytes: must be a size "
                             "from 1KiB to 1024GiB")));
}

TEST(ConfigValues, Sizes) {
  const auto yaml = [](const std::string& size) {
    return absl::StrCat("limits: {message_bytes: 1KiB, transport_bytes: ", size,
                        "}\npools: {main: {}}");
  };
  const auto bytes = [&](const std::string& size) {
    return Parse(yaml(size)).limits.transport_bytes;
  };
  EXPECT_EQ(bytes("1024"), 1024u);
  EXPECT_EQ(bytes("4KiB"), 4096u);
  EXPECT_EQ(bytes("256MiB"), std::size_t{256} << 20);
  EXPECT_EQ(bytes("1GiB"), std::size_t{1} << 30);
  EXPECT_EQ(bytes("1024GiB"), std::size_t{1} << 40);
  for (const char* bad :
       {"256MB", "256M", "1TiB", "256 MiB", "1.5GiB", "-1KiB", "MiB", "0",
        "1023", "1025GiB", "18014398509481985KiB", "17179869184GiB",
        "99999999999999999999GiB", "1mib", "1KiBKiB"}) {
    EXPECT_THAT(
        Errors(yaml(bad)),
        ElementsAre(AllOf(
            StartsWith("1: limits.transport_bytes: must be a size from 1KiB "
                       "to 1024GiB"),
            HasSubstr("in bytes or with KiB, MiB or GiB"))))
        << bad;
  }
}

TEST(ConfigValues, Durations) {
  const auto yaml = [](const std::string& timeout) {
    return OnePool(absl::StrCat("drain: {timeout: ", timeout, "}\n"));
  };
  EXPECT_EQ(Parse(yaml("1ms")).drain_timeout, absl::Milliseconds(1));
  EXPECT_EQ(Parse(yaml("1.5s")).drain_timeout, absl::Milliseconds(1500));
  EXPECT_EQ(Parse(yaml("1h30m")).drain_timeout, absl::Minutes(90));
  EXPECT_EQ(Parse(yaml("24h")).drain_timeout, absl::Hours(24));
  for (const char* bad : {"0", "0s", "30", "-1s", "inf", "-inf", "24h1ms", "1d",
                          "999us", "1.0005s", "1 s", "soon", "99999999999h"}) {
    EXPECT_THAT(
        Errors(yaml(bad)),
        ElementsAre(StartsWith("4: drain.timeout: must be a duration in "
                               "whole milliseconds from 1ms to 24h")))
        << bad;
  }
}

TEST(ConfigValues, Booleans) {
  for (const char* bad : {"yes", "1", "True", "on", "\"\""}) {
    EXPECT_THAT(
        Errors(WithMethod(kSubmit, absl::StrCat("{allow_loss: ", bad, "}"))),
        ElementsAre(HasSubstr(".allow_loss: must be true or false")))
        << bad;
  }
}

TEST(ConfigValues, Addresses) {
  for (const char* good :
       {"127.0.0.1:50051", "0.0.0.0:0", "\"[::1]:65535\"", "\"[::]:1\"",
        "localhost:1", "a-b.example.org:1", "1a.x9:1"}) {
    EXPECT_THAT(Errors(OnePool(absl::StrCat("listen: ", good, "\n"))),
                IsEmpty())
        << good;
  }
  for (const char* bad :
       {"127.0.0.1",      "50051",           "\":50051\"",
        "\"127.0.0.1:\"", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:+1",   "127.0.0.1:1x",    "127.0.0.1:01",
        "256.0.0.1:1",    "1.2.3:1",         "\"::1:50051\"",
        "\"[::1]\"",      "\"[]:1\"",        "\"[127.0.0.1]:1\"",
        "\"[::1%lo]:1\"", "-a.org:1",        "a-.org:1",
        "a..org:1",       "a_b:1",           "\"a b:1\"",
        "\"http://a:1\"", "unix:/tmp/x",     "\"127.0.0.1:1,0.0.0.0:2\"",
        "\"*:1\""}) {
    EXPECT_THAT(Errors(OnePool(absl::StrCat("listen: ", bad, "\n"))),
                ElementsAre(StartsWith("4: listen: must be host:port")))
        << bad;
  }
  EXPECT_THAT(
      Errors(OnePool(absl::StrCat("listen: ", std::string(64, 'a'), ":1\n"))),
      ElementsAre(StartsWith("4: listen: must be host:port")));
}

TEST(ConfigValues, MetricsHasAnAddressOfItsOwn) {
  EXPECT_THAT(
      Errors(OnePool("metrics: \"[::1]:9464\"\n")),
      ElementsAre(AllOf(StartsWith("4: metrics: "), HasSubstr("IPv6"))));
  EXPECT_THAT(Errors(OnePool("listen: a:1\nmetrics: a:1\n")),
              ElementsAre("5: metrics: must differ from listen"));
  EXPECT_THAT(Errors(OnePool("listen: a:0\nmetrics: a:0\n")), IsEmpty());
  // The check includes the default address.
  EXPECT_THAT(Errors(OnePool("listen: 127.0.0.1:9464\n")),
              ElementsAre(HasSubstr("metrics: must differ from listen")));
}

TEST(ConfigValues, AdminIsOffUnlessItHasAnAddress) {
  EXPECT_EQ(Parse(OnePool("")).admin, "");
  EXPECT_THAT(ConfigToYaml(Parse(OnePool(""))), Not(HasSubstr("admin")));
  EXPECT_THAT(Errors(OnePool("admin: nowhere\n")),
              ElementsAre(StartsWith("4: admin: must be host:port")));
}

TEST(ConfigValues, AdminHasAnAddressOfItsOwn) {
  EXPECT_THAT(Errors(OnePool("listen: a:1\nadmin: a:1\n")),
              ElementsAre("5: admin: must differ from listen"));
  EXPECT_THAT(Errors(OnePool("admin: 127.0.0.1:9464\n")),
              ElementsAre("4: admin: must differ from metrics"));
  EXPECT_THAT(Errors(OnePool("listen: a:0\nmetrics: a:0\nadmin: a:0\n")),
              IsEmpty());
}

// --- Store ---

TEST(ConfigStore, TheKindMustBeKnown) {
  EXPECT_THAT(Errors("store: {kind: sqlit, path: x}\npools: {main: {}}"),
              ElementsAre("1: store.kind: unknown kind of store \"sqlit\": did "
                          "you mean sqlite?"));
  EXPECT_THAT(Errors("store: {path: x}\npools: {main: {}}"),
              ElementsAre(StartsWith("1: store.kind: missing, allowed: ")));
}

TEST(ConfigStore, OptionErrorsAreAtTheirLine) {
  EXPECT_THAT(Errors("store:\n"
                     "  kind: discard\n"
                     "  allow_loss: true\n"
                     "  delay: for ever\n"
                     "  fail_rate: 2\n"
                     "  jitter:\n"
                     "  colour: red\n"
                     "pools: {main: {}}\n"),
              ElementsAre(StartsWith("4: store.delay: "),
                          StartsWith("5: store.fail_rate: "),
                          StartsWith("6: store.jitter: value missing"),
                          StartsWith("7: store.colour: ")));
  EXPECT_THAT(Errors("\nstore: {kind: sqlite}\npools: {main: {}}\n"),
              ElementsAre(StartsWith("2: store.path: ")));
}

TEST(ConfigStore, OneThatKeepsNothingNeedsAllowLoss) {
  EXPECT_THAT(Errors("store: {kind: discard}\npools: {main: {}}"),
              ElementsAre(AllOf(StartsWith("1: store.kind: discard keeps "
                                           "nothing"),
                                HasSubstr("allow_loss: true"))));
}

// --- Pools ---

TEST(ConfigPools, ThereMustBeOne) {
  for (const char* yaml : {"listen: a:1\n", "listen: a:1\npools: {}\n"}) {
    EXPECT_THAT(Errors(yaml),
                ElementsAre(HasSubstr("pools: must have at least one pool")));
  }
}

TEST(ConfigPools, QueueKindsAreNamed) {
  EXPECT_THAT(Errors("pools: {main: {queue: {kind: disk, path: j.db}}}"),
              ElementsAre("1: pools.main.queue.kind: unknown kind of queue "
                          "\"disk\", allowed: journal, memory"));
}

TEST(ConfigPools, WorkersHaveAFewestAndAMost) {
  EXPECT_THAT(Errors("pools:\n"
                     "  main:\n"
                     "    workers:\n"
                     "      min: 3\n"
                     "      max: 2\n"),
              ElementsAre("4: pools.main.workers.min: is 3, but must be at "
                          "most max (2)"));
  EXPECT_THAT(Errors("pools: {main: {workers: {max: 16}}}"),
              ElementsAre("1: pools.main.workers.min: missing: set both min "
                          "and max, or neither"));
  EXPECT_THAT(Errors("pools: {main: {workers: {min: 1}}}"),
              ElementsAre("1: pools.main.workers.max: missing: set both min "
                          "and max, or neither"));
  EXPECT_THAT(Errors("pools: {main: {workers: {min: 0, max: 1025}}}"),
              ElementsAre(HasSubstr("workers.min: must be a whole number from "
                                    "1 to 1024"),
                          HasSubstr("workers.max: must be a whole number")));
}

TEST(ConfigPools, TasksHaveASecondAtLeast) {
  EXPECT_EQ(Parse("pools: {main: {workers: {task_timeout: 1s}}}")
                .pools.at("main")
                .workers,
            (WorkersConfig{.task_timeout = absl::Seconds(1)}));
  EXPECT_THAT(Errors("pools: {main: {workers: {task_timeout: 999ms}}}"),
              ElementsAre("1: pools.main.workers.task_timeout: must be at "
                          "least 1s"));
  EXPECT_THAT(Errors("pools: {main: {workers: {task_timeout: 25h}}}"),
              ElementsAre(HasSubstr("workers.task_timeout: must be a duration "
                                    "in whole milliseconds from 1ms to 24h")));
}

TEST(ConfigPools, TheQuarantineHasRoomForTheQueue) {
  const auto of = [](const std::string& keys) {
    return absl::StrCat(
        "pools:\n  main:\n    queue:\n      kind: journal\n      path: j.db\n",
        keys);
  };
  const auto quarantine = [&](const std::string& keys) {
    return Parse(of(keys)).pools.at("main").quarantine;
  };
  EXPECT_EQ(quarantine(""), QuarantineConfig());
  EXPECT_EQ(quarantine("      capacity: 100000\n").max, 800'000u);
  EXPECT_EQ(quarantine("      capacity_bytes: 1GiB\n").max_bytes,
            std::size_t{8} << 30);
  EXPECT_EQ(quarantine("      quarantine: {max: 32768}\n").max, 32768u);
  EXPECT_THAT(
      Errors(of("      quarantine: {max: 32767, max_bytes: 2047MiB}\n")),
      ElementsAre(
          "6: pools.main.queue.quarantine.max: must be at least 8 times "
          "queue.capacity (32768), so that submissions that are queued find "
          "room in quarantine",
          StartsWith("6: pools.main.queue.quarantine.max_bytes: must be at "
                     "least 8 times queue.capacity_bytes (2GiB)")));
  EXPECT_THAT(Errors(of("      quarantine: {size: 1}\n")),
              ElementsAre("6: pools.main.queue.quarantine.size: unknown key "
                          "\"size\", allowed: max, max_bytes"));
  EXPECT_THAT(Errors(of("      min_free_disk: 1PiB\n")),
              ElementsAre(StartsWith(
                  "6: pools.main.queue.min_free_disk: must be a size")));
  EXPECT_THAT(Errors("pools: {main: {queue: {min_free_disk: 1GiB}}}"),
              ElementsAre(StartsWith("1: pools.main.queue.min_free_disk: "
                                     "unknown key")));
}

TEST(ConfigPools, TheLargestRequestMustFit) {
  EXPECT_THAT(
      Errors("limits: {message_bytes: 2MiB, transport_bytes: 1MiB}\n"
             "pools:\n"
             "  main:\n"
             "    queue: {capacity_bytes: 2097151}\n"
             "    waiting: {max_bytes: 1MiB}\n"),
      ElementsAre(
          StartsWith("1: limits.transport_bytes: is 1MiB, but must be at least "
                     "limits.message_bytes (2MiB)"),
          StartsWith("4: pools.main.queue.capacity_bytes: is 2097151, but"),
          StartsWith("5: pools.main.waiting.max_bytes: is 1MiB, but")));
  EXPECT_THAT(Errors("limits: {message_bytes: 512MiB}\npools:\n  main: {}\n"),
              ElementsAre(StartsWith("3: pools.main.queue.capacity_bytes: is "
                                     "256MiB, but"),
                          StartsWith("3: pools.main.waiting.max_bytes: is "
                                     "256MiB, but")));
}

TEST(ConfigPools, NamesFitALabel) {
  for (const char* bad : {"\"\"", "\"a b\"", "a.b", "\"a\\\"b\"", "\xc3\xa4"}) {
    EXPECT_THAT(Errors(absl::StrCat("pools: {main: {}, ", bad, ": {}}")),
                ElementsAre(HasSubstr("a pool's name may have letters")))
        << bad;
  }
  EXPECT_THAT(Errors(absl::StrCat("pools: {", std::string(65, 'a'), ": {}}")),
              ElementsAre(HasSubstr("a pool's name may have letters")));
}

TEST(ConfigPools, TheirNumberIsBounded) {
  std::string yaml = "pools:\n";
  for (int i = 0; i < 65; ++i) absl::StrAppend(&yaml, "  p", i, ": {}\n");
  EXPECT_THAT(Errors(yaml),
              ElementsAre("1: pools: has 65 pools, at most 64 are allowed"));
}

TEST(ConfigPools, OneThatNoMethodUsesIsAnError) {
  EXPECT_THAT(
      Errors("pools:\n"
             "  main: {}\n"
             "  spare: {}\n"
             "methods: {default: {pool: main}}\n"),
      ElementsAre(StartsWith("3: pools.spare: no method uses this pool: ")));
}

// --- Methods ---

TEST(ConfigMethods, NamesMustBeKnown) {
  EXPECT_THAT(Errors(WithMethod("sluice.v1.Ingestion/Sumbit", "{}")),
              ElementsAre(HasSubstr(
                  "unknown method \"sluice.v1.Ingestion/Sumbit\": did you mean "
                  "sluice.v1.Ingestion/Submit?")));
  EXPECT_THAT(Errors(WithMethod("Submit", "{}")),
              ElementsAre(AllOf(
                  StartsWith("5: methods.Submit: unknown method"),
                  HasSubstr("allowed: default, sluice.v1.Ingestion/Submit,"),
                  HasSubstr(kReceipts))));
}

TEST(ConfigMethods, OneThatIsNotNamedUsesAllOfDefault) {
  const Config config = Parse(
      "pools: {a: {}, b: {}}\n"
      "methods:\n"
      "  default: {pool: a, on_full: timed_wait, max_wait: 5s, ack: queued, "
      "allow_loss: true}\n"
      "  sluice.v1.Ingestion/Submit: {pool: b, ack: stored}\n");
  EXPECT_EQ(config.method(Method::kSubmitStream),
            (MethodConfig{.pool = "a",
                          .on_full = "timed_wait",
                          .max_wait = absl::Seconds(5),
                          .ack = Ack::kQueued,
                          .allow_loss = true}));
  EXPECT_EQ(config.method(Method::kSubmitStream),
            config.method(Method::kRecordEvents));
}

TEST(ConfigMethods, ANamedOneInheritsTheKeysThatItLeavesOut) {
  const std::string start =
      "pools: {a: {}}\n"
      "methods:\n"
      "  default: {pool: a, on_full: timed_wait, max_wait: 5s}\n"
      "  sluice.v1.Ingestion/Submit: ";
  const auto submit = [&](const std::string& entry) {
    return Parse(start + entry).method(Method::kSubmit);
  };
  EXPECT_EQ(submit("{}").max_wait, absl::Seconds(5));
  EXPECT_EQ(submit("{max_wait: 1s}").max_wait, absl::Seconds(1));
  EXPECT_EQ(submit("{on_full: timed_wait}").max_wait, absl::Seconds(5));
  // max_wait belongs to its policy and is not inherited by another policy.
  EXPECT_EQ(submit("{on_full: block}").max_wait, absl::ZeroDuration());
}

TEST(ConfigMethods, WithoutAPoolTheOnlyOneIsUsed) {
  EXPECT_EQ(Parse(WithMethod(kSubmit, "{on_full: block}"))
                .method(Method::kSubmit)
                .pool,
            "main");
  EXPECT_THAT(
      Errors("pools: {a: {}, b: {}}\n"
             "methods:\n"
             "  sluice.v1.Ingestion/Submit: {pool: a}\n"
             "  sluice.v1.Ingestion/SubmitStream: {on_full: block}\n"
             "  sluice.v1.Ingestion/RecordEvents: {pool: b}\n"),
      ElementsAre("2: methods.default.pool: missing: use one of a, b",
                  "4: methods.sluice.v1.Ingestion/SubmitStream.pool: missing: "
                  "use one of a, b"));
}

TEST(ConfigMethods, ThePoolMustBeThere) {
  EXPECT_THAT(Errors(WithMethod(kSubmit, "{pool: other}")),
              ElementsAre("5: methods.sluice.v1.Ingestion/Submit.pool: unknown "
                          "pool \"other\", allowed: main"));
}

TEST(ConfigMethods, ThePolicyMustBeKnown) {
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{on_full: wait, max_wait: 1s}")),
      ElementsAre(
          AllOf(HasSubstr("on_full: unknown policy \"wait\", allowed: block, "),
                HasSubstr("drop, "), HasSubstr("fail_fast"))));
}

TEST(ConfigMethods, MaxWaitBelongsToTimedWait) {
  EXPECT_THAT(Errors(WithMethod(kSubmit, "{on_full: timed_wait}")),
              ElementsAre(HasSubstr("max_wait: missing: timed_wait needs")));
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{on_full: block, max_wait: 1s}")),
      ElementsAre(HasSubstr("max_wait: not allowed: on_full is block")));
  EXPECT_THAT(Errors(WithMethod(kSubmit, "{max_wait: 1s}")),
              ElementsAre(HasSubstr("on_full is fail_fast")));
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{on_full: timed_wait, max_wait: -1s}")),
      ElementsAre(HasSubstr("max_wait: must be a duration")));
}

TEST(ConfigMethods, AnErrorInDefaultIsSaidOnce) {
  EXPECT_THAT(
      Errors(OnePool("methods:\n"
                     "  default: {pool: x, on_full: timed_wait}\n"
                     "  sluice.v1.Ingestion/Submit: {}\n"
                     "  sluice.v1.Ingestion/SubmitStream: {pool: main}\n")),
      ElementsAre(HasSubstr("methods.default.max_wait"),
                  HasSubstr("methods.default.pool")));
}

TEST(ConfigMethods, AckIsStoredOrQueued) {
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{ack: later}")),
      ElementsAre(HasSubstr("ack: unknown acknowledgement mode \"later\", "
                            "allowed: stored, queued")));
}

// --- Journals ---

TEST(ConfigJournal, NeedsAFileOfItsOwn) {
  const auto with = [](const std::string& queues) {
    return Errors(
        "store: {kind: sqlite, path: s.db}\n"
        "pools:\n" +
        queues +
        "methods: {default: {pool: a}, sluice.v1.Ingestion/Submit: {pool: "
        "b}}\n");
  };
  EXPECT_THAT(with("  a: {queue: {kind: journal, path: a.db}}\n"
                   "  b: {queue: {kind: journal, path: b.db}}\n"),
              IsEmpty());
  EXPECT_THAT(with("  a: {queue: {kind: journal}}\n  b: {}\n"),
              ElementsAre(StartsWith("3: pools.a.queue.path: missing: ")));
  EXPECT_THAT(with("  a: {queue: {kind: journal, path: /}}\n  b: {}\n"),
              ElementsAre(StartsWith("3: pools.a.queue.path: must be the")));
  EXPECT_THAT(with("  a: {queue: {path: a.db}}\n  b: {}\n"),
              ElementsAre(StartsWith("3: pools.a.queue.path: unknown key")));
  EXPECT_THAT(with("  a: {queue: {kind: journal, path: j.db}}\n"
                   "  b: {queue: {kind: journal, path: j.db}}\n"),
              ElementsAre(StartsWith("4: pools.b.queue.path: already used")));
  EXPECT_THAT(with("  a: {queue: {kind: journal, path: s.db}}\n  b: {}\n"),
              ElementsAre(StartsWith("3: pools.a.queue.path: already used")));
}

TEST(ConfigTest, FilesOfStoreAndJournalsAreTheirOwnHoweverTheyAreSpelled) {
  const auto errors = [](absl::string_view store, absl::string_view a,
                         absl::string_view b) {
    return Errors(absl::StrCat(
        "store: {kind: sqlite, path: ", store,
        "}\npools:\n"
        "  a: {queue: {kind: journal, path: ",
        a,
        "}}\n"
        "  b: {queue: {kind: journal, path: ",
        b,
        "}}\n"
        "methods: {default: {pool: a}, sluice.v1.Ingestion/Submit: "
        "{pool: b}}\n"));
  };
  const auto current = std::filesystem::current_path();
  EXPECT_THAT(errors("s.db", "a.db", "d/a.db"), IsEmpty());
  EXPECT_THAT(errors("s.db", "s.db-b", "s.db.b"), IsEmpty());
  for (const std::string& same : std::vector<std::string>{
           "s.db", "./s.db", "d/../s.db", ".//s.db", "././s.db",
           (current / "s.db").string(), (current / "." / "s.db").string()}) {
    EXPECT_THAT(errors("s.db", same, "b.db"),
                ElementsAre(AllOf(StartsWith("3: pools.a.queue.path: "),
                                  HasSubstr("already used by store.path"))))
        << same;
    EXPECT_THAT(
        errors("t.db", "s.db", same),
        ElementsAre(AllOf(StartsWith("4: pools.b.queue.path: "),
                          HasSubstr("already used by pools.a.queue.path"))))
        << same;
  }
  EXPECT_THAT(errors("/d/s.db", "//d//s.db", "b.db"),
              ElementsAre(HasSubstr("already used by store.path")));
  // SQLite and the server keep further files beside each data file.
  for (const absl::string_view suffix :
       {"-wal", "-shm", "-journal", ".lock", ".state", ".sequence"}) {
    EXPECT_THAT(errors("s.db", absl::StrCat("./s.db", suffix), "b.db"),
                ElementsAre(AllOf(StartsWith("3: pools.a.queue.path: "),
                                  HasSubstr("reserved for store.path"))))
        << suffix;
    EXPECT_THAT(errors(absl::StrCat("d//b.db", suffix), "a.db", "d/b.db"),
                ElementsAre(AllOf(
                    StartsWith("4: pools.b.queue.path: "),
                    HasSubstr(absl::StrCat("needs the file d/b.db", suffix)),
                    HasSubstr("store.path"))))
        << suffix;
    EXPECT_THAT(errors("s.db", "a.db", absl::StrCat("a.db", suffix)),
                ElementsAre(AllOf(StartsWith("4: pools.b.queue.path: "),
                                  HasSubstr("pools.a.queue.path"))))
        << suffix;
  }
}

TEST(ConfigJournal, MakesAckQueuedSafe) {
  EXPECT_THAT(Errors("pools: {main: {queue: {kind: journal, path: j.db}}}\n"
                     "methods: {default: {ack: queued}}\n"),
              IsEmpty());
}

// --- Shadow ---

TEST(ConfigShadow, IsAPolicyThatIsOnlyAsked) {
  const Config config = Parse(OnePool(
      "methods:\n"
      "  sluice.v1.Ingestion/Submit: {on_full: block, shadow: {on_full: "
      "timed_wait, max_wait: 250ms}}\n"
      "  sluice.v1.Ingestion/GetReceipts: {shadow: {on_full: drop}}\n"));
  EXPECT_EQ(config.method(Method::kSubmit).on_full, "block");
  EXPECT_EQ(config.method(Method::kSubmit).shadow,
            (ShadowConfig{.on_full = "timed_wait",
                          .max_wait = absl::Milliseconds(250)}));
  EXPECT_EQ(config.method(Method::kSubmitStream).shadow, ShadowConfig());
  EXPECT_EQ(config.method(Method::kGetReceipts).shadow.on_full, "drop");
}

TEST(ConfigShadow, IsOfItsOwnEntryAlone) {
  const Config config =
      Parse(OnePool("methods:\n"
                    "  default: {shadow: {on_full: block}}\n"
                    "  sluice.v1.Ingestion/Submit: {}\n"));
  EXPECT_EQ(config.method(Method::kSubmitStream).shadow.on_full, "block");
  EXPECT_EQ(config.method(Method::kSubmit).shadow.on_full, "");
}

TEST(ConfigShadow, LosesNothingWhateverItIs) {
  for (const char* policy : {"drop", "drop_oldest"}) {
    EXPECT_THAT(
        Errors(WithMethod(kSubmit,
                          absl::StrCat("{shadow: {on_full: ", policy, "}}"))),
        IsEmpty());
  }
}

TEST(ConfigShadow, ItsErrorsNameTheirKeys) {
  const auto with = [](const char* shadow) {
    return Errors(WithMethod(kSubmit, absl::StrCat("{shadow: ", shadow, "}")));
  };
  const std::string key = absl::StrCat("5: methods.", kSubmit, ".shadow");
  EXPECT_THAT(with("{on_full: fail_fsat}"),
              ElementsAre(AllOf(StartsWith(key + ".on_full: unknown policy"),
                                HasSubstr("did you mean fail_fast?"))));
  EXPECT_THAT(with("{on_full: timed_wait}"),
              ElementsAre(StartsWith(key + ".max_wait: missing: ")));
  EXPECT_THAT(with("{on_full: block, max_wait: 1s}"),
              ElementsAre(StartsWith(key + ".max_wait: not allowed: ")));
  EXPECT_THAT(with("{on_full: timed_wait, max_wait: 0s}"),
              ElementsAre(StartsWith(key + ".max_wait: must be a duration")));
  EXPECT_THAT(with("{max_wait: 1s}"),
              ElementsAre(StartsWith(key + ".on_full: missing: ")));
  EXPECT_THAT(with("{on_full: block, ack: stored}"),
              ElementsAre(StartsWith(key + ".ack: unknown key")));
  EXPECT_THAT(with("block"), ElementsAre(StartsWith(key + ": must be a map")));
}

// --- Loss ---

TEST(ConfigLoss, EventsMayBeLost) {
  EXPECT_THAT(Errors(WithMethod("sluice.v1.Ingestion/RecordEvents",
                                "{on_full: drop, ack: queued}")),
              IsEmpty());
}

TEST(ConfigLoss, SubmissionsMayNotUnlessTheConfigurationSaysSo) {
  for (const char* method : {kSubmit, "sluice.v1.Ingestion/SubmitStream",
                             "sluice.v1.Ingestion/ImportPatients"}) {
    EXPECT_THAT(Errors(WithMethod(method, "{on_full: drop}")),
                ElementsAre(AllOf(
                    StartsWith(absl::StrCat("5: methods.", method, ".on_full")),
                    HasSubstr("lose submissions"), HasSubstr(method),
                    HasSubstr("allow_loss: true"))));
    EXPECT_THAT(Errors(WithMethod(method, "{ack: queued}")),
                ElementsAre(AllOf(
                    StartsWith(absl::StrCat("5: methods.", method, ".ack")),
                    HasSubstr("memory queue"),
                    HasSubstr("lose acknowledged submissions"),
                    HasSubstr("ack: stored"), HasSubstr("allow_loss: true"))));
    EXPECT_THAT(Errors(WithMethod(
                    method, "{on_full: drop, ack: queued, allow_loss: true}")),
                IsEmpty());
  }
}

TEST(ConfigLoss, DropOldestLosesAsDropDoes) {
  EXPECT_THAT(Errors(WithMethod("sluice.v1.Ingestion/RecordEvents",
                                "{on_full: drop_oldest}")),
              IsEmpty());
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{on_full: drop_oldest}")),
      ElementsAre(AllOf(HasSubstr("on_full: drop_oldest drops "
                                  "submissions from the queue: it would "
                                  "lose submissions"),
                        HasSubstr("allow_loss: true"))));
  EXPECT_THAT(
      Errors(WithMethod(kSubmit, "{on_full: drop_oldest, allow_loss: true}")),
      IsEmpty());
}

TEST(ConfigLoss, WhoIsDroppedFromTheQueueHasToBeTold) {
  const std::string events = "sluice.v1.Ingestion/RecordEvents";
  EXPECT_THAT(
      Errors(WithMethod(events, "{on_full: drop_oldest, ack: queued}")),
      ElementsAre(StartsWith(absl::StrCat(
          "5: methods.", events, ".on_full: drop_oldest needs ack: stored"))));
  // Neither allow_loss nor a journal allows it.
  EXPECT_THAT(
      Errors("pools: {main: {queue: {kind: journal, path: j.db}}}\n"
             "methods: {default: {on_full: drop_oldest, ack: queued, "
             "allow_loss: true}}\n"),
      ElementsAre(HasSubstr("default.on_full: drop_oldest needs ack: stored")));
  EXPECT_THAT(
      Errors(OnePool(absl::StrCat("methods:\n"
                                  "  default: {on_full: drop_oldest, "
                                  "allow_loss: true}\n  ",
                                  events, ": {ack: queued}\n"))),
      ElementsAre(HasSubstr(
          "RecordEvents.ack: must be stored where on_full is drop_oldest")));
}

TEST(ConfigLoss, DefaultMayNotLoseForThoseThatUseIt) {
  EXPECT_THAT(Errors(WithMethod("default", "{ack: queued}")),
              ElementsAre(AllOf(StartsWith("5: methods.default.ack"),
                                HasSubstr(kSubmit),
                                HasSubstr("sluice.v1.Ingestion/SubmitStream"),
                                HasSubstr("sluice.v1.Ingestion/ImportPatients"),
                                testing::Not(HasSubstr("RecordEvents")))));
  EXPECT_THAT(Errors(WithMethod("default", "{ack: queued, allow_loss: true}")),
              IsEmpty());
}

TEST(ConfigLoss, ANamedMethodMustSayItForItself) {
  EXPECT_THAT(
      Errors(OnePool("methods:\n"
                     "  default: {ack: queued, allow_loss: true}\n"
                     "  sluice.v1.Ingestion/Submit: {on_full: block}\n")),
      ElementsAre(
          StartsWith("6: methods.sluice.v1.Ingestion/Submit.ack: queued (from "
                     "default) acknowledges")));
}

// --- GetReceipts ---

TEST(ConfigReceipts, HasAPoolOfItsOwnByItself) {
  const Config config = Parse(WithMethod("default", "{on_full: block}"));
  EXPECT_EQ(config.method(Method::kGetReceipts),
            (MethodConfig{.pool = "receipts", .on_full = "fail_fast"}));
  const PoolConfig& pool = config.pools.at("receipts");
  EXPECT_EQ(pool, DefaultReceiptsPool(config.limits));
  EXPECT_EQ(pool.queue_capacity, 1024u);
  EXPECT_EQ(pool.workers, (WorkersConfig{.min = 1, .max = 1}));
  EXPECT_EQ(pool.batch_max, 16u);
}

TEST(ConfigReceipts, TheDefaultPoolTakesTheLargestRequest) {
  const LimitsConfig limits = {.message_bytes = std::size_t{512} << 20};
  EXPECT_GE(DefaultReceiptsPool(limits).queue_capacity_bytes,
            limits.message_bytes);
  EXPECT_GE(DefaultReceiptsPool(limits).waiting_max_bytes,
            limits.message_bytes);
}

TEST(ConfigReceipts, ItsPoolCanBeConfigured) {
  const Config config =
      Parse("pools: {main: {}, receipts: {workers: {min: 4, max: 4}}}");
  EXPECT_EQ(config.pools.at("receipts").workers,
            (WorkersConfig{.min = 4, .max = 4}));
  EXPECT_EQ(config.pools.at("receipts").queue_capacity, 1024u);
}

TEST(ConfigReceipts, ItCanHaveAnotherPool) {
  const Config config = Parse(
      "pools: {main: {}, questions: {}}\n"
      "methods: {sluice.v1.Ingestion/GetReceipts: {pool: questions, on_full: "
      "timed_wait, max_wait: 1s}}\n");
  EXPECT_EQ(config.method(Method::kGetReceipts).pool, "questions");
  EXPECT_EQ(config.method(Method::kGetReceipts).max_wait, absl::Seconds(1));
  EXPECT_EQ(config.method(Method::kSubmit).pool, "main");
  EXPECT_FALSE(config.pools.contains("receipts"));
}

TEST(ConfigReceipts, ItSharesItsPoolWithNobody) {
  EXPECT_THAT(Errors(WithMethod(kSubmit, "{pool: receipts}")),
              ElementsAre(HasSubstr("Submit.pool: \"receipts\" is the pool "
                                    "of sluice.v1.Ingestion/GetReceipts")));
  EXPECT_THAT(
      Errors(OnePool("methods:\n"
                     "  default: {pool: main}\n"
                     "  sluice.v1.Ingestion/GetReceipts: {pool: main}\n")),
      ElementsAre(
          HasSubstr("5: methods.default.pool: \"main\" is the pool of")));
  EXPECT_THAT(
      Errors(WithMethod(kReceipts, "{pool: main}")),
      ElementsAre("4: methods.default.pool: missing: there is no pool for "
                  "submissions, add one to pools"));
  EXPECT_THAT(
      Errors("pools: {receipts: {}}"),
      ElementsAre("0: methods.default.pool: missing: there is no pool for "
                  "submissions, add one to pools"));
}

TEST(ConfigReceipts, ItCanNeitherDropNorAcknowledge) {
  EXPECT_THAT(
      Errors(WithMethod(kReceipts, "{on_full: drop}")),
      ElementsAre(HasSubstr("on_full: drop is not allowed for GetReceipts")));
  EXPECT_THAT(Errors(WithMethod(kReceipts, "{on_full: drop_oldest}")),
              ElementsAre(HasSubstr(
                  "on_full: drop_oldest is not allowed for GetReceipts")));
  EXPECT_THAT(Errors(WithMethod(kReceipts, "{ack: stored, allow_loss: true}")),
              ElementsAre(HasSubstr(".ack: unknown key"),
                          HasSubstr(".allow_loss: unknown key")));
  EXPECT_THAT(Errors(WithMethod(kReceipts, "{pool: other}")),
              ElementsAre(HasSubstr("unknown pool \"other\"")));
}

// --- The effective configuration ---

void ExpectRoundTrip(const Config& config) {
  const std::string yaml = ConfigToYaml(config);
  EXPECT_EQ(Parse(yaml), config) << yaml;
}

TEST(ConfigToYaml, TheShippedFileComesBackEqual) {
  ExpectRoundTrip(Parse(ShippedYaml()));
}

TEST(ConfigToYaml, OddTextComesBackEqual) {
  for (const char* path : {"null",
                           "~",
                           "true",
                           "12",
                           " a ",
                           "a: b",
                           "#x",
                           "'",
                           "\\\"",
                           "{a}",
                           "\\n",
                           "- a",
                           "&a",
                           "*a",
                           "!a",
                           "\xc3\xa4",
                           "\xf0\x9f\x8c\x8d",
                           "%a",
                           "@",
                           "`",
                           "a,b",
                           "0x1f",
                           "?",
                           ":",
                           "---",
                           "..."}) {
    const Config config =
        Parse(absl::StrCat("store: {kind: sqlite, path: \"x/", path,
                           ".db\"}\npools: {\"null\": {}, 12: {}}\n"
                           "methods: {default: {pool: \"null\"}, ",
                           kSubmit, ": {pool: 12}}\n"));
    ExpectRoundTrip(config);
  }
}

// Returns a valid configuration whose values are drawn at random.
std::string RandomYaml(std::mt19937& random) {
  const auto draw = [&](std::size_t min, std::size_t max) {
    return std::uniform_int_distribution<std::size_t>(min, max)(random);
  };
  std::string yaml = absl::StrCat(
      "listen: 127.0.0.1:", draw(1, 30000),
      "\nmetrics: localhost:", draw(30001, 65535),
      draw(0, 1) == 0 ? "" : "\nadmin: 127.0.0.1:40000",
      "\ncompletion_queues: ", draw(0, 64),
      "\nlimits: {message_bytes: ", draw(1024, 1 << 20),
      ", nesting: ", draw(8, 100), ", answers: ", draw(1, 10000000),
      ", connections: ", draw(1, 1000000),
      ", calls_per_connection: ", draw(1, 1000000),
      ", transport_bytes: ", draw(1, 1023), "GiB}\nstore: ",
      draw(0, 1) == 0
          ? absl::StrCat("{kind: sqlite, path: d", draw(0, 9), ".db}")
          : absl::StrCat("{kind: discard, delay: ", draw(0, 999),
                         "ms, allow_loss: true}"),
      "\ndrain: {timeout: ", draw(1, 86400000), "ms}\npools:\n");
  for (const char* pool : {"a", "b", "receipts"}) {
    const std::size_t workers = draw(1, 1024);
    absl::StrAppend(
        &yaml, "  ", pool, ": {queue: {capacity: ", draw(1, 10000000),
        ", capacity_bytes: ", draw(1, 1 << 20),
        "MiB}, waiting: {max: ", draw(0, 10000000),
        ", max_bytes: ", draw(1, 1023), "GiB}, workers: {min: ", workers,
        ", max: ", draw(workers, 1024),
        ", task_timeout: ", draw(1000, 86400000),
        "ms}, batch: {max: ", draw(1, 10000),
        "}, fair_by: ", std::vector{"none", "study", "site"}[draw(0, 2)],
        "}\n");
  }
  absl::StrAppend(&yaml, "methods:\n  default: {pool: a}\n");
  for (const Method method : kAllMethods) {
    if (method == Method::kGetReceipts) continue;
    const char* pool = method == Method::kSubmit || draw(0, 1) == 0 ? "b" : "a";
    const std::vector<std::string> policies = {
        "block", "fail_fast", "drop",
        absl::StrCat("timed_wait, max_wait: ", draw(1, 86400000), "ms")};
    absl::StrAppend(
        &yaml, "  ", std::string(FullMethodName(method)), ": {pool: ", pool,
        ", on_full: ", policies[draw(0, 3)],
        ", ack: ", draw(0, 1) == 0 ? "stored" : "queued",
        draw(0, 1) == 0
            ? ""
            : absl::StrCat(", shadow: {on_full: ", policies[draw(0, 3)], "}"),
        ", allow_loss: true, priority: ",
        std::string(kPriorityNames[draw(0, 2)]), "}\n");
  }
  // All methods now have an entry, so without this replacement pool `a` could
  // be unused.
  return absl::StrReplaceAll(yaml, {{"Ingestion/SubmitStream: {pool: b",
                                     "Ingestion/SubmitStream: "
                                     "{pool: a"}});
}

TEST(ConfigToYaml, AnyConfigurationComesBackEqual) {
  std::mt19937 random(20260301);
  for (int i = 0; i < 300 && !HasFailure(); ++i) {
    ExpectRoundTrip(Parse(RandomYaml(random)));
  }
}

// --- Any bytes ---

// Changes, doubles or removes random parts of `text`.
std::string Mutated(std::string text, std::mt19937& random) {
  static const std::vector<std::string> kPieces = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ":",
                                                   ": ",
                                                   ",",
                                                   "\n",
                                                   "  ",
                                                   "- ",
                                                   "? ",
                                                   "&a ",
                                                   "*a",
                                                   "!!int",
                                                   "|",
                                                   ">",
                                                   "%YAML ",
                                                   "\"",
                                                   "'",
                                                   "#",
                                                   "~",
                                                   "---",
                                                   "\n---\n",
                                                   "...",
                                                   "<<: ",
                                                   "\t",
                                                   "0",
                                                   "-1",
                                                   "\\",
                                                   "\x04",
                                                   std::string(1, '\0'),
                                                   "\xff",
                                                   "\xef\xbb\xbf",
                                                   "99999999999999999999"};
  const auto draw = [&](std::size_t max) {
    return std::uniform_int_distribution<std::size_t>(0, max)(random);
  };
  for (std::size_t changes = 1 + draw(7); changes > 0; --changes) {
    const std::size_t at = draw(text.size());
    const std::size_t length = draw(1) == 0 ? draw(4) : draw(200);
    switch (draw(3)) {
      case 0:
        text.insert(at, kPieces[draw(kPieces.size() - 1)]);
        break;
      case 1:
        text.insert(at, 1, static_cast<char>(draw(255)));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(draw(text.size()), text.substr(at, length));
        break;
    }
  }
  return text;
}

TEST(ConfigAnyBytes, EndsInErrorsOrInAConfigurationThatIsRight) {
  const std::string shipped = ShippedYaml();
  std::mt19937 random(20260302);
  int right = 0;
  constexpr int kRounds = 20000;
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string yaml = Mutated(shipped, random);
    ConfigErrors errors;
    const Config config = ParseConfig(yaml, &errors);
    if (!errors.empty()) continue;
    ++right;
    ExpectRoundTrip(config);
  }
  // Some files must be valid, and most must not: the round trip and the errors
  // are both tested.
  EXPECT_GT(right, kRounds / 100);
  EXPECT_LT(right, kRounds / 2);
}

TEST(ConfigAnyBytes, RandomBytesEndInErrors) {
  std::mt19937 random(20260303);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes(
        std::uniform_int_distribution<std::size_t>(0, 300)(random), ' ');
    for (char& c : bytes) {
      c = static_cast<char>(std::uniform_int_distribution<>(0, 255)(random));
    }
    EXPECT_THAT(Errors(bytes), testing::Not(IsEmpty()));
  }
}

TEST(ConfigAnyBytes, ManyErrorsAreNoTrouble) {
  std::string yaml = "pools: {main: {}}\n";
  for (std::size_t i = 0; i < kYamlNodesMax / 2 - 10; ++i) {
    absl::StrAppend(&yaml, "key", i, ": 1\n");
  }
  EXPECT_EQ(Errors(yaml).size(), kYamlNodesMax / 2 - 10);
}

}  // namespace
}  // namespace sluice

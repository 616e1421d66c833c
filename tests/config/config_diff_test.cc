#include "config/config_diff.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

Config Parse(const std::string& yaml) {
  ConfigErrors errors;
  Config config = ParseConfig(yaml, &errors);
  EXPECT_TRUE(errors.empty());
  return config;
}

TEST(CompareConfigs, NamesChangedKeysWithBothValues) {
  const Config before = Parse("pools: {clinical: {queue: {capacity: 5}}}\n");
  const Config after = Parse(
      "pools: {clinical: {queue: {capacity: 7}}}\n"
      "log: {level: debug}\n"
      "admin: 127.0.0.1:5\n");
  EXPECT_THAT(CompareConfigs(before, after),
              testing::ElementsAre(
                  ConfigDifference{"admin", "", "127.0.0.1:5"},
                  ConfigDifference{"log.level", "info", "debug"},
                  ConfigDifference{"pools.clinical.queue.capacity", "5", "7"}));
}

TEST(CompareConfigs, FindsNothingInEqualConfigurations) {
  const Config config = Parse("pools: {clinical: {}}\n");
  EXPECT_TRUE(CompareConfigs(config, config).empty());
}

TEST(LogOptions, HaveNamesAndDefaults) {
  EXPECT_EQ(Parse("pools: {clinical: {}}\n").log, LogOptions());
  const Config config =
      Parse("pools: {clinical: {}}\nlog: {format: json, level: warning}\n");
  EXPECT_EQ(config.log, (LogOptions{LogFormat::kJson, LogLevel::kWarning}));
  EXPECT_EQ(Parse(ConfigToYaml(config)), config);
  ConfigErrors errors;
  ParseConfig("pools: {clinical: {}}\nlog: {format: xml, level: all}\n",
              &errors);
  ASSERT_EQ(errors.size(), 2);
  EXPECT_EQ(errors[0].key, "log.format");
  EXPECT_EQ(errors[1].key, "log.level");
}

}  // namespace
}  // namespace sluice

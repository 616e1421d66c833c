#include "stores/registry.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> BadKeys(std::string_view kind,
                                 const StoreOptions& options) {
  std::vector<std::string> keys;
  for (const auto& error : FindStoreKind(kind)->check(options)) {
    EXPECT_NE(error.message, "");
    keys.push_back(error.key);
  }
  return keys;
}

TEST(StoreRegistry, NamesAreSortedAndFound) {
  std::string_view before;
  for (const StoreKind& kind : StoreKinds()) {
    EXPECT_LT(before, kind.name);
    EXPECT_EQ(FindStoreKind(kind.name), &kind);
    before = kind.name;
  }
  EXPECT_EQ(FindStoreKind("no_such_store"), nullptr);
}

TEST(StoreRegistry, OnlyDiscardLoses) {
  for (const StoreKind& kind : StoreKinds()) {
    EXPECT_EQ(kind.loses, kind.name == "discard") << kind.name;
  }
}

TEST(SqliteOptions, NeedAPathThatIsAFile) {
  EXPECT_THAT(BadKeys("sqlite", {{"path", "data/sluice.db"}}), IsEmpty());
  EXPECT_THAT(BadKeys("sqlite", {}), ElementsAre("path"));
  for (const std::string bad :
       {"", ":memory:", "data/", "data/..", ".", "/", "data/."}) {
    EXPECT_THAT(BadKeys("sqlite", {{"path", bad}}), ElementsAre("path")) << bad;
  }
  EXPECT_THAT(BadKeys("sqlite", {{"path", std::string("a\0b", 3)}}),
              ElementsAre("path"));
}

TEST(SqliteOptions, EveryUnknownKeyIsReportedBesideOtherErrors) {
  EXPECT_THAT(
      BadKeys("sqlite", {{"Path", "x"}, {"delay", "5ms"}, {"zeal", "1"}}),
      ElementsAre("Path", "delay", "path", "zeal"));
}

TEST(DiscardOptions, AllAreOptional) {
  EXPECT_THAT(BadKeys("discard", {}), IsEmpty());
  EXPECT_THAT(
      BadKeys("discard",
              {{"delay", "5ms"}, {"jitter", "pareto"}, {"fail_rate", "0.25"}}),
      IsEmpty());
}

TEST(DiscardOptions, DelayIsADurationFromZeroToAMinute) {
  for (const char* good : {"0", "0s", "1.5ms", "1m", "200us"}) {
    EXPECT_THAT(BadKeys("discard", {{"delay", good}}), IsEmpty()) << good;
  }
  for (const char* bad : {"", "5", "-1ms", "inf", "61s", "5 ms", "soon"}) {
    EXPECT_THAT(BadKeys("discard", {{"delay", bad}}), ElementsAre("delay"))
        << bad;
  }
}

TEST(DiscardOptions, JitterIsOneOfItsNames) {
  for (const char* good : {"constant", "exponential", "pareto"}) {
    EXPECT_THAT(BadKeys("discard", {{"jitter", good}}), IsEmpty()) << good;
  }
  for (const char* bad : {"", "Pareto", "normal"}) {
    EXPECT_THAT(BadKeys("discard", {{"jitter", bad}}), ElementsAre("jitter"))
        << bad;
  }
}

TEST(DiscardOptions, FailRateIsAShare) {
  for (const char* good : {"0", "0.0", "1", "1.0", "1e-3"}) {
    EXPECT_THAT(BadKeys("discard", {{"fail_rate", good}}), IsEmpty()) << good;
  }
  for (const char* bad : {"", "-0.1", "1.01", "nan", "inf", "10%", "0,5"}) {
    EXPECT_THAT(BadKeys("discard", {{"fail_rate", bad}}),
                ElementsAre("fail_rate"))
        << bad;
  }
}

TEST(DiscardOptions, EveryErrorIsReportedAtOnce) {
  EXPECT_THAT(
      BadKeys(
          "discard",
          {{"delay", "x"}, {"fail_rate", "x"}, {"jitter", "x"}, {"path", "x"}}),
      ElementsAre("delay", "fail_rate", "jitter", "path"));
}

TEST(StoreRegistry, OpensEachKindByItsOptions) {
  const auto discard =
      FindStoreKind("discard")->open({{"fail_rate", "1"}}, nullptr);
  ASSERT_TRUE(discard.ok());
  const std::vector<Submission> batch(1);
  std::vector<Saved> saved(1);
  EXPECT_EQ((*discard)->SaveBatch(batch, absl::MakeSpan(saved)).code(),
            absl::StatusCode::kUnavailable);

  const std::string path =
      testing::TempDir() + "/store_registry_test/sluice.db";
  const auto sqlite = FindStoreKind("sqlite")->open({{"path", path}}, nullptr);
  ASSERT_TRUE(sqlite.ok()) << sqlite.status();
  EXPECT_EQ(*(*sqlite)->LastSequence(), 0);
}

}  // namespace
}  // namespace sluice

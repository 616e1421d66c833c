#include "stores/kinds/kinds.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
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

TEST(StoreKinds, NamesAreSortedAndFound) {
  std::string_view before;
  for (const StoreKind& kind : StoreKinds()) {
    EXPECT_LT(before, kind.name);
    EXPECT_EQ(FindStoreKind(kind.name), &kind);
    before = kind.name;
  }
  EXPECT_EQ(FindStoreKind("no_such_store"), nullptr);
}

TEST(StoreKinds, TheOperatorsGuideListsEveryKind) {
  const auto text = ReadFile(OPERATIONS_DOC);
  ASSERT_TRUE(text.ok()) << text.status();
  for (const StoreKind& kind : StoreKinds()) {
    EXPECT_THAT(*text, testing::HasSubstr(
                           absl::StrCat("`", std::string(kind.name), "`")));
  }
}

TEST(StoreKinds, OnlyDiscardLoses) {
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

TEST(DatastoreOptions, NeedATarget) {
  EXPECT_THAT(BadKeys("datastore", {{"target", "127.0.0.1:50061"}}), IsEmpty());
  EXPECT_THAT(BadKeys("datastore", {{"target", "127.0.0.1:1"},
                                    {"timeout", "250ms"},
                                    {"max_in_flight", "1"},
                                    {"tls_root_certs", "certs/roots.pem"}}),
              IsEmpty());
  EXPECT_THAT(BadKeys("datastore", {}), ElementsAre("target"));
}

TEST(DatastoreOptions, TargetIsHostAndPort) {
  for (const char* good :
       {"localhost:1", "db_1.example.org:65535", "[::1]:50061"}) {
    EXPECT_THAT(BadKeys("datastore", {{"target", good}}), IsEmpty()) << good;
  }
  for (const char* bad :
       {"", ":", "host", "host:", ":50061", "host:0", "host:65536", "host:+1",
        "host:1 ", "ho st:1", "::1:50061", "[]:1", "dns:///host:1",
        "unix:/tmp/x", "host:1/x"}) {
    EXPECT_THAT(BadKeys("datastore", {{"target", bad}}), ElementsAre("target"))
        << bad;
  }
}

TEST(DatastoreOptions, EveryErrorIsReportedAtOnce) {
  EXPECT_THAT(BadKeys("datastore", {{"target", "x"},
                                    {"timeout", "5"},
                                    {"max_in_flight", "0"},
                                    {"tls_root_certs", ""},
                                    {"path", "x"}}),
              ElementsAre("max_in_flight", "path", "target", "timeout",
                          "tls_root_certs"));
  for (const char* bad : {"", "-1", "0", "1025", "many", "1.5"}) {
    EXPECT_THAT(
        BadKeys("datastore", {{"target", "h:1"}, {"max_in_flight", bad}}),
        ElementsAre("max_in_flight"))
        << bad;
  }
  for (const char* bad : {"", "5", "9ms", "61s", "inf", "-1s", "soon"}) {
    EXPECT_THAT(BadKeys("datastore", {{"target", "h:1"}, {"timeout", bad}}),
                ElementsAre("timeout"))
        << bad;
  }
}

TEST(PostgresOptions, NeedAUrlWithoutAPassword) {
  const std::string url = "postgresql://sluice@db.example.org/epro";
  EXPECT_THAT(BadKeys("postgres", {{"url", url}}), IsEmpty());
  EXPECT_THAT(BadKeys("postgres", {}), ElementsAre("url"));
  for (const char* bad : {"", "db.example.org", "postgresql://a:secret@b/c"}) {
    EXPECT_THAT(BadKeys("postgres", {{"url", bad}}), ElementsAre("url")) << bad;
    for (const auto& error : FindStoreKind("postgres")->check({{"url", bad}})) {
      EXPECT_EQ(error.message.find("secret"), std::string::npos);
    }
  }
}

TEST(PostgresOptions, TimeoutIsADurationTo1m) {
  for (const char* good : {"100ms", "5s", "1m"}) {
    EXPECT_THAT(
        BadKeys("postgres", {{"url", "postgresql://"}, {"timeout", good}}),
        IsEmpty())
        << good;
  }
  for (const char* bad : {"", "5", "99ms", "61s", "-1s", "inf"}) {
    EXPECT_THAT(
        BadKeys("postgres", {{"url", "postgresql://"}, {"timeout", bad}}),
        ElementsAre("timeout"))
        << bad;
  }
}

TEST(PostgresOptions, ServerIsANumberTo1023) {
  for (const char* good : {"0", "7", "1023"}) {
    EXPECT_THAT(
        BadKeys("postgres", {{"url", "postgresql://"}, {"server", good}}),
        IsEmpty())
        << good;
  }
  for (const char* bad : {"", "-1", "1024", "1.5", "one"}) {
    EXPECT_THAT(
        BadKeys("postgres", {{"url", "postgresql://"}, {"server", bad}}),
        ElementsAre("server"))
        << bad;
  }
}

TEST(PostgresOptions, RequireReplicationIsTrueOrFalse) {
  for (const char* good : {"true", "false"}) {
    EXPECT_THAT(BadKeys("postgres", {{"url", "postgresql://"},
                                     {"require_replication", good}}),
                IsEmpty())
        << good;
  }
  for (const char* bad : {"", "yes", "1"}) {
    EXPECT_THAT(BadKeys("postgres", {{"url", "postgresql://"},
                                     {"require_replication", bad}}),
                ElementsAre("require_replication"))
        << bad;
  }
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

}  // namespace
}  // namespace sluice

#include "stores/kinds/postgres_url.h"

#include <libpq-fe.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PostgresUrl, IsAUriOrKeysAndValues) {
  for (const char* good :
       {"postgresql://", "postgres://sluice@db.example.org:5433/epro",
        "postgresql://a,b/epro?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "host=/run/postgresql dbname=epro passfile=/etc/sluice/pgpass"}) {
    EXPECT_EQ(CheckPostgresUrl(good), std::nullopt) << good;
  }
}

TEST(PostgresUrl, AnErrorDoesNotRepeatIt) {
  for (const std::string& bad :
       {std::string("secret"), std::string("mysql://secret"),
        std::string("postgresql://secret%zz/"),
        std::string("postgresql://host/?secret=1"),
        std::string("host=secret unquoted"), std::string("host=secret\0", 12),
        std::string()}) {
    const std::optional<std::string> error = CheckPostgresUrl(bad);
    ASSERT_TRUE(error.has_value()) << bad;
    EXPECT_THAT(*error, Not(HasSubstr("secret")));
  }
}

TEST(PostgresUrl, MustNotHaveAPassword) {
  for (const char* bad :
       {"postgresql://user:secret@host/", "host=h password=secret",
        "postgresql://host/?password=secret",
        "postgresql://host/?sslpassword=secret"}) {
    const std::optional<std::string> error = CheckPostgresUrl(bad);
    ASSERT_TRUE(error.has_value()) << bad;
    EXPECT_THAT(*error, HasSubstr("PGPASSFILE"));
    EXPECT_THAT(*error, Not(HasSubstr("secret")));
  }
}

// Returns the settings that libpq reads from a URL.
std::optional<PostgresSettings> ParseWithLibpq(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(url.c_str(), nullptr), PQconninfoFree);
  if (parsed == nullptr) return std::nullopt;
  PostgresSettings settings;
  for (const PQconninfoOption* o = parsed.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) settings[o->keyword] = o->val;
  }
  return settings;
}

TEST(PostgresUrl, KnowsTheKeywordsOfLibpq) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> all(
      PQconndefaults(), PQconninfoFree);
  ASSERT_NE(all, nullptr);
  for (const PQconninfoOption* o = all.get(); o->keyword != nullptr; ++o) {
    EXPECT_TRUE(ParsePostgresUrl(std::string(o->keyword) + "=1").has_value())
        << o->keyword;
  }
}

TEST(PostgresUrl, IsReadAsLibpqReadsIt) {
  const std::vector<std::string> seeds = {
      "postgresql://",
      "postgres://user:p%40ss@host:5433/db?sslmode=require&ssl=true",
      "postgresql://a,b:1,[::1]:2/db?host=c&port=3",
      "postgresql:///db?user=a&password=&requiressl=1",
      "postgresql://@host/?options=-c%20a%3Db",
      "host = h port=1 user='a \\' b' password=\\\\x requiressl=0",
      "dbname='' sslmode=disable\tkeepalives=1",
      "host=a b",
      "nonsense=1",
  };
  // Parts of URLs that are significant in the grammar.
  const std::vector<std::string> pieces = {"postgresql://",
                                           "@",
                                           ":",
                                           "/",
                                           "?",
                                           "&",
                                           "=",
                                           ",",
                                           "[",
                                           "]",
                                           "%",
                                           "%4",
                                           "%00",
                                           "%2f",
                                           "'",
                                           "\\",
                                           " ",
                                           "\t",
                                           "a",
                                           "1",
                                           "host",
                                           "user=",
                                           "password=",
                                           "ssl=true",
                                           "sslmode",
                                           "&&",
                                           "%3d"};
  std::mt19937 random(11);
  const auto below = [&random](std::size_t n) { return random() % n; };
  int valid = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string url = seeds[below(seeds.size())];
    for (std::size_t edits = below(4); edits > 0; --edits) {
      const std::size_t at = below(url.size() + 1);
      if (below(3) == 0) {
        url.erase(at, below(4));
      } else {
        url.insert(at, pieces[below(pieces.size())]);
      }
    }
    const auto expected = ParseWithLibpq(url);
    ASSERT_EQ(ParsePostgresUrl(url), expected) << url;
    valid += expected.has_value() ? 1 : 0;
  }
  // Many random URLs must be valid, and many invalid, for the comparison to be
  // meaningful.
  EXPECT_GT(valid, 3'000);
  EXPECT_LT(valid, 27'000);
}

}  // namespace
}  // namespace sluice

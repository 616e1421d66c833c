#include "stores/postgres_tls.h"

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PostgresTlsWarningTest : public testing::Test {
 protected:
  void SetUp() override { Clear(); }
  void TearDown() override { Clear(); }

 private:
  static void Clear() {
    for (const char* name : {"PGHOST", "PGHOSTADDR", "PGSSLMODE"}) {
      unsetenv(name);
    }
  }
};

TEST_F(PostgresTlsWarningTest, LocalServersNeedNoTls) {
  for (const char* url :
       {"postgresql:///epro", "postgresql://localhost/epro",
        "postgresql://127.0.0.1/epro", "postgresql://127.1.2.3:5433/epro",
        "postgresql://[::1]/epro", "postgresql://%2Frun%2Fpostgresql/epro",
        "host=/run/postgresql dbname=epro", "host=@socket dbname=epro",
        "postgresql://localhost,127.0.0.1,[::1]/epro",
        "host=db.example.org hostaddr=127.0.0.1"}) {
    EXPECT_THAT(PostgresTlsWarning(url), IsEmpty()) << url;
  }
}

TEST_F(PostgresTlsWarningTest, RemoteServersNeedVerifyFull) {
  for (const char* url :
       {"postgresql://db.example.org/epro",
        "postgresql://db.example.org/epro?sslmode=require",
        "postgresql://db.example.org/epro?sslmode=verify-ca",
        "postgresql://10.0.0.7/epro?sslmode=disable",
        "postgresql://localhost,10.0.0.7/epro", "hostaddr=10.0.0.7",
        "host=localhost hostaddr=10.0.0.7", "postgresql://localhost.evil/epro",
        "postgresql://[fe80::1]/epro"}) {
    EXPECT_THAT(PostgresTlsWarning(url), HasSubstr("sslmode=verify-full"))
        << url;
  }
  EXPECT_THAT(
      PostgresTlsWarning("postgresql://a.example.org/epro?sslmode=verify-full"),
      IsEmpty());
}

TEST_F(PostgresTlsWarningTest, NamesTheHostsAndTheMode) {
  EXPECT_THAT(
      PostgresTlsWarning("postgresql://sluice@a.example.org,localhost,b/epro"),
      AllOf(HasSubstr("a.example.org, b "), HasSubstr("is prefer"),
            HasSubstr("store.url"), Not(HasSubstr("localhost"))));
}

TEST_F(PostgresTlsWarningTest, TheEnvironmentCounts) {
  setenv("PGHOST", "db.example.org", 1);
  EXPECT_THAT(PostgresTlsWarning("postgresql:///epro"),
              HasSubstr("db.example.org"));
  EXPECT_THAT(PostgresTlsWarning("postgresql://localhost/epro"), IsEmpty());
  setenv("PGSSLMODE", "verify-full", 1);
  EXPECT_THAT(PostgresTlsWarning("postgresql:///epro"), IsEmpty());
  EXPECT_THAT(PostgresTlsWarning("postgresql:///epro?sslmode=require"),
              HasSubstr("is require"));
  unsetenv("PGSSLMODE");
  setenv("PGHOSTADDR", "127.0.0.1", 1);
  EXPECT_THAT(PostgresTlsWarning("postgresql:///epro"), IsEmpty());
}

}  // namespace
}  // namespace sluice

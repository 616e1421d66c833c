// Tests the example policy of docs/policies.md. The build extracts the code
// from the document (apply_guide.cmake).

#include <chrono>
#include <string>
#include <string_view>

#include "config/config.h"
#include "gtest/gtest.h"
#include "policies/registry.h"
#include "policies/short_wait.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kNow{milliseconds(5000)};

Verdict Ask(const PoolView& pool) {
  return FindPolicyKind("short_wait")->make({})->OnFull({.now = kNow}, pool);
}

TEST(PolicyGuide, TheExampleWaitsWhereItPays) {
  const Verdict verdict =
      Ask({.depth = 60, .waiting = 40, .drained_per_second = 100});
  EXPECT_EQ(verdict.kind, Verdict::Kind::kPark);
  EXPECT_EQ(verdict.until, kNow + milliseconds(1000));
}

TEST(PolicyGuide, TheExampleRefusesWhoWouldWaitForLonger) {
  EXPECT_EQ(Ask({.depth = 61, .waiting = 40, .drained_per_second = 100}).kind,
            Verdict::Kind::kRefuse);
  EXPECT_EQ(Ask({.depth = 1}).kind, Verdict::Kind::kRefuse);
}

TEST(PolicyGuide, TheRegistryHasTheExampleInItsPlace) {
  std::string_view before;
  for (const PolicyKind& kind : PolicyKinds()) {
    EXPECT_LT(before, kind.name);
    before = kind.name;
  }
  const PolicyKind* kind = FindPolicyKind("short_wait");
  ASSERT_NE(kind, nullptr);
  EXPECT_FALSE(kind->takes_max_wait);
  EXPECT_FALSE(kind->loses);
  EXPECT_FALSE(kind->evicts);
}

TEST(PolicyGuide, TheExampleIsValidConfiguration) {
  ConfigErrors errors;
  const Config config = ParseConfig(
      "pools: {main: {}}\n"
      "methods: {default: {on_full: short_wait, shadow: {on_full: "
      "short_wait}}}\n",
      &errors);
  for (const ConfigError& error : errors) ADD_FAILURE() << error.message;
  EXPECT_EQ(config.method(Method::kSubmit).on_full, "short_wait");
}

}  // namespace
}  // namespace sluice

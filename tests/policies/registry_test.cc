#include "policies/registry.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

Verdict Ask(std::string_view name, const PolicyOptions& options = {}) {
  const Arrival arrival = {.now = TimePoint(milliseconds(1000))};
  return FindPolicyKind(name)->make(options)->OnFull(arrival, PoolView{});
}

TEST(Block, ParksWithoutAnEnd) {
  const Verdict verdict = Ask("block");
  EXPECT_EQ(verdict.kind, Verdict::Kind::kPark);
  EXPECT_EQ(verdict.until, kForever);
}

TEST(TimedWait, ParksForMaxWaitFromTheArrival) {
  const Verdict verdict = Ask("timed_wait", {.max_wait = milliseconds(250)});
  EXPECT_EQ(verdict.kind, Verdict::Kind::kPark);
  EXPECT_EQ(verdict.until, TimePoint(milliseconds(1250)));
}

TEST(FailFast, Refuses) {
  EXPECT_EQ(Ask("fail_fast").kind, Verdict::Kind::kRefuse);
}

TEST(Drop, Drops) { EXPECT_EQ(Ask("drop").kind, Verdict::Kind::kDrop); }

TEST(DropOldest, TakesThePlaceOfTheOldest) {
  EXPECT_EQ(Ask("drop_oldest").kind, Verdict::Kind::kEvictOldest);
}

TEST(Registry, NamesAreSortedAndFound) {
  std::string_view before;
  for (const PolicyKind& kind : PolicyKinds()) {
    EXPECT_LT(before, kind.name);
    EXPECT_EQ(FindPolicyKind(kind.name), &kind);
    before = kind.name;
  }
  EXPECT_EQ(FindPolicyKind("no_such_policy"), nullptr);
}

TEST(Registry, TheDocumentsListEveryPolicy) {
  for (const char* path : {POLICIES_DOC, OPERATIONS_DOC}) {
    const auto text = ReadFile(path);
    ASSERT_TRUE(text.ok()) << text.status();
    for (const PolicyKind& kind : PolicyKinds()) {
      EXPECT_THAT(*text, testing::HasSubstr(
                             absl::StrCat("`", std::string(kind.name), "`")))
          << path;
    }
  }
}

TEST(Registry, SaysWhatEachTakesAndMayDo) {
  for (const PolicyKind& kind : PolicyKinds()) {
    EXPECT_EQ(kind.loses, kind.name == "drop" || kind.name == "drop_oldest")
        << kind.name;
    EXPECT_EQ(kind.evicts, kind.name == "drop_oldest") << kind.name;
    EXPECT_EQ(kind.takes_max_wait, kind.name == "timed_wait") << kind.name;
  }
}

}  // namespace
}  // namespace sluice

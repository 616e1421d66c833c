#include "stores/quarantined_ids.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using Known = QuarantinedIds::Known;

class QuarantinedIdsTest : public testing::Test {
 protected:
  static SubmissionKey KeyOf(const std::string& id) {
    return SubmissionKey::Of(MakeSubmission(1, id));
  }
  static Sha256Digest Digest(std::uint8_t content) {
    Sha256Digest digest;
    digest.fill(content);
    return digest;
  }

  void Add(const std::string& id, std::int64_t sequence, std::uint8_t content,
           std::string_view reason = "reason") {
    ids_.Add(KeyOf(id),
             {.sequence = sequence,
              .received_at = absl::UnixEpoch(),
              .content_sha256 = Digest(content)},
             reason);
  }
  Known Find(const std::string& id, std::uint8_t content) {
    return ids_.Find(KeyOf(id), Digest(content), &receipt_);
  }

  QuarantinedIds ids_;
  StoredReceipt receipt_;
};

TEST_F(QuarantinedIdsTest, KnowsEachContentOfAnId) {
  EXPECT_EQ(Find("a", 1), Known::kNothing);
  Add("a", 5, 1);
  Add("a", 6, 2);
  Add("a", 6, 2);  // added before
  EXPECT_EQ(ids_.size(), 2u);
  EXPECT_EQ(Find("a", 1), Known::kSame);
  EXPECT_EQ(receipt_.sequence, 5);
  EXPECT_EQ(Find("a", 2), Known::kSame);
  EXPECT_EQ(receipt_.sequence, 6);
  EXPECT_EQ(Find("a", 3), Known::kOther);
  EXPECT_EQ(Find("b", 1), Known::kNothing);
}

TEST_F(QuarantinedIdsTest, ForgetsWhatIsRemoved) {
  Add("a", 5, 1);
  Add("a", 6, 2);
  ids_.Remove(KeyOf("a"), 7);
  ids_.Remove(KeyOf("b"), 5);
  EXPECT_EQ(ids_.size(), 2u);
  ids_.Remove(KeyOf("a"), 5);
  EXPECT_EQ(Find("a", 1), Known::kOther);
  ids_.Remove(KeyOf("a"), 6);
  EXPECT_EQ(Find("a", 1), Known::kNothing);
  EXPECT_EQ(ids_.size(), 0u);
}

// The other content may be the one that the store has.
TEST_F(QuarantinedIdsTest, LetsTheStoreDecideIfItHasTheId) {
  Add("a", 5, 1, kStoredWithOtherContent);
  EXPECT_EQ(Find("a", 1), Known::kSame);
  EXPECT_EQ(Find("a", 2), Known::kNothing);
}

}  // namespace
}  // namespace sluice

#include "stores/quarantined_ids.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

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

  void Add(const std::string& id, std::int64_t sequence, std::uint8_t content) {
    ids_.Add(KeyOf(id), {.sequence = sequence,
                         .received_at = absl::UnixEpoch(),
                         .content_sha256 = Digest(content)});
  }
  bool Find(const std::string& id, std::uint8_t content) {
    return ids_.Find(KeyOf(id), Digest(content), &receipt_);
  }

  QuarantinedIds ids_;
  StoredReceipt receipt_;
};

TEST_F(QuarantinedIdsTest, KnowsEachContentOfAnId) {
  EXPECT_FALSE(Find("a", 1));
  Add("a", 5, 1);
  Add("a", 6, 2);
  Add("a", 6, 2);  // added before
  EXPECT_EQ(ids_.size(), 2u);
  EXPECT_TRUE(Find("a", 1));
  EXPECT_EQ(receipt_.sequence, 5);
  EXPECT_TRUE(Find("a", 2));
  EXPECT_EQ(receipt_.sequence, 6);
  EXPECT_FALSE(Find("a", 3));
  EXPECT_FALSE(Find("b", 1));
}

TEST_F(QuarantinedIdsTest, ForgetsWhatIsRemoved) {
  Add("a", 5, 1);
  Add("a", 6, 2);
  ids_.Remove(KeyOf("a"), 7);
  ids_.Remove(KeyOf("b"), 5);
  EXPECT_EQ(ids_.size(), 2u);
  ids_.Remove(KeyOf("a"), 5);
  EXPECT_FALSE(Find("a", 1));
  ids_.Remove(KeyOf("a"), 6);
  EXPECT_FALSE(Find("a", 1));
  EXPECT_EQ(ids_.size(), 0u);
}

TEST_F(QuarantinedIdsTest, KnowsAFewContentsOfAnId) {
  constexpr int kMax = QuarantinedIds::kContentsMax;
  for (int i = 1; i <= kMax + 1; ++i) {
    Add("a", i, static_cast<std::uint8_t>(i));
  }
  EXPECT_EQ(ids_.size(), QuarantinedIds::kContentsMax);
  EXPECT_TRUE(Find("a", kMax));
  EXPECT_FALSE(Find("a", kMax + 1));
}

}  // namespace
}  // namespace sluice

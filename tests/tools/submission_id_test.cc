#include "tools/ctl/submission_id.h"

#include <set>

#include "base/uuid.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(SubmissionId, IsTheResourcesOwnWhereThatIsAUuid) {
  EXPECT_EQ(SubmissionId("S", "919108F7-52d1-4320-9bac-f847db4148a8", "{}"),
            "919108F7-52d1-4320-9bac-f847db4148a8");
}

// Fixed values: a change of the derivation would store known responses twice.
TEST(SubmissionId, StaysTheSameForEver) {
  EXPECT_EQ(SubmissionId("STUDY-1", "gcs", "any"),
            "320ef449-8450-5721-a22b-087929e7e53f");
  EXPECT_EQ(SubmissionId("STUDY-1", "", "{\"a\":1}"),
            "88491e46-7eee-572f-91b4-9cc0a9276b96");
}

TEST(SubmissionId, FollowsFromStudyAndResourceIdWhateverTheContent) {
  const auto id = SubmissionId("STUDY-1", "gcs", "old");
  EXPECT_TRUE(IsUuid(id));
  EXPECT_EQ(SubmissionId("STUDY-1", "gcs", "new"), id);
  EXPECT_NE(SubmissionId("STUDY-2", "gcs", "old"), id);
  EXPECT_NE(SubmissionId("STUDY-1", "gcs2", "old"), id);
}

TEST(SubmissionId, FollowsFromStudyAndContentWithoutAResourceId) {
  const auto id = SubmissionId("STUDY-1", "", "content");
  EXPECT_TRUE(IsUuid(id));
  EXPECT_EQ(SubmissionId("STUDY-1", "", "content"), id);
  EXPECT_NE(SubmissionId("STUDY-1", "", "content "), id);
  EXPECT_NE(SubmissionId("STUDY-2", "", "content"), id);
}

TEST(SubmissionId, DoesNotMixUpItsParts) {
  const std::set<std::string> ids = {
      SubmissionId("ab", "c", ""),   SubmissionId("a", "bc", ""),
      SubmissionId("ab", "", "c"),   SubmissionId("a", "", "bc"),
      SubmissionId("", "1:a:b", ""), SubmissionId("a", "b", "")};
  EXPECT_EQ(ids.size(), 6U);
}

}  // namespace
}  // namespace sluice

#include "tests/crash/loss.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

// The ledger of submissions with the numbers 1 and so on.
class LossTest : public testing::Test {
 protected:
  void Acknowledge(std::int64_t sequence) {
    const LedgerKey key = Key(sequence);
    const Sha256Digest sha256 = FakeDigest(key.submission_id);
    ledger_.RecordSent(key, SubmissionKind::kPatientRecord, sha256);
    ledger_.RecordTold(key, {.round = 1,
                             .method = "Submit",
                             .disposition = v1::Receipt::QUEUED,
                             .sent_sha256 = sha256,
                             .sequence = sequence,
                             .received_at = absl::UnixEpoch(),
                             .told_sha256 = sha256});
  }
  static LedgerKey Key(std::int64_t sequence) {
    return {"study", std::to_string(sequence)};
  }
  Found& Have(std::int64_t sequence) {
    Found found;
    found.sequence = sequence;
    found.noted_sha256 = FakeDigest(Key(sequence).submission_id);
    found.content_sha256 = found.noted_sha256;
    return findings_[Key(sequence)].submissions.emplace_back(found);
  }
  std::vector<Loss> Losses() const { return FindLosses(ledger_, findings_); }
  // True if the log covers what is missing.
  bool Covered(const std::string& log) const {
    return Covers(ReadLosses(log), Losses());
  }

  Ledger ledger_;
  FindingsByKey findings_;
};

TEST_F(LossTest, FindsWhatIsMissingOrAltered) {
  for (const std::int64_t sequence : {1, 2, 3, 4}) Acknowledge(sequence);
  Have(1);
  Have(2).content_sha256 = FakeDigest("altered");
  Have(3).content_sha256 = FakeDigest("altered");
  findings_[Key(3)].submissions[0].in_quarantine = true;
  std::vector<std::pair<std::string, bool>> found;
  for (const Loss& loss : Losses()) {
    found.emplace_back(loss.key.submission_id, loss.altered);
  }
  EXPECT_THAT(found,
              testing::UnorderedElementsAre(Pair("2", true), Pair("4", false)));
}

TEST_F(LossTest, IsNotCoveredByALogThatNamesNoneOrTooFew) {
  for (const std::int64_t sequence : {1, 5002, 5003}) Acknowledge(sequence);
  ASSERT_THAT(Losses(), SizeIs(3));
  EXPECT_FALSE(Covered("serving"));
  EXPECT_FALSE(
      Covered("the file lacks its last entries: entries 9 to 10 were "
              "acknowledged and are not in the file (2 entries)"));
  EXPECT_TRUE(
      Covered("the file lacks its last entries: entries 8 to 10 were "
              "acknowledged and are not in the file (3 entries)"));
  EXPECT_FALSE(
      Covered("the last sequence number that it has is 5001, and f knows 5003; "
              "acknowledged numbers 5002 to 5003 are missing."));
  EXPECT_TRUE(
      Covered("the last sequence number that it has is 0, and f knows 5003; "
              "acknowledged numbers 1 to 5003 are missing."));
  EXPECT_TRUE(
      Covered("the file is missing, but f knows submissions up to sequence "
              "number 5003."));
  EXPECT_TRUE(
      Covered("the file is damaged (database disk image is malformed)"));
}

TEST_F(LossTest, ReadsNoLossFromALogWithoutDamage) {
  EXPECT_TRUE(ReadLosses("serving: listen=127.0.0.1:1\nreplayed: 7").empty());
  EXPECT_THAT(Losses(), IsEmpty());
}

}  // namespace
}  // namespace sluice

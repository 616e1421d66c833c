#include "tests/crash/ledger.h"

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;
using v1::Receipt;

constexpr auto kKind = SubmissionKind::kPatientRecord;

Told Answer(Receipt::Disposition disposition) {
  Told told;
  told.method = "ImportPatients";
  told.disposition = disposition;
  return told;
}

TEST(Ledger, CountsHowOftenEachContentWasSent) {
  Ledger ledger;
  const LedgerKey key = {"study", "id"};
  for (const char* content : {"a", "b", "a"}) {
    ledger.RecordSent(key, kKind, FakeDigest(content));
  }
  const LedgerEntry entry = ledger.Find(key);
  ASSERT_EQ(entry.sent.size(), 2U);
  EXPECT_EQ(entry.sent[0].times, 2);
  EXPECT_EQ(entry.sent[1].times, 1);
  EXPECT_THAT(ledger.Find({"study", "other"}).sent, IsEmpty());
}

TEST(Ledger, CountsRefusalsAndKeepsTheRest) {
  Ledger ledger;
  const LedgerKey key = {"study", "id"};
  ledger.RecordSent(key, kKind, FakeDigest("a"));
  for (const auto disposition :
       {Receipt::REFUSED, Receipt::DISPOSITION_UNSPECIFIED, Receipt::DROPPED,
        Receipt::CONFLICT, Receipt::STORED}) {
    ledger.RecordTold(key, Answer(disposition));
  }
  EXPECT_EQ(ledger.Find(key).told.size(), 2U);
  EXPECT_EQ(ledger.acknowledged(), 1);
  EXPECT_EQ(ledger.counts().size(), 5U);
}

TEST(Ledger, TellsOfWhichKeysThereIsNews) {
  Ledger ledger;
  ledger.RecordTold({"study", "a"}, Answer(Receipt::STORED));
  ledger.RecordTold({"study", "a"}, Answer(Receipt::DUPLICATE));
  ledger.RecordTold({"study", "b"}, Answer(Receipt::REFUSED));
  EXPECT_THAT(ledger.TakeNews(), UnorderedElementsAre(LedgerKey{"study", "a"}));
  EXPECT_THAT(ledger.TakeNews(), IsEmpty());
}

TEST(Ledger, WaitsForAcknowledgements) {
  Ledger ledger;
  ledger.RecordTold({"study", "a"}, Answer(Receipt::STORED));
  EXPECT_TRUE(ledger.AwaitAcknowledged(1, absl::InfiniteFuture()));
  EXPECT_FALSE(ledger.AwaitAcknowledged(2, absl::InfinitePast()));
}

}  // namespace
}  // namespace sluice

// Tests that every kind of breach is found, and that there are no false
// breaches.

#include "tests/crash/audit.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::Receipt;

LedgerKey Key(const std::string& id) { return {"study", id}; }

absl::Time ReceivedAt(std::int64_t sequence) {
  return absl::FromUnixMicros(1'700'000'000'000'000 + sequence);
}

// Records a submission with the answer and the findings that a correct server
// would give.
class AuditTest : public testing::Test {
 protected:
  void Send(const std::string& id, const std::string& content) {
    ledger_.RecordSent(Key(id), SubmissionKind::kQuestionnaireResponse,
                       FakeDigest(content));
  }
  void Tell(const std::string& id, const std::string& content,
            Receipt::Disposition disposition, std::int64_t sequence) {
    ledger_.RecordTold(Key(id), {.round = 7,
                                 .method = "Submit",
                                 .disposition = disposition,
                                 .sent_sha256 = FakeDigest(content),
                                 .sequence = sequence,
                                 .received_at = ReceivedAt(sequence),
                                 .told_sha256 = FakeDigest(content)});
  }
  Found& Have(const std::string& id, const std::string& content,
              std::int64_t sequence) {
    auto& submissions = findings_[Key(id)].submissions;
    submissions.push_back({.in_quarantine = false,
                           .kind = SubmissionKind::kQuestionnaireResponse,
                           .sequence = sequence,
                           .received_at = ReceivedAt(sequence),
                           .noted_sha256 = FakeDigest(content),
                           .content_sha256 = FakeDigest(content)});
    return submissions.back();
  }
  Found& SendAndStore(const std::string& id, std::int64_t sequence) {
    Send(id, id);
    Tell(id, id, Receipt::STORED, sequence);
    return Have(id, id, sequence);
  }
  // Sends different content under the id of a stored submission.
  void SendConflict(const std::string& id, const std::string& content) {
    Send(id, content);
    Tell(id, content, Receipt::CONFLICT, 0);
    HaveConflict(id, content, 0);
  }
  FoundConflict& HaveConflict(const std::string& id, const std::string& content,
                              std::int64_t sequence) {
    return findings_[Key(id)].conflicts.emplace_back(
        FoundConflict{.sequence = sequence,
                      .noted_sha256 = FakeDigest(content),
                      .content_sha256 = FakeDigest(content)});
  }

  AuditReport Audit() const { return AuditAll(ledger_, findings_); }
  void ExpectBreach(const std::string& text) const {
    EXPECT_THAT(Audit().breach_texts, ElementsAre(HasSubstr(text)));
  }

  Ledger ledger_;
  FindingsByKey findings_;
};

TEST_F(AuditTest, FindsNothingWhereAllIsAsItWasTold) {
  SendAndStore("a", 1);
  Tell("a", "a", Receipt::DUPLICATE, 1);
  SendConflict("a", "other");
  Send("b", "b");
  Tell("b", "b", Receipt::QUEUED, 3);
  Have("b", "b", 3);
  Send("refused", "refused");
  Tell("refused", "refused", Receipt::REFUSED, 0);
  Send("without an answer", "x");
  Have("without an answer", "x", 4);
  SendAndStore("c", 5).in_quarantine = true;

  const AuditReport report = Audit();
  EXPECT_THAT(report.breach_texts, IsEmpty());
  EXPECT_EQ(report.breaches, 0);
  EXPECT_EQ(report.answers, 5);
  EXPECT_EQ(report.in_store, 3);
  EXPECT_EQ(report.in_quarantine, 1);
  EXPECT_EQ(report.conflicts, 1);
}

TEST_F(AuditTest, FindsOneThatIsMissingAndTellsWhatWasSaidOfIt) {
  for (const auto disposition : {Receipt::STORED, Receipt::QUEUED,
                                 Receipt::DUPLICATE, Receipt::QUARANTINED}) {
    ledger_.RecordSent(Key("lost"), SubmissionKind::kQuestionnaireResponse,
                       FakeDigest("lost"));
    AuditReport report;
    const LedgerEntry entry = {.sent = ledger_.Find(Key("lost")).sent,
                               .told = {{.round = 7,
                                         .method = "Submit",
                                         .disposition = disposition,
                                         .sent_sha256 = FakeDigest("lost"),
                                         .sequence = 12,
                                         .received_at = ReceivedAt(12),
                                         .told_sha256 = FakeDigest("lost")}}};
    AuditKey(Key("lost"), entry, Findings(), report);
    EXPECT_THAT(report.breach_texts,
                ElementsAre(AllOf(
                    HasSubstr("study/lost is MISSING although"),
                    HasSubstr("round 7, Submit"),
                    HasSubstr(Receipt::Disposition_Name(disposition)),
                    HasSubstr("sequence 12"), HasSubstr("nothing is stored"))));
  }
}

TEST_F(AuditTest, FindsOneThatIsThereTwice) {
  SendAndStore("a", 1);
  Have("a", "a", 2);
  ExpectBreach("more than once");
}

TEST_F(AuditTest, FindsOneThatIsInTheStoreAndInQuarantine) {
  SendAndStore("a", 1);
  Have("a", "a", 2).in_quarantine = true;
  ExpectBreach("more than once");
}

TEST_F(AuditTest, LetsAnotherContentBeInQuarantine) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  Have("a", "other", 2).in_quarantine = true;
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, FindsAlteredBytes) {
  SendAndStore("a", 1).content_sha256 = FakeDigest("A");
  const AuditReport report = Audit();
  EXPECT_THAT(report.breach_texts,
              ElementsAre(HasSubstr("bytes that differ from its stored hash"),
                          HasSubstr("another content is stored")));
}

TEST_F(AuditTest, FindsBytesThatWereNeverSent) {
  SendAndStore("a", 1);
  Have("unknown", "x", 2);
  ExpectBreach("study/unknown is stored, but was never sent");
}

TEST_F(AuditTest, FindsBytesThatWereSentUnderAnotherId) {
  SendAndStore("a", 1);
  Send("b", "b");
  Have("b", "a", 2);
  ExpectBreach("study/b is stored, but was never sent");
}

TEST_F(AuditTest, FindsAnotherKind) {
  SendAndStore("a", 1).kind = SubmissionKind::kAppEvent;
  ExpectBreach("with another kind");
}

TEST_F(AuditTest, FindsAWrongSequence) {
  SendAndStore("a", 1).sequence = 2;
  ExpectBreach("another sequence");
}

TEST_F(AuditTest, FindsADuplicateThatWasNotToldTheFirstSequence) {
  SendAndStore("a", 1);
  Tell("a", "a", Receipt::DUPLICATE, 2);
  ExpectBreach("another sequence");
}

TEST_F(AuditTest, FindsAWrongTime) {
  SendAndStore("a", 1).received_at += absl::Microseconds(1);
  ExpectBreach("another time");
}

TEST_F(AuditTest, FindsAWrongHashInAReceipt) {
  Send("a", "a");
  Have("a", "a", 1);
  ledger_.RecordTold(Key("a"), {.round = 1,
                                .method = "Submit",
                                .disposition = Receipt::STORED,
                                .sent_sha256 = FakeDigest("a"),
                                .sequence = 1,
                                .received_at = ReceivedAt(1),
                                .told_sha256 = FakeDigest("b")});
  ExpectBreach("the hash of another content");
}

TEST_F(AuditTest, FindsASequenceThatTwoHave) {
  SendAndStore("a", 1);
  SendAndStore("b", 1);
  ExpectBreach("has the sequence number of");
}

TEST_F(AuditTest, FindsAConflictThatChangedWhatIsThere) {
  SendAndStore("a", 1);
  SendConflict("a", "other");
  findings_[Key("a")].submissions.clear();
  Have("a", "other", 1);
  EXPECT_THAT(
      Audit().breach_texts,
      ElementsAre(HasSubstr("another content is stored"),
                  HasSubstr("stored although it was refused as a conflict")));
}

TEST_F(AuditTest, LetsAConflictBeInQuarantineFromAnotherSending) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  Have("a", "other", 2).in_quarantine = true;
  SendConflict("a", "other");
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, FindsAConflictWithNothing) {
  Send("a", "a");
  SendConflict("a", "other");
  ExpectBreach("as a conflict, but nothing is stored");
}

TEST_F(AuditTest, FindsAConflictThatIsNotOnRecord) {
  SendAndStore("a", 1);
  SendConflict("a", "other");
  findings_[Key("a")].conflicts.clear();
  ExpectBreach("not on record");
}

TEST_F(AuditTest, FindsAConflictWhoseContentIsNotKept) {
  SendAndStore("a", 1);
  SendConflict("a", "other");
  findings_[Key("a")].conflicts[0].content_sha256.reset();
  ExpectBreach("content is not kept");
  HaveConflict("a", "other", 0);
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, LetsAnAcknowledgedSubmissionBeAConflict) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  HaveConflict("a", "other", 2);
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, FindsAnAcknowledgedConflictThatIsNotKept) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  ExpectBreach("is MISSING: another content is stored");
  HaveConflict("a", "other", 2).content_sha256.reset();
  ExpectBreach("is MISSING: another content is stored");
}

TEST_F(AuditTest, FindsAnAcknowledgedConflictUnderAnotherNumber) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  HaveConflict("a", "other", 3);
  ExpectBreach("without the sequence number of its receipt");
}

TEST_F(AuditTest, FindsAStoredSubmissionThatIsOnlyAConflict) {
  SendAndStore("a", 1);
  Send("a", "other");
  Tell("a", "other", Receipt::STORED, 2);
  HaveConflict("a", "other", 2);
  ExpectBreach("is MISSING: another content is stored");
}

TEST_F(AuditTest, FindsAnAnswerThatFitsNothingSent) {
  Send("a", "a");
  Tell("a", "a", Receipt::INVALID, 0);
  ExpectBreach("an impossible answer");
}

TEST_F(AuditTest, LetsARepetitionHaveANumberThatIsConnectedWithTheFirst) {
  Send("a", "a");
  Send("a", "a");
  Tell("a", "a", Receipt::QUEUED, 1);
  Tell("a", "a", Receipt::QUEUED, 2);
  Have("a", "a", 1);
  ExpectBreach("another sequence");
  findings_[Key("a")].other_sequences = {2};
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, LetsARepeatedConflictHaveANumberThatIsConnected) {
  SendAndStore("a", 1);
  Send("a", "other");
  Send("a", "other");
  Tell("a", "other", Receipt::QUEUED, 2);
  Tell("a", "other", Receipt::QUEUED, 3);
  HaveConflict("a", "other", 2);
  ExpectBreach("without the sequence number");
  findings_[Key("a")].other_sequences = {2, 3};
  EXPECT_THAT(Audit().breach_texts, IsEmpty());
}

TEST_F(AuditTest, FindsAWrongSequenceOfWhatWasQueuedOnce) {
  Send("a", "a");
  Tell("a", "a", Receipt::QUEUED, 1);
  Have("a", "a", 2);
  ExpectBreach("another sequence");
}

TEST_F(AuditTest, CountsMoreBreachesThanItKeepsTextsOf) {
  constexpr int kLost = 50;
  for (int i = 0; i < kLost; ++i) {
    Send(std::to_string(i), "x");
    Tell(std::to_string(i), "x", Receipt::STORED, i + 1);
  }
  const AuditReport report = Audit();
  EXPECT_EQ(report.breaches, kLost);
  EXPECT_EQ(report.breach_texts.size(), AuditReport::kBreachTextsMax);
}

}  // namespace
}  // namespace sluice

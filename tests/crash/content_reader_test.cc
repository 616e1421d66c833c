// Tests that readers find the data that a store wrote, and later changes of the
// file.

#include "tests/crash/content_reader.h"

#include <memory>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stores/postgres_store.h"
#include "stores/sqlite_store.h"
#include "tests/crash/journal_probe.h"
#include "tests/fakes/postgres_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Submission RealSubmission(std::int64_t sequence, const std::string& id,
                          const std::string& content) {
  Submission submission = MakeSubmission(sequence, id, content);
  submission.content_sha256 = Sha256(content);
  submission.kind = SubmissionKind::kPatientRecord;
  return submission;
}

FoundConflict ConflictOf(std::int64_t sequence, const std::string& content) {
  return {.sequence = sequence,
          .noted_sha256 = Sha256(content),
          .content_sha256 = Sha256(content)};
}

// Expects the submission "one" under id "a", and "two" as a conflict.
void ExpectOneAndAConflict(const Findings& a) {
  ASSERT_THAT(a.submissions, SizeIs(1));
  EXPECT_EQ(a.submissions[0].sequence, 1);
  EXPECT_EQ(a.submissions[0].kind, SubmissionKind::kPatientRecord);
  EXPECT_EQ(a.submissions[0].received_at, MakeSubmission(1, "a").received_at);
  EXPECT_EQ(a.submissions[0].content_sha256, Sha256("one"));
  EXPECT_EQ(a.submissions[0].noted_sha256, Sha256("one"));
  EXPECT_FALSE(a.submissions[0].in_quarantine);
  EXPECT_THAT(a.conflicts, ElementsAre(ConflictOf(2, "two")));
}

// Expects "two" under id "b", "three" as a conflict, and nothing in another
// study.
void ExpectOneKeyIsRead(ContentReader& reader) {
  Findings findings;
  ASSERT_TRUE(reader.Read({"study", "b"}, findings).ok());
  ASSERT_THAT(findings.submissions, SizeIs(1));
  EXPECT_EQ(findings.submissions[0].sequence, 2);
  EXPECT_THAT(findings.conflicts, ElementsAre(ConflictOf(3, "three")));
  Findings nothing;
  ASSERT_TRUE(reader.Read({"other study", "b"}, nothing).ok());
  EXPECT_THAT(nothing.submissions, IsEmpty());
  EXPECT_THAT(nothing.conflicts, IsEmpty());
}

class SqliteContentTest : public testing::Test {
 protected:
  void Save(const std::vector<Submission>& batch) {
    auto store =
        SqliteStore::Open({.path = path_}, [](auto...) { return false; });
    ASSERT_TRUE(store.ok()) << store.status();
    std::vector<Saved> saved(batch.size());
    ASSERT_TRUE((*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok());
  }
  FindingsByKey ReadAll() const {
    FindingsByKey findings;
    const auto reader = OpenSqliteContent(path_);
    EXPECT_TRUE(reader.ok() && (*reader)->ReadAll(findings).ok());
    return findings;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
};

TEST_F(SqliteContentTest, ReadsSubmissionsAndConflicts) {
  Save({RealSubmission(1, "a", "one"), RealSubmission(2, "a", "two"),
        RealSubmission(3, "b", "three")});
  const FindingsByKey findings = ReadAll();
  ASSERT_THAT(findings, SizeIs(2));
  ExpectOneAndAConflict(findings.at({"study", "a"}));
}

TEST_F(SqliteContentTest, ReadsWhatIsUnderOneKey) {
  Save({RealSubmission(1, "a", "one"), RealSubmission(2, "b", "two"),
        RealSubmission(3, "b", "three")});
  const auto reader = OpenSqliteContent(path_);
  ASSERT_TRUE(reader.ok());
  ExpectOneKeyIsRead(**reader);
}

TEST_F(SqliteContentTest, HashesTheBytesThatAreThere) {
  Save({RealSubmission(1, "a", "one")});
  Shell(path_).Run("UPDATE submissions SET content = X'00'");
  const FindingsByKey findings = ReadAll();
  const Found& found = findings.at({"study", "a"}).submissions.at(0);
  EXPECT_EQ(found.noted_sha256, Sha256("one"));
  EXPECT_EQ(found.content_sha256, Sha256(std::string(1, '\0')));
}

TEST_F(SqliteContentTest, DoesNotCreateWhatIsMissing) {
  EXPECT_TRUE(absl::IsUnavailable(OpenSqliteContent(path_).status()));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

class PostgresContentTest : public testing::Test {
 protected:
  void Save(const std::vector<Submission>& batch) const {
    auto store =
        PostgresStore::Open({.url = url_}, [](auto...) { return false; });
    ASSERT_TRUE(store.ok()) << store.status();
    std::vector<Saved> saved(batch.size());
    ASSERT_TRUE((*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok());
  }
  FindingsByKey ReadAll() const {
    FindingsByKey findings;
    const auto reader = OpenPostgresContent(url_);
    EXPECT_TRUE(reader.ok() && (*reader)->ReadAll(findings).ok());
    return findings;
  }

  const std::string url_ = PostgresServer::Shared().NewSchema();
};

TEST_F(PostgresContentTest, ReadsSubmissionsAndConflicts) {
  Save({RealSubmission(1, "a", "one"), RealSubmission(2, "a", "two"),
        RealSubmission(3, "b", "three")});
  PostgresShell(url_).Run(
      "UPDATE submissions SET content = '\\x00' WHERE submission_id = 'b'");
  const FindingsByKey findings = ReadAll();
  ASSERT_THAT(findings, SizeIs(2));
  ExpectOneAndAConflict(findings.at({"study", "a"}));
  const Found& altered = findings.at({"study", "b"}).submissions.at(0);
  EXPECT_EQ(altered.noted_sha256, Sha256("three"));
  EXPECT_EQ(altered.content_sha256, Sha256(std::string(1, '\0')));
}

TEST_F(PostgresContentTest, ReadsWhatIsUnderOneKey) {
  Save({RealSubmission(1, "a", "one"), RealSubmission(2, "b", "two"),
        RealSubmission(3, "b", "three")});
  const auto reader = OpenPostgresContent(url_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectOneKeyIsRead(**reader);
}

TEST_F(PostgresContentTest, ReadsMoreThanAPage) {
  constexpr int kSubmissions = 1001;
  std::vector<Submission> batch;
  for (int i = 1; i <= kSubmissions; ++i) {
    batch.push_back(RealSubmission(i, std::to_string(i), "content"));
  }
  Save(batch);
  EXPECT_THAT(ReadAll(), SizeIs(kSubmissions));
}

TEST(PostgresContent, IsUnavailableWhereThereIsNoServer) {
  const TempFolder folder;
  EXPECT_TRUE(
      absl::IsUnavailable(OpenPostgresContent("postgresql:///postgres?host=" +
                                              folder.path().string())
                              .status()));
}

// The part of a journal that the reader uses.
constexpr char kJournal[] =
    "CREATE TABLE entries (position INTEGER PRIMARY KEY);"
    "INSERT INTO entries VALUES (3), (4), (6);"
    "CREATE TABLE quarantine (sequence INTEGER PRIMARY KEY, kind TEXT,"
    " study_id TEXT, submission_id TEXT, received_at INTEGER,"
    " content_sha256 BLOB, content BLOB);"
    "INSERT INTO quarantine VALUES (5, 'app_event', 'study', 'id', 1000001,"
    " zeroblob(32), X'61');";

TEST(QuarantineContent, ReadsWhatIsInQuarantine) {
  const TempFolder folder;
  Shell(folder / "journal.db").Run(kJournal);
  const auto reader = OpenQuarantineContent(folder / "journal.db");
  ASSERT_TRUE(reader.ok()) << reader.status();
  FindingsByKey findings;
  ASSERT_TRUE((*reader)->ReadAll(findings).ok());
  Findings of_key;
  ASSERT_TRUE((*reader)->Read({"study", "id"}, of_key).ok());
  for (const Findings& one : {findings[LedgerKey{"study", "id"}], of_key}) {
    ASSERT_THAT(one.submissions, SizeIs(1));
    EXPECT_TRUE(one.submissions[0].in_quarantine);
    EXPECT_EQ(one.submissions[0].sequence, 5);
    EXPECT_EQ(one.submissions[0].received_at, absl::FromUnixMicros(1000001));
    EXPECT_EQ(one.submissions[0].content_sha256, Sha256("a"));
  }
}

TEST(JournalProbe, CountsWhatIsLeftAndHowMuchOfItIsOld) {
  const TempFolder folder;
  Shell(folder / "journal.db").Run(kJournal);
  const auto left = ProbeJournal(folder / "journal.db", folder / "probe.db", 4);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->entries, 3);
  EXPECT_EQ(left->last_position, 6);
  EXPECT_EQ(left->old_entries, 2);
}

TEST(JournalProbe, SeesNothingWhereThereIsNoJournalYet) {
  const TempFolder folder;
  const auto left = ProbeJournal(folder / "journal.db", folder / "probe.db", 4);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->entries, 0);
}

}  // namespace
}  // namespace sluice

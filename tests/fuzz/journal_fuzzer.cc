// A damaged journal is refused with an error that names the acknowledged
// entries, or every acknowledged entry is accounted for. An entry is accounted
// for if it is replayed with its own bytes or is in quarantine with a reason.
// No entry is replayed with other bytes, and none is missing without an error.
// All calls return without a crash. An undamaged journal has all its entries.
//
// Input: how to damage the file (damaged_file.h).

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "base/files.h"
#include "base/sha256.h"
#include "stores/journal.h"
#include "tests/fuzz/damaged_file.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr std::int64_t kEntries = 4;

ReceivedSubmission MakeSubmission(std::int64_t sequence) {
  ReceivedSubmission submission;
  submission.kind = SubmissionKind::kPatientRecord;
  submission.sequence = sequence;
  submission.study_id = "STUDY-1";
  submission.submission_id = absl::StrCat("id-", sequence);
  submission.site_id = "SITE-1";
  submission.content = absl::StrCat("content of ", sequence);
  submission.content_sha256 = Sha256(submission.content);
  submission.received_at = absl::FromUnixSeconds(1'700'000'000 + sequence);
  if (sequence % 2 == 0) submission.sent_at = absl::FromUnixSeconds(sequence);
  return submission;
}

void WriteJournal(const std::string& path,
                  const std::function<void()>& in_use) {
  auto journal = Journal::Open(path);
  Require(journal.ok(), "the journal is created");
  for (std::int64_t i = 1; i <= kEntries; ++i) {
    const ReceivedSubmission submission = MakeSubmission(i);
    const NewJournalEntry entry{"ImportPatients", &submission};
    Require((*journal)->Append({&entry, 1}).ok(), "an entry is appended");
  }
  const UnstorableEntry unstorable{
      .position = 1, .reason = "reason", .tries = 3};
  Require((*journal)->Quarantine({&unstorable, 1}).front().ok(),
          "one is quarantined");
  in_use();
}

// Requires that the submission is equal to the one that MakeSubmission makes.
void RequireWhole(const ReceivedSubmission& read) {
  const ReceivedSubmission put_in = MakeSubmission(read.sequence);
  Require(read.sequence >= 1 && read.sequence <= kEntries &&
              read.kind == put_in.kind && read.study_id == put_in.study_id &&
              read.submission_id == put_in.submission_id &&
              read.site_id == put_in.site_id &&
              read.content == put_in.content &&
              read.content_sha256 == put_in.content_sha256 &&
              read.received_at == put_in.received_at &&
              read.sent_at == put_in.sent_at,
          "an undamaged journal has each submission as it was put in");
}

void Use(Journal& journal, bool damaged) {
  std::vector<std::int64_t> positions;
  const absl::Status replayed = journal.Replay([&](const JournalEntry& entry) {
    Require(positions.empty() || positions.back() < entry.position,
            "entries come in order");
    positions.push_back(entry.position);
    Require(entry.method == "ImportPatients", "the method is as it was put in");
    RequireWhole(entry.submission);
  });
  const auto quarantine = journal.ListQuarantine(0, 10, true);
  if (replayed.ok() && quarantine.ok()) {
    Require(positions.size() + quarantine->size() == kEntries,
            "each entry is replayed or in quarantine");
    for (const Quarantined& quarantined : *quarantine) {
      Require(quarantined.damaged ||
                  (quarantined.submission.sequence == 1 &&
                   quarantined.submission.content == MakeSubmission(1).content),
              "what is not damaged is what was appended");
      Require(!quarantined.damaged || !quarantined.reason.empty(),
              "damage has a reason");
    }
  }
  if (!damaged) {
    Require(replayed.ok() && positions.size() == kEntries - 1 &&
                quarantine.ok() && quarantine->size() == 1,
            "an undamaged journal has all that was put in");
    const Quarantined& one = quarantine->front();
    Require(one.method == "ImportPatients" && one.reason == "reason" &&
                one.tries == 3,
            "an undamaged quarantine has what was put in");
    RequireWhole(one.submission);
  }
  (void)journal.LastSequence();
  (void)journal.FindQuarantined("STUDY-1",
                                std::vector<std::string>{"id-1", "id-2"});
  const UnstorableEntry unstorable{
      .position = 2, .reason = "reason", .tries = 3};
  (void)journal.Quarantine({&unstorable, 1});
  (void)journal.Release(1);
  journal.MarkDone(3);
  const ReceivedSubmission submission = MakeSubmission(99);
  const NewJournalEntry entry{"ImportPatients", &submission};
  (void)journal.Append({&entry, 1});
  (void)journal.Forget();
  (void)journal.Check();
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const auto* const file = new DamagedFile("journal", WriteJournal);
  static const auto* const state =
      new std::string(*ReadFile(file->path() + ".state"));
  InputReader reader(input);
  const bool damaged = file->Damage(reader);
  Require(WriteFile(file->path() + ".state", *state).ok(),
          "the state file is written");
  const auto journal = Journal::Open(file->path());
  if (journal.ok()) return Use(**journal, damaged);
  Require(damaged, "an undamaged journal is opened");
  Require(!absl::IsDataLoss(journal.status()) ||
              absl::StrContains(journal.status().message(), "acknowledged"),
          "a refusal says what was acknowledged");
  Require(!journal.status().message().empty(), "a refusal has a text");
}

}  // namespace sluice

// A damaged journal is opened, or is rejected with a status. All entries that
// can still be read are replayed, quarantined and released without a crash. An
// undamaged journal has all its entries.
//
// Input: how to damage the file (damaged_file.h).

#include <memory>
#include <string>
#include <vector>

#include "forms/content.h"
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
  Require((*journal)->Quarantine(1, "reason", 3).ok(), "one is quarantined");
  in_use();
}

void Use(Journal& journal, bool damaged) {
  std::vector<std::int64_t> positions;
  const absl::Status replayed = journal.Replay([&](const JournalEntry& entry) {
    Require(positions.empty() || positions.back() < entry.position,
            "entries come in order");
    positions.push_back(entry.position);
  });
  const auto quarantine = journal.ListQuarantine(0, 10, true);
  if (!damaged) {
    Require(replayed.ok() && positions.size() == kEntries - 1 &&
                quarantine.ok() && quarantine->size() == 1,
            "an undamaged journal has all that was put in");
  }
  (void)journal.LastSequence();
  (void)journal.FindQuarantined("STUDY-1",
                                std::vector<std::string>{"id-1", "id-2"});
  (void)journal.Quarantine(2, "reason", 3);
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
  InputReader reader(input);
  const bool damaged = file->Damage(reader);
  const auto journal = Journal::Open(file->path());
  if (journal.ok()) return Use(**journal, damaged);
  Require(damaged, "an undamaged journal is opened");
  Require(!journal.status().message().empty(), "a refusal has a text");
}

}  // namespace sluice

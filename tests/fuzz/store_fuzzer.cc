// A damaged SQLite store is opened, or is rejected with a status. All
// submissions that can still be read are found and listed, and batches are
// stored or rejected, without a crash. An undamaged store has all its
// submissions.
//
// Input: how to damage the file (damaged_file.h).

#include <memory>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "stores/sqlite_store.h"
#include "tests/fuzz/damaged_file.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr std::size_t kSubmissions = 4;

Submission MakeSubmission(std::int64_t sequence) {
  Submission submission;
  submission.sequence = sequence;
  submission.study_id = "STUDY-1";
  submission.submission_id = absl::StrCat("id-", sequence);
  submission.content = absl::StrCat("content of ", sequence);
  submission.content_sha256 = Sha256(submission.content);
  submission.received_at = absl::FromUnixSeconds(1'700'000'000 + sequence);
  submission.subject = "Patient/1";
  submission.answers_json = R"([{"link_id":"1","type":"integer","value":1}])";
  return submission;
}

absl::StatusOr<std::unique_ptr<SqliteStore>> OpenStore(
    const std::string& path) {
  return SqliteStore::Open(
      {.path = path, .busy_timeout = absl::Milliseconds(1)},
      [](SubmissionKind, std::string_view a, std::string_view b) {
        return a == b;
      });
}

void WriteStore(const std::string& path, const std::function<void()>& in_use) {
  const auto store = OpenStore(path);
  Require(store.ok(), "the store is created");
  std::vector<Submission> batch;
  for (std::size_t i = 1; i <= kSubmissions; ++i) {
    batch.push_back(MakeSubmission(static_cast<std::int64_t>(i)));
  }
  std::vector<Saved> saved(batch.size());
  Require((*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok(),
          "a batch is stored");
  in_use();
}

void Use(SqliteStore& store, bool damaged) {
  (void)store.LastSequence();
  const auto receipts = store.FindReceipts(
      "STUDY-1", std::vector<std::string>{"id-1", "id-4", "id-5"});
  std::size_t found = 0;
  std::int64_t after = 0;
  bool complete = false;
  // Limit the number of pages, because a damaged file might never report the
  // last page.
  for (int pages = 0; pages < 10 && !complete; ++pages) {
    const auto page = store.Read(after, 2, 1 << 20);
    if (!page.ok() || page->submissions.empty()) break;
    found += page->submissions.size();
    after = page->submissions.back().sequence;
    complete = page->last;
  }
  if (!damaged) {
    Require(receipts.ok() && (*receipts)[0] && (*receipts)[1] &&
                !(*receipts)[2] && found == kSubmissions && complete,
            "an undamaged store has all that was put in");
  }
  Submission conflict = MakeSubmission(2);
  conflict.sequence = 98;
  conflict.content = "another content";
  const std::vector<Submission> batch = {MakeSubmission(97), conflict};
  std::vector<Saved> saved(batch.size());
  (void)store.SaveBatch(batch, absl::MakeSpan(saved));
  (void)store.Check();
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const auto* const file = new DamagedFile("store", WriteStore);
  InputReader reader(input);
  const bool damaged = file->Damage(reader);
  const auto store = OpenStore(file->path());
  if (store.ok()) return Use(**store, damaged);
  Require(damaged, "an undamaged store is opened");
  Require(!store.status().message().empty(), "a refusal has a text");
}

}  // namespace sluice

// Helpers for tests of journals: they make entries, and read the content of a
// journal.

#ifndef SLUICE_TESTS_STORES_JOURNAL_FIXTURE_H_
#define SLUICE_TESTS_STORES_JOURNAL_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "gtest/gtest.h"
#include "stores/journal.h"
#include "tests/stores/store_fixture.h"

namespace sluice {

inline JournalEntry MakeEntry(std::int64_t sequence,
                              std::string content = "content") {
  JournalEntry entry{
      .method = "ImportPatients",
      .submission = MakeSubmission(sequence, absl::StrCat("id-", sequence),
                                   std::move(content))};
  // A journal verifies the SHA-256 of each content.
  entry.submission.content_sha256 = Sha256(entry.submission.content);
  return entry;
}

// Appends the entries as one group, and sets their positions.
inline absl::Status AppendGroup(Journal& journal,
                                std::vector<JournalEntry>& entries) {
  std::vector<NewJournalEntry> added;
  added.reserve(entries.size());
  for (const JournalEntry& entry : entries) {
    added.push_back({entry.method, &entry.submission});
  }
  const absl::StatusOr<std::int64_t> first = journal.Append(added);
  std::int64_t position = first.value_or(0);
  for (JournalEntry& entry : entries) entry.position = position++;
  return first.status();
}

// Appends a group of entries with the sequence numbers `first` to `last`, which
// must succeed. Returns their positions.
inline std::vector<std::int64_t> AppendRange(Journal& journal,
                                             std::int64_t first,
                                             std::int64_t last,
                                             const std::string& content) {
  std::vector<JournalEntry> entries;
  for (std::int64_t sequence = first; sequence <= last; ++sequence) {
    entries.push_back(MakeEntry(sequence, content));
  }
  const absl::Status status = AppendGroup(journal, entries);
  EXPECT_TRUE(status.ok()) << status;
  std::vector<std::int64_t> positions;
  for (const JournalEntry& entry : entries) positions.push_back(entry.position);
  return positions;
}

inline absl::Status QuarantineOne(Journal& journal, std::int64_t position,
                                  std::string reason, int tries) {
  const UnstorableEntry entry{
      .position = position, .reason = std::move(reason), .tries = tries};
  return journal.Quarantine({&entry, 1}).front();
}

inline std::vector<JournalEntry> Replay(Journal& journal) {
  std::vector<JournalEntry> entries;
  const absl::Status status = journal.Replay(
      [&](JournalEntry entry) { entries.push_back(std::move(entry)); });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &JournalEntry::position));
  return entries;
}

// Returns the sequence numbers of the replayed entries, in the order of the
// journal.
inline std::vector<std::int64_t> SequencesOf(Journal& journal) {
  std::vector<std::int64_t> sequences;
  for (const JournalEntry& entry : Replay(journal)) {
    sequences.push_back(entry.submission.sequence);
  }
  return sequences;
}

// Copies the files of the journal at `path` to a new folder, as a kill of its
// process would leave them. Returns the path of the copy.
inline std::string CopyAfterKill(const std::string& path,
                                 const std::string& folder) {
  std::filesystem::create_directories(folder);
  const std::string copy = absl::StrCat(folder, "/journal.db");
  for (const char* suffix : {"", "-wal", ".state"}) {
    if (!std::filesystem::exists(path + suffix)) continue;
    std::ofstream(copy + suffix, std::ios::binary) << FileBytes(path + suffix);
  }
  return copy;
}

// Copies the journal with CopyAfterKill, and opens the copy.
inline std::unique_ptr<Journal> OpenAfterKill(const std::string& path,
                                              const std::string& folder) {
  auto journal = Journal::Open(CopyAfterKill(path, folder));
  EXPECT_TRUE(journal.ok()) << journal.status();
  return *std::move(journal);
}

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_JOURNAL_FIXTURE_H_

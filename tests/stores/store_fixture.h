// Helpers for tests of stores: temporary folders, submissions, concurrent
// callers, and a plain SQLite connection to inspect files from outside.

#ifndef SLUICE_TESTS_STORES_STORE_FIXTURE_H_
#define SLUICE_TESTS_STORES_STORE_FIXTURE_H_

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "stores/store.h"

namespace sluice {

// A new folder. It is removed with its content on destruction.
class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "/sluice_stores_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }

  std::string operator/(std::string_view name) const {
    return (path_ / name).string();
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return (std::ostringstream() << file.rdbuf()).str();
}

// Reads and writes a database like the sqlite3 shell.
class Shell {
 public:
  using Rows = std::vector<std::vector<std::string>>;

  explicit Shell(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;
  ~Shell() { sqlite3_close(db_); }

  // Returns the rows of all statements, with each column as text.
  Rows Run(const std::string& sql) {
    Rows rows;
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), AddRow, &rows, &error), SQLITE_OK)
        << (error == nullptr ? "" : error);
    sqlite3_free(error);
    return rows;
  }

 private:
  static int AddRow(void* rows, int columns, char** values, char**) {
    auto& row = static_cast<Rows*>(rows)->emplace_back();
    for (int i = 0; i < columns; ++i) {
      row.emplace_back(values[i] == nullptr ? "NULL" : values[i]);
    }
    return 0;
  }

  sqlite3* db_ = nullptr;
};

// Returns digests that are equal for equal contents only. They are not SHA-256,
// because stores do not compute hashes.
inline Sha256Digest FakeDigest(std::string_view content) {
  Sha256Digest digest;
  std::size_t hash = std::hash<std::string_view>()(content);
  for (std::uint8_t& byte : digest) {
    byte = static_cast<std::uint8_t>(hash);
    hash = hash * 31 + 7;
  }
  return digest;
}

inline Submission MakeSubmission(std::int64_t sequence, std::string id,
                                 std::string content = "content") {
  Submission submission;
  submission.sequence = sequence;
  submission.study_id = "study";
  submission.submission_id = std::move(id);
  submission.content_sha256 = FakeDigest(content);
  submission.content = std::move(content);
  submission.received_at =
      absl::FromUnixMicros(1700000000000000 + sequence * 1000);
  return submission;
}

// Returns a submission that has a value in every field.
inline Submission EveryField(std::int64_t sequence, std::string id,
                             std::string content = "content") {
  Submission s = MakeSubmission(sequence, std::move(id), std::move(content));
  s.kind = SubmissionKind::kPatientRecord;
  s.site_id = "site-1";
  s.subject = "Patient/7";
  s.questionnaire = "http://example.org/q|1.0";
  s.status = "amended";
  s.authored = "2024-03-01T20:15:30+01:00";
  s.authored_at = absl::FromUnixSeconds(1709320530);
  s.sent_at = absl::FromUnixMillis(1709320531250);
  s.received_at = absl::FromUnixMicros(1709320532000001);
  s.supersedes_submission_id = "id-0";
  s.reason_for_change = "typing error";
  s.answers_json = R"([{"link_id": "1"}])";
  return s;
}

inline void ExpectEqual(const ReceivedSubmission& a,
                        const ReceivedSubmission& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.study_id, b.study_id);
  EXPECT_EQ(a.submission_id, b.submission_id);
  EXPECT_EQ(a.site_id, b.site_id);
  EXPECT_EQ(a.content, b.content);
  EXPECT_EQ(a.content_sha256, b.content_sha256);
  EXPECT_EQ(a.received_at, b.received_at);
  EXPECT_EQ(a.sent_at, b.sent_at);
}

inline void ExpectEqual(const Submission& a, const Submission& b) {
  ExpectEqual(static_cast<const ReceivedSubmission&>(a),
              static_cast<const ReceivedSubmission&>(b));
  EXPECT_EQ(a.subject, b.subject);
  EXPECT_EQ(a.questionnaire, b.questionnaire);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.authored, b.authored);
  EXPECT_EQ(a.authored_at, b.authored_at);
  EXPECT_EQ(a.supersedes_submission_id, b.supersedes_submission_id);
  EXPECT_EQ(a.reason_for_change, b.reason_for_change);
  EXPECT_EQ(a.answers_json, b.answers_json);
}

// A SameContent: contents are the same if they are equal in lower case.
inline bool SameInLowerCase(SubmissionKind /*kind*/, std::string_view a,
                            std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

// Saves submissions with the ids id-0, id-1 and so on, in ten batches, and
// looks them up. Several threads may call this function at the same time, each
// with its own order of ids. Adds the number of newly stored submissions to
// `stored`.
inline void SaveTheSameIds(Store& store, int ids, bool backwards,
                           std::atomic<std::int64_t>& sequence,
                           std::atomic<int>& stored) {
  const int batch_size = ids / 10;
  for (int first = 0; first < ids; first += batch_size) {
    std::vector<Submission> batch;
    std::vector<std::string> batch_ids;
    for (int i = first; i < first + batch_size; ++i) {
      batch_ids.push_back(absl::StrCat("id-", i));
      batch.push_back(
          MakeSubmission(++sequence, batch_ids.back(), batch_ids.back()));
    }
    if (backwards) {
      std::ranges::reverse(batch_ids);
      std::ranges::reverse(batch);
    }
    std::vector<Saved> saved(batch.size());
    const absl::Status status = store.SaveBatch(batch, absl::MakeSpan(saved));
    ASSERT_TRUE(status.ok()) << status;
    const auto receipts = store.FindReceipts("study", batch_ids);
    ASSERT_TRUE(receipts.ok()) << receipts.status();
    for (std::size_t i = 0; i < saved.size(); ++i) {
      ASSERT_NE(saved[i].result, Saved::Result::kConflict);
      stored += saved[i].result == Saved::Result::kStored ? 1 : 0;
      ASSERT_TRUE(receipts->at(i).has_value());
      ASSERT_EQ(receipts->at(i)->sequence, saved[i].sequence);
    }
    EXPECT_TRUE(store.Check().ok());
  }
}

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_STORE_FIXTURE_H_

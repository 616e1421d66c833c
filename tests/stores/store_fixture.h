// Helpers for tests of stores on disk: temporary folders, submissions, and a
// plain SQLite connection to inspect files from outside.

#ifndef SLUICE_TESTS_STORES_STORE_FIXTURE_H_
#define SLUICE_TESTS_STORES_STORE_FIXTURE_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// Returns equal digests for equal contents only. It is no SHA-256: stores do
// not compute hashes.
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

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_STORE_FIXTURE_H_

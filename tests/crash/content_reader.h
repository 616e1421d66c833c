// Reads stored submissions without the server. To audit another kind of store,
// start here.

#ifndef SLUICE_TESTS_CRASH_CONTENT_READER_H_
#define SLUICE_TESTS_CRASH_CONTENT_READER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/crash/audit.h"

namespace sluice {

// Not thread-safe.
class ContentReader {
 public:
  virtual ~ContentReader() = default;

  // Adds all stored submissions and conflicts.
  virtual absl::Status ReadAll(FindingsByKey& findings) = 0;
  // Adds the submissions and conflicts that are stored under one key.
  virtual absl::Status Read(const LedgerKey& key, Findings& findings) = 0;
};

// Opens the file of a store of kind `sqlite`. A server may be using the file at
// the same time. If no server uses the file, SQLite recovers it. Returns
// UNAVAILABLE if the file does not exist.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenSqliteContent(
    const std::string& path);

// Opens the database of a store of kind `postgres`. Returns UNAVAILABLE if the
// database cannot be reached.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenPostgresContent(
    const std::string& url);

// Opens the quarantine in the journal at `path`, under the same conditions as
// OpenSqliteContent.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenQuarantineContent(
    const std::string& path);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CONTENT_READER_H_

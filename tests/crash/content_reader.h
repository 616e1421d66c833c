// Reads what a server has kept, past the server. Start here for the audit of
// another kind of store.

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

  // Adds all that is there.
  virtual absl::Status ReadAll(FindingsByKey& findings) = 0;
  // Adds what is there under one key.
  virtual absl::Status Read(const LedgerKey& key, Findings& findings) = 0;
};

// What the store of kind `sqlite` at `path` has. A server may be at work on it;
// where there is none, SQLite tidies the file up. UNAVAILABLE where there is no
// such file.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenSqliteContent(
    const std::string& path);

// What the store of kind `postgres` in the database at `url` has. UNAVAILABLE
// where it cannot be reached.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenPostgresContent(
    const std::string& url);

// What is in quarantine in the journal at `path`; what holds for
// OpenSqliteContent does here too.
absl::StatusOr<std::unique_ptr<ContentReader>> OpenQuarantineContent(
    const std::string& path);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CONTENT_READER_H_

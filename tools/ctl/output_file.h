// A file that is written completely or not at all.

#ifndef SLUICE_TOOLS_CTL_OUTPUT_FILE_H_
#define SLUICE_TOOLS_CTL_OUTPUT_FILE_H_

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sluice {

// Writes to `<path>.partial-XXXXXX`, which only the file's owner can read,
// until Commit renames it. Movable. Not thread-safe. Errors contain the
// system's reason, not the path.
class OutputFile {
 public:
  // Creates the temporary file, or uses standard output if `path` is empty.
  // Returns FAILED_PRECONDITION if `path` exists and is not a regular file.
  static absl::StatusOr<OutputFile> Create(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  // Removes the temporary file, unless it was committed.
  ~OutputFile();

  // Writes bytes. Returns false if they cannot be written. Then status() and
  // Commit() return the reason.
  bool Write(absl::string_view bytes);
  const absl::Status& status() const { return status_; }

  // Syncs the file and renames it to the path, replacing a file of that name.
  // Must be called once.
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, std::FILE* file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file) {}

  absl::Status Finish();

  std::string path_;       // empty for standard output
  std::string temporary_;  // empty if there is none, or it was renamed
  std::FILE* file_;        // null after Commit
  absl::Status status_;    // result of the writes
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_OUTPUT_FILE_H_

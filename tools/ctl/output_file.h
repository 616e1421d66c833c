// A file that is there whole or not at all.

#ifndef SLUICE_TOOLS_CTL_OUTPUT_FILE_H_
#define SLUICE_TOOLS_CTL_OUTPUT_FILE_H_

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sluice {

// What is written goes to `<path>.partial-XXXXXX`, for its owner alone to read,
// until Commit gives it its name. Movable, not thread-safe. Errors tell the
// system's reason and no path.
class OutputFile {
 public:
  // Standard output where `path` is empty: that has no temporary file.
  // FAILED_PRECONDITION where something else than a file has the name.
  static absl::StatusOr<OutputFile> Create(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  // Removes the temporary file, unless it was committed.
  ~OutputFile();

  // False where it could not be written; status and Commit then say why.
  bool Write(absl::string_view bytes);
  const absl::Status& status() const { return status_; }

  // All is on disk under the path, where something else may have been. Once.
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, std::FILE* file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file) {}

  absl::Status Finish();

  std::string path_;       // empty: standard output
  std::string temporary_;  // empty: there is none any more
  std::FILE* file_;        // null after Commit
  absl::Status status_;    // of the writes
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_OUTPUT_FILE_H_

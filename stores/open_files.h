// Notices when open files are removed or replaced. Writes to such a file still
// succeed, but are lost when the process ends.

#ifndef SLUICE_STORES_OPEN_FILES_H_
#define SLUICE_STORES_OPEN_FILES_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// The identities (device and inode) of some open files. While a file is open,
// no other file can get its identity. Constant after construction, thread-safe.
class OpenFiles {
 public:
  // Records the files at `paths`, which must be open already and must stay open
  // as long as this object is used. UNAVAILABLE if a path leads to no file.
  static absl::StatusOr<OpenFiles> At(const std::vector<std::string>& paths);

  // Returns OK if each path still leads to the file that was recorded.
  // Otherwise UNAVAILABLE with the first path that does not. Costs one stat(2)
  // for each file.
  absl::Status Check() const;

 private:
  struct File {
    std::string path;
    dev_t device;
    ino_t inode;
  };

  std::vector<File> files_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_OPEN_FILES_H_

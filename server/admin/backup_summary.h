// The result of a backup.

#ifndef SLUICE_SERVER_ADMIN_BACKUP_SUMMARY_H_
#define SLUICE_SERVER_ADMIN_BACKUP_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

struct BackupSummary {
  struct File {
    std::string name;
    // Key of the configuration with the path to which the file is restored.
    // Empty for a file that belongs to the file before it.
    std::string key;
    std::int64_t bytes = 0;
  };

  std::string directory;  // absolute path on the server
  std::vector<File> files;
  // False if the store is not a local file, so that the backup has the journals
  // only.
  bool has_store = false;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_BACKUP_SUMMARY_H_

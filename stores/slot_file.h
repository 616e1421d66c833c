// A small file that is overwritten often and that survives a torn write. It has
// two slots in different blocks of the disk, which are written in turn. A slot
// holds a record of a fixed size. The owner of the file gives each record a
// checksum, and decides which of two valid records is the newer one.

#ifndef SLUICE_STORES_SLOT_FILE_H_
#define SLUICE_STORES_SLOT_FILE_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Movable, not thread-safe.
class SlotFile {
 public:
  static constexpr std::size_t kSlots = 2;

  struct Content {
    bool file_exists = false;
    // The bytes of each slot. Shorter than a record if the file is too short.
    std::array<std::string, kSlots> slots;
  };

  // Reads the file at `path`. UNAVAILABLE if the file exists and cannot be
  // read.
  static absl::StatusOr<Content> Read(const std::string& path,
                                      std::size_t record_bytes);

  // Opens the file at `path` for writing. Creates the file if it is missing,
  // with access for its owner only. UNAVAILABLE if this fails.
  static absl::StatusOr<SlotFile> Open(const std::string& path);

  SlotFile(SlotFile&& other) noexcept;
  SlotFile& operator=(SlotFile&& other) = delete;
  ~SlotFile();

  // Writes a record, without a sync. UNAVAILABLE if this fails; the other slot
  // is then unchanged.
  absl::Status Write(std::size_t slot, std::string_view record);
  // Syncs the file and its directory.
  absl::Status Sync();

 private:
  SlotFile(std::string path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SLOT_FILE_H_

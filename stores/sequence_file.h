// A second place for the highest sequence number of a store: a small file
// beside the store or a journal. If the store is replaced by an older copy, the
// file tells which numbers are missing, and no number is assigned twice.
//
// The number is written after the commit of each batch, and before the callers
// are answered. It is not synced each time. After a power cut the number may
// therefore be lower than the highest number in the store, but it is never
// higher.

#ifndef SLUICE_STORES_SEQUENCE_FILE_H_
#define SLUICE_STORES_SEQUENCE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/slot_file.h"

namespace sluice {

// Movable, not thread-safe.
class SequenceFile {
 public:
  struct Content {
    bool file_exists = false;
    // The number, or nothing if the file has no valid slot.
    std::optional<std::int64_t> last;
  };

  // Reads the file at `path`. UNAVAILABLE if the file exists and cannot be
  // read.
  static absl::StatusOr<Content> Read(const std::string& path);

  // Opens the file for writing, and writes and syncs the number `last`. Creates
  // the file if it is missing. UNAVAILABLE if this fails.
  static absl::StatusOr<SequenceFile> Open(const std::string& path,
                                           std::int64_t last);

  // Writes the number, without a sync. UNAVAILABLE if this fails; the file
  // still has the number that was written before.
  absl::Status Write(std::int64_t last);

 private:
  explicit SequenceFile(SlotFile slots) : slots_(std::move(slots)) {}

  SlotFile slots_;
  std::size_t next_slot_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SEQUENCE_FILE_H_

// A second place for the highest sequence numbers of a server: a small file
// beside the store or a journal. It has two numbers:
//
//   saved     the highest number in the store. If the store is replaced by an
//             older copy, the file tells which numbers are missing.
//   assigned  the highest number that a caller may have been told, from the
//             store or from a journal. If the store or a journal is replaced by
//             an older copy, no number is assigned twice.
//
// The numbers are written after the commit of each batch of the store, before
// its callers are answered, and soon after the commit of each group of a
// journal. They are not synced each time. After a crash a number may therefore
// be lower than the highest number in the store or a journal, but it is never
// higher.
//
// Version 1 of the format has one number, which is read as both.

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
  struct Numbers {
    std::int64_t saved = 0;
    std::int64_t assigned = 0;  // at least `saved`

    bool operator==(const Numbers&) const = default;
  };
  struct Content {
    bool file_exists = false;
    // The numbers, or nothing if the file has no valid slot.
    std::optional<Numbers> last;
  };

  // Reads the file at `path`. UNAVAILABLE if the file exists and cannot be
  // read.
  static absl::StatusOr<Content> Read(const std::string& path);

  // Opens the file for writing, and writes and syncs the numbers. Creates the
  // file if it is missing. UNAVAILABLE if this fails.
  static absl::StatusOr<SequenceFile> Open(const std::string& path,
                                           const Numbers& last);

  // Writes the numbers, without a sync. UNAVAILABLE if this fails; the file
  // still has the numbers that were written before.
  absl::Status Write(const Numbers& last);

 private:
  explicit SequenceFile(SlotFile slots) : slots_(std::move(slots)) {}

  SlotFile slots_;
  std::size_t next_slot_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SEQUENCE_FILE_H_

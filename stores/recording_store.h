// A store that also records the highest sequence numbers in a second place
// (sequence_file.h): of the store, and of the journals.

#ifndef SLUICE_STORES_RECORDING_STORE_H_
#define SLUICE_STORES_RECORDING_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "stores/sequence_file.h"
#include "stores/store.h"

namespace sluice {

class RecordingStore final : public Store {
 public:
  // Wraps `store`. `paths` are the paths of sequence files, at least one. The
  // first file is written. Of each number the highest counts that a file has in
  // the series of the store's server. If the first file is missing or damaged,
  // all numbers that the store has reserved (ServerRegistry::Reserved) count as
  // assigned: the store may be an older copy, without its file. UNAVAILABLE if
  // a file cannot be read or written. Also returns errors of
  // Store::LastSequence and ServerRegistry::Reserved.
  static absl::StatusOr<std::unique_ptr<RecordingStore>> Open(
      std::unique_ptr<Store> store, absl::Span<const std::string> paths);

  // Describes sequence numbers that the store no longer has, or damage of the
  // sequence file. Empty if neither was found when this object was opened.
  const std::string& missing() const { return missing_; }

  // After a batch is saved, its highest number is recorded. If that fails, the
  // batch is saved all the same, and Check reports the failure.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  // Returns the highest number that the store has or had, or that was recorded
  // as assigned.
  absl::StatusOr<std::int64_t> LastSequence() override;
  // If the number cannot be recorded, Check reports the failure.
  void RecordAssigned(std::int64_t sequence) override;
  absl::Status Check() override;

  // The following calls are forwarded.
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    return store_->FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override {
    return store_->Read(after, max, max_bytes);
  }
  absl::Status Backup(const std::string& path, const CopyPace& pace) override {
    return store_->Backup(path, pace);
  }
  absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
      absl::Span<const std::int64_t> sequences) override {
    return store_->FindOtherSequences(sequences);
  }
  ServerRegistry* registry() override { return store_->registry(); }
  std::vector<StoreHazard> Hazards() override { return store_->Hazards(); }
  std::uint32_t Generation() override { return store_->Generation(); }
  bool keeps_columns() const override { return store_->keeps_columns(); }

 private:
  RecordingStore(std::unique_ptr<Store> store, SequenceFile file,
                 const SequenceFile::Numbers& last, std::string missing)
      : store_(std::move(store)),
        missing_(std::move(missing)),
        file_(std::move(file)),
        in_file_(last),
        last_(last) {}

  // Writes last_ to the file, unless the file has it.
  void WriteFile() ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);

  // Constant after construction. Thread-safe.
  const std::unique_ptr<Store> store_;
  const std::string missing_;

  // Held over writes, which hang if the disk hangs. Locked before mutex_.
  absl::Mutex file_mutex_;
  SequenceFile file_ ABSL_GUARDED_BY(file_mutex_);
  SequenceFile::Numbers in_file_ ABSL_GUARDED_BY(file_mutex_);

  // Held briefly, never over I/O.
  absl::Mutex mutex_;
  SequenceFile::Numbers last_ ABSL_GUARDED_BY(mutex_);
  // Result of the last write of the file.
  absl::Status written_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_RECORDING_STORE_H_

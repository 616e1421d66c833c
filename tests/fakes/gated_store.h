// A store in memory that tests can block, make fail, and inspect.

#ifndef SLUICE_TESTS_FAKES_GATED_STORE_H_
#define SLUICE_TESTS_FAKES_GATED_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "stores/store.h"

namespace sluice {

// Outlives the server of the test, which uses it through a ForwardingStore.
class GatedStore final : public Store {
 public:
  // Blocks each SaveBatch until Release. Call Release before the server is
  // drained, because a blocked store also blocks the end of the test.
  void Hold();
  void Release();
  // Blocks each RecordAssigned until ReleaseRecording, like a store whose disk
  // hangs.
  void HoldRecording();
  void ReleaseRecording();
  // Makes SaveBatch and Check fail with `status`, or succeed again if `status`
  // is OK.
  void FailWith(absl::Status status);
  // Makes SaveBatch fail with `status` if the batch has a submission of this
  // id. If `status` is OK, SaveBatch succeeds again.
  void FailFor(std::string submission_id, absl::Status status);

  // Calls `hook` at the beginning of the next FindReceipts, and never again.
  void OnNextLookup(std::function<void()> hook);
  // Makes FindReceipts fail with `status`.
  void FailLookups(absl::Status status);

  // Reports conflicts as kept from now on. Until then the server must
  // quarantine conflicts that it has acknowledged.
  void KeepConflicts();
  // Gives the sequence number to a submission that the test does not see.
  void TakeSequence(std::int64_t sequence);
  // Sets the registry that the server finds in the store, which must outlive
  // the server. Also sets the number of the server.
  void UseRegistry(ServerRegistry* registry);

  // Changes the generation, as a store does that may have been replaced.
  void SetGeneration(std::uint32_t generation) { generation_ = generation; }

  // Returns the highest number that was recorded as assigned.
  std::int64_t assigned() const { return assigned_; }

  // Number of calls of FindOtherSequences.
  std::size_t other_lookups() const;

  // Waits until `count` calls of SaveBatch are in progress. Fails the test
  // after kPatience.
  void AwaitInFlight(std::size_t count);
  std::size_t peak_in_flight() const;
  // Returns the stored submissions, in the order of storing.
  std::vector<Submission> stored() const;
  // Returns the sizes of the batches, in the order in which they began.
  std::vector<std::size_t> batches() const;

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  ServerRegistry* registry() override;
  absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
      absl::Span<const std::int64_t> sequences) override;
  void RecordAssigned(std::int64_t sequence) override;
  absl::Status Check() override;
  std::uint32_t Generation() override { return generation_; }

 private:
  using Key = std::pair<std::string, std::string>;

  Saved Save(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<std::uint32_t> generation_{0};
  std::atomic<std::int64_t> assigned_{0};
  mutable absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool recording_held_ ABSL_GUARDED_BY(mutex_) = false;
  bool keeps_conflicts_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> lookup_hook_ ABSL_GUARDED_BY(mutex_);
  absl::Status lookup_failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> failures_by_id_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t peak_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::size_t> batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<Submission> stored_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, std::size_t> by_id_ ABSL_GUARDED_BY(mutex_);
  std::set<std::int64_t> taken_ ABSL_GUARDED_BY(mutex_);
  ServerRegistry* registry_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Numbers of duplicates, by the number of the first submission.
  std::map<std::int64_t, std::vector<std::int64_t>> others_
      ABSL_GUARDED_BY(mutex_);
  std::size_t other_lookups_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_GATED_STORE_H_

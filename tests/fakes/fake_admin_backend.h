// The backend of an admin service, in memory. Tests can fill it, block it and
// make it fail.

#ifndef SLUICE_TESTS_FAKES_FAKE_ADMIN_BACKEND_H_
#define SLUICE_TESTS_FAKES_FAKE_ADMIN_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "server/admin/admin_backend.h"
#include "stores/store.h"

namespace sluice {

// Returns a questionnaire response of study S. Each submission is received a
// second after the submission with the previous sequence number.
Submission StoredSubmission(std::int64_t sequence);

// A store that can only be read.
class ReadableStore final : public Store {
 public:
  void Add(Submission submission);
  void AddGap(const Gap& gap);
  // Blocks all reads until Release. Call Release before the service ends.
  void Hold();
  void Release();
  // Waits until `count` reads are blocked. Fails the test after kPatience.
  void AwaitHeld(int count);
  // Makes reads fail with `status`, or succeed again if `status` is OK.
  void FailWith(absl::Status status);
  int reads() const;

  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::Status Check() override { return absl::OkStatus(); }

 private:
  mutable absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::int64_t, Submission> submissions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::int64_t, Gap> gaps_ ABSL_GUARDED_BY(mutex_);
};

// Has two pools with a quarantine: `clinical` and `imports`.
class FakeAdminBackend final : public AdminBackend {
 public:
  void AddQuarantined(const std::string& pool, Quarantined quarantined);
  void SetLastSequence(std::int64_t last);
  void SetPending(std::vector<std::int64_t> sequences);
  // Makes RetryQuarantined fail with `status` and do nothing, or work again if
  // `status` is OK.
  void FailRetriesWith(absl::Status status);
  // Makes every ListQuarantine call `hook`, without holding a lock.
  void OnList(std::function<void()> hook);
  // Returns the submissions that were retried, in order: pool and sequence
  // number.
  std::vector<std::pair<std::string, std::int64_t>> retried() const;

  ReadableStore& readable_store() { return store_; }

  Store& store() override { return store_; }
  std::vector<std::string> QuarantinePools() override;
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(
      const std::string& pool, std::int64_t after, std::size_t max,
      bool with_content) override;
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      const std::string& pool, std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::Status RetryQuarantined(const std::string& pool,
                                std::int64_t sequence) override;
  absl::Status DiscardQuarantined(const std::string& pool,
                                  std::int64_t sequence,
                                  std::string_view reason,
                                  std::string_view by) override;
  absl::StatusOr<std::vector<Discarded>> ListDiscarded(
      const std::string& pool, std::int64_t after, std::size_t max) override;
  // Calls `go_on` once. Returns a summary of one file.
  absl::StatusOr<BackupSummary> Backup(
      const std::string& name, const std::function<bool()>& go_on) override;
  std::int64_t LastSequence() override;
  absl::StatusOr<std::vector<std::int64_t>> PendingSequences() override;

 private:
  ReadableStore store_;

  mutable absl::Mutex mutex_;
  std::map<std::string, std::map<std::int64_t, Quarantined>> quarantined_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<Discarded>> discarded_
      ABSL_GUARDED_BY(mutex_);
  std::int64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::int64_t> pending_ ABSL_GUARDED_BY(mutex_);
  absl::Status retry_status_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_list_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, std::int64_t>> retried_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_ADMIN_BACKEND_H_

// A server's inside as the admin service sees it, in memory, for a test to
// fill, hold and fail.

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

// A questionnaire response of study S with a second for each number.
Submission StoredSubmission(std::int64_t sequence);

// A store that can only be read.
class ReadableStore final : public Store {
 public:
  void Add(Submission submission);
  void AddGap(const Gap& gap);
  // From now on, reads wait until Release. Release before the service ends.
  void Hold();
  void Release();
  // Waits, at most kPatience, until `count` reads wait; a failure of the test
  // otherwise.
  void AwaitHeld(int count);
  // Reads fail with this from now on, while it is not OK.
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

// Two pools have a quarantine: "clinical" and "imports".
class FakeAdminBackend final : public AdminBackend {
 public:
  void AddQuarantined(const std::string& pool, Quarantined quarantined);
  void SetLastSequence(std::int64_t last);
  void SetPending(std::vector<std::int64_t> sequences);
  // RetryQuarantined answers so before it does anything, while it is not OK.
  void FailRetriesWith(absl::Status status);
  // Called by every ListQuarantine, without a lock.
  void OnList(std::function<void()> hook);
  // What was put back, in order.
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
  std::int64_t LastSequence() override;
  std::vector<std::int64_t> PendingSequences() override;

 private:
  ReadableStore store_;

  mutable absl::Mutex mutex_;
  std::map<std::string, std::map<std::int64_t, Quarantined>> quarantined_
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

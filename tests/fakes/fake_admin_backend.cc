#include "tests/fakes/fake_admin_backend.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"

namespace sluice {

Submission StoredSubmission(std::int64_t sequence) {
  Submission submission;
  submission.sequence = sequence;
  submission.study_id.assign(1, 'S');  // GCC 12 warns of = "S"
  submission.submission_id = absl::StrCat("id-", sequence);
  submission.content = absl::StrCat("content of ", sequence);
  submission.received_at =
      absl::FromUnixSeconds(1'700'000'000) + absl::Seconds(sequence);
  return submission;
}

// --- ReadableStore ---

void ReadableStore::Add(Submission submission) {
  absl::MutexLock lock(&mutex_);
  const std::int64_t sequence = submission.sequence;
  submissions_[sequence] = std::move(submission);
}

void ReadableStore::AddGap(const Gap& gap) {
  absl::MutexLock lock(&mutex_);
  gaps_[gap.sequence] = gap;
}

void ReadableStore::Hold() {
  absl::MutexLock lock(&mutex_);
  held_ = true;
}

void ReadableStore::Release() {
  absl::MutexLock lock(&mutex_);
  held_ = false;
}

void ReadableStore::AwaitHeld(int count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return waiting_ >= count;
  };
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience));
}

void ReadableStore::FailWith(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failure_ = std::move(status);
}

int ReadableStore::reads() const {
  absl::MutexLock lock(&mutex_);
  return reads_;
}

absl::StatusOr<StorePage> ReadableStore::Read(std::int64_t after,
                                              std::size_t max,
                                              std::size_t max_bytes) {
  absl::MutexLock lock(&mutex_);
  ++reads_;
  ++waiting_;
  const auto released = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !held_;
  };
  mutex_.Await(absl::Condition(&released));
  --waiting_;
  if (!failure_.ok()) return failure_;

  StorePage page;
  std::size_t bytes = 0;
  auto next = submissions_.upper_bound(after);
  for (; next != submissions_.end() && page.submissions.size() < max; ++next) {
    bytes += next->second.content.size();
    if (!page.submissions.empty() && bytes > max_bytes) break;
    page.submissions.push_back(next->second);
  }
  page.last = next == submissions_.end();
  const std::int64_t end = page.last ? std::numeric_limits<std::int64_t>::max()
                                     : page.submissions.back().sequence;
  for (auto gap = gaps_.upper_bound(after);
       gap != gaps_.end() && gap->first < end; ++gap) {
    page.gaps.push_back(gap->second);
  }
  return page;
}

absl::Status ReadableStore::SaveBatch(absl::Span<const Submission> /*batch*/,
                                      absl::Span<Saved> /*saved*/) {
  return absl::UnimplementedError("it can only be read");
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
ReadableStore::FindReceipts(std::string_view /*study_id*/,
                            absl::Span<const std::string> /*submission_ids*/) {
  return absl::UnimplementedError("it can only be read");
}

absl::StatusOr<std::int64_t> ReadableStore::LastSequence() {
  return absl::UnimplementedError("it can only be read");
}

// --- FakeAdminBackend ---

void FakeAdminBackend::AddQuarantined(const std::string& pool,
                                      Quarantined quarantined) {
  absl::MutexLock lock(&mutex_);
  const std::int64_t sequence = quarantined.submission.sequence;
  quarantined_[pool][sequence] = std::move(quarantined);
}

void FakeAdminBackend::SetLastSequence(std::int64_t last) {
  absl::MutexLock lock(&mutex_);
  last_sequence_ = last;
}

void FakeAdminBackend::SetPending(std::vector<std::int64_t> sequences) {
  absl::MutexLock lock(&mutex_);
  pending_ = std::move(sequences);
}

void FakeAdminBackend::FailRetriesWith(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  retry_status_ = std::move(status);
}

void FakeAdminBackend::OnList(std::function<void()> hook) {
  absl::MutexLock lock(&mutex_);
  on_list_ = std::move(hook);
}

std::vector<std::pair<std::string, std::int64_t>> FakeAdminBackend::retried()
    const {
  absl::MutexLock lock(&mutex_);
  return retried_;
}

std::vector<std::string> FakeAdminBackend::QuarantinePools() {
  return {"clinical", "imports"};
}

absl::Status FakeAdminBackend::RetryQuarantined(const std::string& pool,
                                                std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (!quarantined_[pool].contains(sequence)) {
    return absl::NotFoundError("it is not in quarantine");
  }
  if (!retry_status_.ok()) return retry_status_;
  quarantined_[pool].erase(sequence);
  retried_.emplace_back(pool, sequence);
  return absl::OkStatus();
}

std::int64_t FakeAdminBackend::LastSequence() {
  absl::MutexLock lock(&mutex_);
  return last_sequence_;
}

absl::Status FakeAdminBackend::DiscardQuarantined(const std::string& pool,
                                                  std::int64_t sequence,
                                                  std::string_view reason,
                                                  std::string_view by) {
  absl::MutexLock lock(&mutex_);
  const auto node = quarantined_[pool].extract(sequence);
  if (node.empty()) return absl::NotFoundError("not in quarantine");
  std::vector<Discarded>& records = discarded_[pool];
  records.push_back({.number = static_cast<std::int64_t>(records.size()) + 1,
                     .quarantined = node.mapped(),
                     .content_bytes = 0,
                     .reason = std::string(reason),
                     .by = std::string(by),
                     .at = absl::UnixEpoch()});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Discarded>> FakeAdminBackend::ListDiscarded(
    const std::string& pool, std::int64_t after, std::size_t max) {
  absl::MutexLock lock(&mutex_);
  std::vector<Discarded> page;
  for (const Discarded& record : discarded_[pool]) {
    if (record.number > after && page.size() < max) page.push_back(record);
  }
  return page;
}

absl::StatusOr<std::vector<std::int64_t>> FakeAdminBackend::PendingSequences() {
  absl::MutexLock lock(&mutex_);
  return pending_;
}

absl::StatusOr<std::vector<Quarantined>> FakeAdminBackend::ListQuarantine(
    const std::string& pool, std::int64_t after, std::size_t max,
    bool with_content) {
  std::function<void()> hook;
  std::vector<Quarantined> entries;
  {
    absl::MutexLock lock(&mutex_);
    hook = on_list_;
    const auto& all = quarantined_[pool];
    for (auto next = all.upper_bound(after);
         next != all.end() && entries.size() < max; ++next) {
      entries.push_back(next->second);
      if (!with_content) entries.back().submission.content.clear();
    }
  }
  if (hook) hook();
  return entries;
}

absl::StatusOr<BackupSummary> FakeAdminBackend::Backup(
    const std::string& name, const std::function<bool()>& go_on) {
  if (name.empty()) return absl::InvalidArgumentError("no name");
  if (!go_on()) return absl::CancelledError("cancelled");
  return BackupSummary{
      .directory = "/backups/" + name,
      .files = {{.name = "store.db", .key = "store.path", .bytes = 7}},
      .has_store = true};
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
FakeAdminBackend::FindQuarantined(
    const std::string& pool, std::string_view study_id,
    absl::Span<const std::string> submission_ids) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::optional<Quarantined>> found;
  for (const std::string& id : submission_ids) {
    std::optional<Quarantined>& one = found.emplace_back();
    for (const auto& [sequence, quarantined] : quarantined_[pool]) {
      if (quarantined.submission.study_id == study_id &&
          quarantined.submission.submission_id == id) {
        one = quarantined;
        one->submission.content.clear();  // lists have no content
      }
    }
  }
  return found;
}

}  // namespace sluice

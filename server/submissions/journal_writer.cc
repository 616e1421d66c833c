#include "server/submissions/journal_writer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/scheduling.h"
#include "server/submissions/submission_task.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Done entries are forgotten by the next append, or after this time if there is
// no append.
constexpr absl::Duration kForgetAfter = absl::Milliseconds(500);
// Interval between two measurements of the free space of the disk.
constexpr absl::Duration kMeasureEvery = absl::Seconds(1);
// Maximum number of tasks in one append, so that the first task does not wait
// for long.
constexpr std::size_t kGroupMax = 4096;

absl::Status DiskLow() {
  return absl::UnavailableError(
      "the disk of the journal has less free space than min_free_disk");
}

absl::Status NumbersUsedUp() {
  return absl::UnavailableError(
      "the reserved sequence numbers are used up, and the store is"
      " unavailable");
}

}  // namespace

JournalWriter::JournalWriter(const Uses& uses)
    : journal_(uses.journal),
      disk_(uses.disk),
      numbers_(uses.numbers),
      new_numbers_(uses.new_numbers),
      assigned_(uses.assigned),
      pool_(uses.pool),
      clock_(uses.clock),
      metrics_(uses.metrics) {
  thread_ = std::thread([this] { Run(); });
}

JournalWriter::~JournalWriter() { Join(); }

void JournalWriter::Add(std::shared_ptr<SubmissionTask> task) {
  SLUICE_DCHECK(task->stage() == SubmissionTask::Stage::kCommitting);
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK(!joining_);
  waiting_.push_back(std::move(task));
  // If other tasks wait, the writer has been woken already, or is busy and will
  // check again.
  if (waiting_.size() == 1) changed_.Signal();
}

void JournalWriter::MarkDone(std::int64_t position) {
  SLUICE_DCHECK_GT(position, 0);
  journal_->MarkDone(position);
  metrics_->CountForgotten(1);
  absl::MutexLock lock(&mutex_);
  ReleaseNewNumber(position);
  if (!marked_) changed_.Signal();
  marked_ = true;
}

std::vector<absl::Status> JournalWriter::Quarantine(
    absl::Span<const UnstorableEntry> entries) {
  std::vector<absl::Status> results = journal_->Quarantine(entries);
  if (std::ranges::any_of(results, absl::IsAlreadyExists)) {
    QuarantineRenumbered(entries, &results);
  }
  {
    absl::MutexLock lock(&mutex_);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (results[i].ok()) ReleaseNewNumber(entries[i].position);
    }
  }
  metrics_->CountForgotten(static_cast<std::size_t>(
      std::ranges::count_if(results, &absl::Status::ok)));
  metrics_->SetQuarantined(journal_->quarantined(),
                           journal_->quarantined_bytes(), journal_->damaged());
  return results;
}

void JournalWriter::QuarantineRenumbered(
    absl::Span<const UnstorableEntry> entries,
    std::vector<absl::Status>* results) {
  std::vector<UnstorableEntry> again;
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!absl::IsAlreadyExists((*results)[i])) continue;
    again.push_back(entries[i]);
    again.back().new_sequence = NewNumberOf(entries[i].position);
    indices.push_back(i);
  }
  const std::vector<absl::Status> renumbered = journal_->Quarantine(again);
  for (std::size_t i = 0; i < again.size(); ++i) {
    (*results)[indices[i]] = renumbered[i];
  }
}

std::int64_t JournalWriter::NewNumberOf(std::int64_t position) {
  absl::MutexLock lock(&mutex_);
  const auto [it, is_new] = renumbered_.try_emplace(position);
  if (is_new) {
    it->second = new_numbers_->Take();
    assigned_->Record(it->second);
  }
  return it->second;
}

void JournalWriter::ReleaseNewNumber(std::int64_t position) {
  const auto it = renumbered_.find(position);
  if (it == renumbered_.end()) return;
  new_numbers_->Done(it->second);
  renumbered_.erase(it);
}

std::optional<TaskResult> JournalWriter::RefusalOfPromise(
    std::string_view study_id) const {
  if (disk_->low()) return TaskResult::kDiskFull;
  if (numbers_->used_up()) return TaskResult::kNumbersUsedUp;
  if (!journal_->MayPromise(study_id)) return TaskResult::kQuarantineFull;
  return std::nullopt;
}

absl::Status JournalWriter::CheckReserves() const {
  if (disk_->low()) return DiskLow();
  return numbers_->used_up() ? NumbersUsedUp() : absl::OkStatus();
}

void JournalWriter::Join() {
  {
    absl::MutexLock lock(&mutex_);
    joining_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void JournalWriter::Run() {
  PreferThroughput();
  Group pending;
  std::size_t ready = 0;
  bool forget = false;
  while (Wait(&pending, ready, &forget)) {
    if (forget) Forget();
    MeasureDisk();
    ready = Sort(&pending);
    if (ready == 0) continue;
    const auto end = pending.begin() + static_cast<std::ptrdiff_t>(ready);
    Group group(std::make_move_iterator(pending.begin()),
                std::make_move_iterator(end));
    pending.erase(pending.begin(), end);
    Commit(&group);
    ready = pending.size();
  }
  SLUICE_DCHECK(pending.empty());
  Forget();
}

bool JournalWriter::Wait(Group* pending, std::size_t ready, bool* forget) {
  *forget = false;
  absl::MutexLock lock(&mutex_);
  while (waiting_.empty() && ready == 0 && !joining_) {
    const bool marked = marked_;
    if (!changed_.WaitWithTimeout(&mutex_,
                                  marked ? kForgetAfter : kMeasureEvery)) {
      continue;
    }
    *forget = marked;
    break;
  }
  if (waiting_.empty() && ready == 0 && joining_) return false;
  // An append also removes the marked entries.
  marked_ = false;
  std::ranges::move(waiting_, std::back_inserter(*pending));
  waiting_.clear();
  return true;
}

std::size_t JournalWriter::Sort(Group* pending) const {
  // The pool assigns sequence numbers under its lock, but two threads may call
  // Add in the opposite order. Entries must be appended in the order of
  // admission, because a replay offers them in the order of the journal. Tasks
  // must be committed in the same order, because workers take committed tasks.
  // Every admitted task is added at once, so tasks behind a missing task wait
  // only for a moment.
  std::ranges::sort(*pending, {},
                    [](const auto& task) { return task->sequence; });
  std::vector<Task*> first;
  first.reserve(std::min(pending->size(), kGroupMax));
  for (const auto& task : *pending) {
    if (first.size() == kGroupMax) break;
    first.push_back(task.get());
  }
  return pool_->FirstCommitting(first);
}

void JournalWriter::Commit(Group* group) {
  std::vector<NewJournalEntry> entries;
  std::vector<Task*> tasks;
  entries.reserve(group->size());
  tasks.reserve(group->size());
  for (const auto& task : *group) {
    entries.push_back(task->ToJournal());
    tasks.push_back(task.get());
  }
  const TimePoint begun = clock_->Now();
  const absl::StatusOr<std::int64_t> first = Append(entries);
  metrics_->ObserveCommit(clock_->Now() - begun, group->size());
  if (first.ok()) {
    metrics_->CountAppended(group->size());
    // Acknowledge the tasks before workers may take them. Otherwise callers
    // would wait for the workers' use of the processor, and a worker could end
    // a task whose position is not set.
    {
      const CompletionLoop::PostBatch batch;
      std::int64_t position = *first;
      for (const auto& task : *group) task->OnCommitted(position++);
    }
    pool_->Committed(tasks);
    return;
  }
  if (const std::size_t times = append_pace_.Count(clock_->Now()); times > 0) {
    spdlog::warn("journal failed: batch={} times={} status={}", group->size(),
                 times, first.status().ToString());
  }
  // Call the pool first, because OnCommitFailed releases the pool's reference
  // to the task.
  pool_->CommitFailed(tasks);
  for (const auto& task : *group) task->OnCommitFailed();
}

absl::StatusOr<std::int64_t> JournalWriter::Append(
    const std::vector<NewJournalEntry>& group) {
  // Usually a task is refused before it is admitted, but a task may have been
  // parked or queued before the disk ran low or the numbers were used up.
  if (disk_->low()) return DiskLow();
  // The last task has the highest number.
  if (!numbers_->Covers(group.back().submission->sequence)) {
    return NumbersUsedUp();
  }
  absl::StatusOr<std::int64_t> first = journal_->Append(group);
  // The callers do not wait until the store has recorded their numbers: the
  // disk of the store may hang.
  if (first.ok()) assigned_->Record(group.back().submission->sequence);
  return first;
}

void JournalWriter::MeasureDisk() {
  const auto now = std::chrono::steady_clock::now();
  if (now < measure_at_) return;
  measure_at_ = now + absl::ToChronoNanoseconds(kMeasureEvery);
  if (const auto free = disk_->Measure()) metrics_->SetFreeDisk(*free);
}

void JournalWriter::Forget() {
  const absl::Status status = journal_->Forget();
  if (status.ok()) return;
  if (const std::size_t times = forget_pace_.Count(clock_->Now()); times > 0) {
    spdlog::warn("journal failed: forgetting times={} status={}", times,
                 status.ToString());
  }
}

}  // namespace sluice

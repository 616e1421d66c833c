#include "server/submissions/submission_processor.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "server/submissions/decode.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/task_failure.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Returns the number of tries. A caller that waits for the result is answered
// after the first failure, so there is only one try.
int TriesMax(const SubmissionTask& task) {
  return task.promised ? SubmissionProcessor::kTriesMax : 1;
}

std::string CodeOf(const absl::Status& status) {
  return absl::StatusCodeToString(status.code());
}

bool SequenceTaken(const Saved& saved) {
  return saved.result == Saved::Result::kSequenceTaken;
}

// Logs how many submissions of a batch were quarantined, by reason. `times`:
// number of batches with quarantined submissions since the last lines.
void LogQuarantined(const std::map<std::string, std::size_t>& submissions,
                    std::size_t times) {
  constexpr std::size_t kLinesMax = 4;
  std::size_t lines = 0;
  std::size_t others = 0;
  for (const auto& [reason, count] : submissions) {
    if (++lines <= kLinesMax) {
      spdlog::warn("quarantined: submissions={} times={} reason={}", count,
                   times, reason);
    } else {
      others += count;
    }
  }
  if (others > 0) {
    spdlog::warn("quarantined: submissions={} times={} reason=others", others,
                 times);
  }
}

// Empties the submission. Keeps the memory of the ids, which are short.
void Empty(Submission* submission) {
  std::string study_id = std::move(submission->study_id);
  std::string submission_id = std::move(submission->submission_id);
  std::string site_id = std::move(submission->site_id);
  // Assigning an empty Submission would not free the memory of the strings.
  std::destroy_at(submission);
  std::construct_at(submission);
  submission->study_id = std::move(study_id);
  submission->submission_id = std::move(submission_id);
  submission->site_id = std::move(site_id);
}

}  // namespace

void SubmissionProcessor::SetSaved(SubmissionTask* task, const Saved& saved,
                                   FailedTasks* failed) {
  // The caller of an acknowledged submission has its answer already, so the
  // submission must be kept although it is a conflict. If the store has not
  // kept the content, the submission must be quarantined.
  const bool must_be_kept = saved.result == Saved::Result::kConflict &&
                            !saved.conflict_kept && task->in_journal();
  if (!must_be_kept) return task->SetSaved(saved);
  failed->push_back({task, /*error_id=*/"",
                     "the id is already stored with different content", 1,
                     /*content=*/std::nullopt});
}

SubmissionProcessor::SubmissionProcessor(Store* store, ProcessingStep step,
                                         Clock* clock, StageMetrics* metrics,
                                         NewNumbers* numbers)
    : store_(store),
      step_(std::move(step)),
      decodes_(step_ || store->keeps_columns()),
      clock_(clock),
      metrics_(metrics),
      numbers_(numbers) {}

StoreState SubmissionProcessor::Process(std::span<Task* const> batch) {
  const TimePoint begun = clock_->Now();
  // Read before the batch is saved: a result of a replaced store must not be
  // remembered for the new one.
  const std::uint32_t generation = store_->Generation();
  // Submissions of earlier batches, kept so that their memory is reused.
  thread_local std::vector<Submission> pooled;
  pooled.resize(std::max(pooled.size(), batch.size()));
  const auto submissions = std::span(pooled).first(batch.size());
  std::vector<SubmissionTask*> tasks;
  tasks.reserve(batch.size());
  // Runs on every return: a task that must be processed again needs its
  // content, and the next batch must find the submissions empty.
  const absl::Cleanup return_contents = [&] {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      tasks[i]->ReturnContent(std::move(submissions[i].content));
    }
    for (Submission& used : submissions) Empty(&used);
  };
  Whole whole;
  StoreState store = StoreState::kUntouched;
  std::size_t saved = 0;  // tasks that belong to parts before
  std::size_t rows_bytes = 0;
  Duration processing{};
  TimePoint resumed = begun;
  const auto save_part = [&] {
    processing += clock_->Now() - resumed;
    const Batch part = {std::span(tasks).subspan(saved),
                        submissions.subspan(saved, tasks.size() - saved),
                        &whole};
    if (part.size() > 0) store = Save(part, store);
    for (Submission& used : part.submissions) {
      std::string().swap(used.answers_json);
    }
    saved = tasks.size();
    rows_bytes = 0;
    resumed = clock_->Now();
  };
  for (Task* taken : batch) {
    auto* task = static_cast<SubmissionTask*>(taken);
    metrics_->ObserveQueueWait(begun - task->admitted_at);
    task->BeginWork(generation);
    Submission* submission = &submissions[tasks.size()];
    if (!Prepare(task, submission, &whole.failed)) continue;
    tasks.push_back(task);
    rows_bytes += submission->answers_json.size();
    if (rows_bytes >= kRowsBytesMax) save_part();
  }
  save_part();
  metrics_->ObserveProcessing(processing);
  EndFailed(std::move(whole.failed));
  return store;
}

void SubmissionProcessor::HandBack(std::span<Task* const> tasks) {
  // Wake each loop once for all answers of the batch.
  const CompletionLoop::PostBatch batch;
  Processor::HandBack(tasks);
}

bool SubmissionProcessor::Prepare(SubmissionTask* task, Submission* submission,
                                  FailedTasks* failed) const {
  if (task->ShouldSkip()) {
    task->SetSkipped();
    return false;
  }
  task->MoveOut(submission);
  std::string error_id;
  const int tries_max = TriesMax(*task);
  for (int i = 0; i < tries_max; ++i) {
    try {
      if (decodes_) Decode(submission);
      if (step_) step_(*submission);
      return true;
    } catch (...) {
      error_id = LogCurrentException();
    }
  }
  failed->push_back(
      {task, error_id,
       absl::StrCat("processing threw an exception, error id ", error_id),
       tries_max, std::move(submission->content)});
  Empty(submission);
  return false;
}

StoreState SubmissionProcessor::Save(Batch batch, StoreState before) {
  if (before == StoreState::kDown) {
    PutBack(batch);
    return StoreState::kDown;
  }
  // A submission of an earlier part is delayed. Submissions with its key must
  // not overtake it.
  if (!batch.whole->delayed.empty()) return SaveOneByOne(batch);
  std::vector<Saved> saved;
  const absl::Status status = TrySave(batch, &saved);
  if (status.ok()) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      SetSaved(batch.tasks[i], saved[i], &batch.whole->failed);
    }
    return StoreState::kUp;
  }
  if (IsTransient(status)) return DeferToRetry(batch, status);
  // At least one submission of the batch cannot be stored. Save one by one, so
  // that the other submissions are stored.
  return SaveOneByOne(batch);
}

absl::Status SubmissionProcessor::TrySave(Batch batch,
                                          std::vector<Saved>* saved) {
  saved->resize(batch.size());
  absl::Status status = SaveOnce(
      absl::MakeConstSpan(batch.submissions.data(), batch.submissions.size()),
      absl::MakeSpan(*saved));
  if (status.ok() && std::ranges::any_of(*saved, SequenceTaken)) {
    status = SaveRenumbered(batch, saved);
  }
  if (!status.ok()) return status;
  for (const SubmissionTask* task : batch.tasks) ReleaseNumber(*task);
  return absl::OkStatus();
}

absl::Status SubmissionProcessor::SaveRenumbered(Batch batch,
                                                 std::vector<Saved>* saved) {
  std::vector<std::size_t> taken;
  std::vector<Submission> again;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!SequenceTaken((*saved)[i])) continue;
    taken.push_back(i);
    again.push_back(std::move(batch.submissions[i]));
  }
  // The tasks need their submissions back, whatever happens.
  const absl::Cleanup give_back = [&] {
    for (std::size_t i = 0; i < taken.size(); ++i) {
      batch.submissions[taken[i]] = std::move(again[i]);
    }
  };
  Saved unsaved;
  unsaved.result = Saved::Result::kSequenceTaken;
  std::vector<Saved> results(taken.size(), unsaved);
  for (int i = 0; i < kRenumberedMax; ++i) {
    std::size_t renumbered = 0;
    for (std::size_t j = 0; j < taken.size(); ++j) {
      if (!SequenceTaken(results[j])) continue;
      SubmissionTask* task = batch.tasks[taken[j]];
      ReleaseNumber(*task);
      task->Renumber(numbers_->Take(), &again[j]);
      ++renumbered;
    }
    if (const std::size_t times = renumbered_pace_.Count(clock_->Now());
        times > 0) {
      spdlog::warn(
          "sequence numbers belong to other submissions in the store: "
          "submissions={} times={}; they get new numbers",
          renumbered, times);
    }
    const absl::Status status = SaveOnce(again, absl::MakeSpan(results));
    if (!status.ok()) return status;
    if (std::ranges::any_of(results, SequenceTaken)) continue;
    for (std::size_t j = 0; j < taken.size(); ++j) {
      (*saved)[taken[j]] = results[j];
    }
    return absl::OkStatus();
  }
  return absl::InternalError("the store has all new sequence numbers already");
}

void SubmissionProcessor::ReleaseNumber(const SubmissionTask& task) {
  if (task.new_sequence() != 0) numbers_->Done(task.new_sequence());
}

absl::Status SubmissionProcessor::SaveOnce(absl::Span<const Submission> batch,
                                           absl::Span<Saved> saved) {
  const TimePoint begun = clock_->Now();
  absl::Status status;
  try {
    status = store_->SaveBatch(batch, saved);
  } catch (...) {
    status = absl::InternalError(absl::StrCat(
        "the store threw an exception, error id ", LogCurrentException()));
  }
  metrics_->ObserveCommit(clock_->Now() - begun, batch.size());
  if (status.ok()) return status;
  if (const std::size_t times = log_pace_.Count(clock_->Now()); times > 0) {
    spdlog::warn("store failed: batch={} times={} status={}", batch.size(),
                 times, status.ToString());
  }
  return status;
}

StoreState SubmissionProcessor::SaveOneByOne(Batch batch) {
  DelayedKeys& delayed = batch.whole->delayed;
  FailedTasks* failed = &batch.whole->failed;
  // Tasks with an unclear error whose callers wait for the result.
  std::vector<std::pair<SubmissionTask*, absl::Status>> awaited;
  const auto answer_awaited = [&](StoreState store) {
    for (const auto& [task, status] : awaited) {
      // The store has saved other submissions, so this submission is at fault.
      if (store == StoreState::kUp) {
        FailForGood(task, status, 1, failed);
      } else {
        ReleaseNumber(*task);
        task->SetUnavailable();
      }
    }
    return store;
  };
  std::size_t stored = 0;
  std::size_t unclear = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SubmissionTask* task = batch.tasks[i];
    if (const auto it = delayed.find(task->order_key); it != delayed.end()) {
      // An earlier submission of the subject is delayed. Delay this submission
      // too, so that the order is kept.
      task->SetAgain(it->second);
      continue;
    }
    std::vector<Saved> saved;
    const absl::Status status = SaveOne(batch.Only(i), &saved);
    if (status.ok()) {
      SetSaved(task, saved.front(), failed);
      ++stored;
      continue;
    }
    if (IsTransient(status)) {
      // Retry all later submissions together with this submission, so that they
      // stay in order.
      if (QuarantineIfLone(batch.From(i), status)) break;
      PutBack(batch.From(i));
      return answer_awaited(StoreState::kDown);
    }
    if (!IsUnclear(status)) {
      FailForGood(task, status, TriesMax(*task), failed);
      continue;
    }
    ++unclear;
    if (task->promised) {
      SetUnclear(task, status, &delayed, failed);
    } else {
      awaited.emplace_back(task, status);
    }
    if (stored == 0 && unclear == kUnclearInARow) {
      // All submissions so far failed, so the store is probably at fault. Do
      // not try the rest of the batch, which may have hundreds of submissions.
      PutBack(batch.From(i + 1));
      break;
    }
  }
  return answer_awaited(stored == 0 && unclear > 0 ? StoreState::kDown
                                                   : StoreState::kUp);
}

absl::Status SubmissionProcessor::SaveOne(Batch one,
                                          std::vector<Saved>* saved) {
  absl::Status status;
  const int tries_max = TriesMax(*one.tasks.front());
  for (int i = 0; i < tries_max; ++i) {
    status = TrySave(one, saved);
    if (status.ok() || IsTransient(status) || IsUnclear(status)) break;
  }
  return status;
}

void SubmissionProcessor::SetUnclear(SubmissionTask* task,
                                     const absl::Status& status,
                                     DelayedKeys* delayed,
                                     FailedTasks* failed) {
  const TimePoint now = clock_->Now();
  const auto [tries, since_first] = task->CountUnclearTry(now);
  if (tries >= kUnclearTriesMax && since_first >= kUnclearTime) {
    return FailForGood(task, status, tries, failed);
  }
  constexpr int kDoublingsMax = 5;  // enough to reach the longest delay
  const TimePoint again_at =
      now + std::min<Duration>(
                std::chrono::seconds(1 << std::min(tries - 1, kDoublingsMax)),
                kUnclearDelayMax);
  task->SetAgain(again_at);
  if (task->order_key != 0) delayed->emplace(task->order_key, again_at);
}

void SubmissionProcessor::FailForGood(SubmissionTask* task,
                                      const absl::Status& status, int tries,
                                      FailedTasks* failed) {
  // The caller of an acknowledged submission gets no error id. The quarantine
  // has the reason.
  const std::string error_id =
      task->in_journal()
          ? ""
          : LogFailure(absl::StrCat("not stored: status=", CodeOf(status)));
  failed->push_back(
      {task, error_id,
       absl::StrCat("the store rejected the submission: ", CodeOf(status)),
       tries, /*content=*/std::nullopt});
}

void SubmissionProcessor::EndFailed(FailedTasks failed) {
  const std::vector<bool> quarantined = Quarantine(failed);
  for (std::size_t i = 0; i < failed.size(); ++i) {
    SubmissionTask* task = failed[i].task;
    if (!task->in_journal()) {
      ReleaseNumber(*task);
      task->SetFailed(failed[i].error_id);
    } else if (!quarantined[i]) {
      DelayQuarantine(task);
    }
    std::optional<std::string>& content = failed[i].content;
    if (content.has_value()) task->ReturnContent(*std::move(content));
  }
}

void SubmissionProcessor::DelayQuarantine(SubmissionTask* task) const {
  constexpr int kDoublingsMax = 5;  // enough to reach the longest delay
  const int doublings =
      std::min(task->CountFailedQuarantine() - 1, kDoublingsMax);
  task->SetAgain(clock_->Now() + std::min(kQuarantineDelay * (1 << doublings),
                                          kQuarantineDelayMax));
}

std::vector<bool> SubmissionProcessor::Quarantine(const FailedTasks& failed) {
  std::vector<bool> quarantined(failed.size());
  // A batch belongs to one pool, and a pool has at most one journal.
  JournalWriter* journal = nullptr;
  std::vector<UnstorableEntry> entries;
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < failed.size(); ++i) {
    const SubmissionTask& task = *failed[i].task;
    if (!task.in_journal()) continue;
    SLUICE_DCHECK(journal == nullptr || journal == task.journal());
    journal = task.journal();
    entries.push_back({.position = task.journal_position(),
                       .reason = failed[i].reason,
                       .tries = failed[i].tries});
    indices.push_back(i);
  }
  if (entries.empty()) return quarantined;
  const std::vector<absl::Status> results = journal->Quarantine(entries);
  absl::Status first_error;
  std::size_t errors = 0;
  std::map<std::string, std::size_t> submissions;  // by reason
  for (std::size_t i = 0; i < results.size(); ++i) {
    const FailedTask& one = failed[indices[i]];
    if (!results[i].ok()) {
      first_error.Update(results[i]);
      ++errors;
      continue;
    }
    ++submissions[one.reason];
    ReleaseNumber(*one.task);
    one.task->SetQuarantined();
    quarantined[indices[i]] = true;
  }
  if (!submissions.empty()) {
    const std::size_t times = quarantined_pace_.Count(clock_->Now());
    if (times > 0) LogQuarantined(submissions, times);
  }
  if (errors > 0) {
    const std::size_t times = not_quarantined_pace_.Count(clock_->Now());
    if (times > 0) {
      spdlog::warn(
          "journal failed: quarantine submissions={} times={}"
          " status={}",
          errors, times, first_error.ToString());
    }
  }
  return quarantined;
}

bool SubmissionProcessor::QuarantineLone(SubmissionTask* task,
                                         const absl::Status& status) {
  // Count only while the store is available: a failure during an outage says
  // nothing about this submission.
  if (!task->in_journal() || !store_->Check().ok()) return false;
  const int tries = task->CountLoneTry();
  if (tries < kLoneTriesMax) return false;
  EndFailed({{task, /*error_id=*/"",
              absl::StrCat("the store failed for this submission alone: ",
                           CodeOf(status)),
              tries, /*content=*/std::nullopt}});
  return true;
}

bool SubmissionProcessor::QuarantineIfLone(Batch batch,
                                           const absl::Status& status) {
  return batch.size() == 1 && QuarantineLone(batch.tasks.front(), status);
}

StoreState SubmissionProcessor::DeferToRetry(Batch batch,
                                             const absl::Status& status) {
  // A probe is a batch of one submission. If the store always failed for this
  // submission as if unavailable, the circuit would stay open for ever.
  if (QuarantineIfLone(batch, status)) return StoreState::kUp;
  PutBack(batch);
  return StoreState::kDown;
}

void SubmissionProcessor::PutBack(Batch batch) {
  const DelayedKeys& delayed = batch.whole->delayed;
  for (SubmissionTask* task : batch.tasks) {
    if (task->promised) {
      const auto it = delayed.find(task->order_key);
      task->SetAgain(it == delayed.end() ? TimePoint() : it->second);
    } else {
      ReleaseNumber(*task);
      task->SetUnavailable();
    }
  }
}

}  // namespace sluice

#include "server/submission_processor.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/decode.h"
#include "server/task_failure.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// It cannot be stored, whatever is tried. One that its journal cannot set apart
// stays there, and is tried again after the next start.
void GiveUp(SubmissionTask* task, const std::string& error_id,
            const std::string& reason, int tries) {
  if (!task->Quarantine(reason, tries)) task->SetFailed(error_id);
}

// Whoever waits is told at once.
int TriesMax(const SubmissionTask& task) {
  return task.promised ? SubmissionProcessor::kTriesMax : 1;
}

std::string CodeOf(const absl::Status& status) {
  return absl::StatusCodeToString(status.code());
}

void SetSaved(SubmissionTask* task, const Saved& saved) {
  // It was acknowledged before the store could say that its id is taken.
  const bool broken_promise =
      saved.result == Saved::Result::kConflict && task->in_journal();
  if (!broken_promise) return task->SetSaved(saved);
  GiveUp(task, NewErrorId(), "its id is known with another content", 1);
}

}  // namespace

SubmissionProcessor::SubmissionProcessor(Store* store, ProcessingStep step,
                                         Clock* clock, StageMetrics* metrics)
    : store_(store),
      step_(std::move(step)),
      decodes_(step_ || store->keeps_columns()),
      clock_(clock),
      metrics_(metrics) {}

StoreState SubmissionProcessor::Process(std::span<Task* const> batch) {
  const TimePoint begun = clock_->Now();
  std::vector<SubmissionTask*> tasks;
  tasks.reserve(batch.size());
  for (Task* taken : batch) {
    auto* task = static_cast<SubmissionTask*>(taken);
    metrics_->ObserveQueueWait(begun - task->admitted_at);
    if (Prepare(task)) tasks.push_back(task);
  }
  metrics_->ObserveProcessing(clock_->Now() - begun);
  return tasks.empty() ? StoreState::kUntouched : Save(tasks);
}

bool SubmissionProcessor::Prepare(SubmissionTask* task) const {
  if (task->PassOver()) {
    task->SetPassedOver();
    return false;
  }
  std::string error_id;
  const int tries_max = TriesMax(*task);
  for (int i = 0; i < tries_max; ++i) {
    try {
      if (decodes_) Decode(&task->submission());
      if (step_) step_(task->submission());
      return true;
    } catch (...) {
      error_id = LogCurrentException();
    }
  }
  GiveUp(task, error_id, absl::StrCat("it throws: error ", error_id),
         tries_max);
  return false;
}

StoreState SubmissionProcessor::Save(Tasks tasks) {
  std::vector<Saved> saved;
  const absl::Status status = TrySave(tasks, &saved);
  if (status.ok()) {
    for (std::size_t i = 0; i < tasks.size(); ++i) SetSaved(tasks[i], saved[i]);
    return StoreState::kUp;
  }
  if (IsTransient(status)) return SetAway(tasks, status);
  // One of them cannot be stored: it is not to take the others with it.
  return SaveOneByOne(tasks);
}

absl::Status SubmissionProcessor::TrySave(Tasks tasks,
                                          std::vector<Saved>* saved) {
  std::vector<Submission> submissions;
  submissions.reserve(tasks.size());
  for (SubmissionTask* task : tasks) {
    task->submission().sequence = task->sequence;
    submissions.push_back(std::move(task->submission()));
  }
  saved->resize(tasks.size());
  const TimePoint begun = clock_->Now();
  absl::Status status;
  try {
    status = store_->SaveBatch(submissions, absl::MakeSpan(*saved));
  } catch (...) {
    status = absl::InternalError(
        absl::StrCat("it throws: error ", LogCurrentException()));
  }
  metrics_->ObserveCommit(clock_->Now() - begun, tasks.size());
  if (!status.ok()) {
    spdlog::warn("store failed: batch={} status={}", tasks.size(),
                 status.ToString());
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks[i]->submission() = std::move(submissions[i]);
  }
  return status;
}

StoreState SubmissionProcessor::SaveOneByOne(Tasks tasks) {
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    SubmissionTask* task = tasks[i];
    const Tasks one = tasks.subspan(i, 1);
    std::vector<Saved> saved;
    absl::Status status;
    const int tries_max = TriesMax(*task);
    for (int j = 0; j < tries_max; ++j) {
      status = TrySave(one, &saved);
      if (status.ok() || IsTransient(status)) break;
    }
    if (status.ok()) {
      SetSaved(task, saved.front());
    } else if (IsTransient(status)) {
      // What comes after it keeps its place behind it.
      return SetAway(tasks.subspan(i), status);
    } else {
      const std::string error_id = NewErrorId();
      spdlog::error("not stored: error_id={} status={}", error_id,
                    CodeOf(status));
      GiveUp(task, error_id,
             absl::StrCat("the store refuses it: ", CodeOf(status)), tries_max);
    }
  }
  return StoreState::kUp;
}

// The store is away. Or it fails for one submission only, and looks away.
StoreState SubmissionProcessor::SetAway(Tasks tasks,
                                        const absl::Status& status) {
  SubmissionTask* lone = tasks.size() == 1 ? tasks.front() : nullptr;
  if (lone != nullptr && ++lone->lone_tries >= kLoneTriesMax &&
      store_->Check().ok() &&
      lone->Quarantine(absl::StrCat("the store fails for it: ", CodeOf(status)),
                       lone->lone_tries)) {
    return StoreState::kUp;
  }
  for (SubmissionTask* task : tasks) {
    if (task->promised) {
      task->SetAgain();
    } else {
      task->SetUnavailable();
    }
  }
  return StoreState::kDown;
}

}  // namespace sluice

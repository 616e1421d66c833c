#include "server/submissions/submission_processor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/submissions/decode.h"
#include "server/submissions/task_failure.h"
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

// Leaves nothing but the room of its ids, which are short.
void Empty(Submission* submission) {
  // Assigning an empty string would free nothing.
  Submission used(std::move(*submission));
  *submission = Submission();
  submission->study_id.swap(used.study_id);
  submission->submission_id.swap(used.submission_id);
  submission->site_id.swap(used.site_id);
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
  // One batch after another uses the room of their ids.
  thread_local std::vector<Submission> room;
  room.resize(std::max(room.size(), batch.size()));
  const auto submissions = std::span(room).first(batch.size());
  std::vector<SubmissionTask*> tasks;
  tasks.reserve(batch.size());
  const absl::Cleanup give_back = [&] {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      tasks[i]->TakeBack(std::move(submissions[i].content));
    }
    for (Submission& used : submissions) Empty(&used);
  };
  for (Task* taken : batch) {
    auto* task = static_cast<SubmissionTask*>(taken);
    metrics_->ObserveQueueWait(begun - task->admitted_at);
    if (Prepare(task, &submissions[tasks.size()])) tasks.push_back(task);
  }
  metrics_->ObserveProcessing(clock_->Now() - begun);
  if (tasks.empty()) return StoreState::kUntouched;
  return Save({tasks, submissions.first(tasks.size())});
}

void SubmissionProcessor::HandBack(std::span<Task* const> tasks) {
  // Each loop is woken once for all answers of the batch.
  const CompletionLoop::PostBatch batch;
  Processor::HandBack(tasks);
}

bool SubmissionProcessor::Prepare(SubmissionTask* task,
                                  Submission* submission) const {
  if (task->PassOver()) {
    task->SetPassedOver();
    return false;
  }
  task->LendSubmission(submission);
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
  GiveUp(task, error_id, absl::StrCat("it throws: error ", error_id),
         tries_max);
  Empty(submission);
  return false;
}

StoreState SubmissionProcessor::Save(Batch batch) {
  std::vector<Saved> saved;
  const absl::Status status = TrySave(batch, &saved);
  if (status.ok()) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      SetSaved(batch.tasks[i], saved[i]);
    }
    return StoreState::kUp;
  }
  if (IsTransient(status)) return SetAway(batch, status);
  // One of them cannot be stored: it is not to take the others with it.
  return SaveOneByOne(batch);
}

absl::Status SubmissionProcessor::TrySave(Batch batch,
                                          std::vector<Saved>* saved) {
  saved->resize(batch.size());
  const TimePoint begun = clock_->Now();
  absl::Status status;
  try {
    status = store_->SaveBatch(
        absl::MakeConstSpan(batch.submissions.data(), batch.submissions.size()),
        absl::MakeSpan(*saved));
  } catch (...) {
    status = absl::InternalError(
        absl::StrCat("it throws: error ", LogCurrentException()));
  }
  metrics_->ObserveCommit(clock_->Now() - begun, batch.size());
  if (!status.ok()) {
    spdlog::warn("store failed: batch={} status={}", batch.size(),
                 status.ToString());
  }
  return status;
}

StoreState SubmissionProcessor::SaveOneByOne(Batch batch) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SubmissionTask* task = batch.tasks[i];
    std::vector<Saved> saved;
    absl::Status status;
    const int tries_max = TriesMax(*task);
    for (int j = 0; j < tries_max; ++j) {
      status = TrySave(batch.Only(i), &saved);
      if (status.ok() || IsTransient(status)) break;
    }
    if (status.ok()) {
      SetSaved(task, saved.front());
    } else if (IsTransient(status)) {
      // What comes after it keeps its place behind it.
      return SetAway(batch.From(i), status);
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

// Whether the store fails for this submission only, again and again, which is
// in quarantine then.
bool SubmissionProcessor::SetApart(SubmissionTask* task,
                                   const absl::Status& status) {
  // Tries while the store was away do not count: it may be back by now.
  if (!store_->Check().ok()) return false;
  const int tries = task->CountLoneTry();
  return tries >= kLoneTriesMax &&
         task->Quarantine(
             absl::StrCat("the store fails for it: ", CodeOf(status)), tries);
}

// The store is away. Or it fails for one submission only, and looks away.
StoreState SubmissionProcessor::SetAway(Batch batch,
                                        const absl::Status& status) {
  if (batch.size() == 1 && SetApart(batch.tasks.front(), status)) {
    return StoreState::kUp;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch.tasks[i]->promised) {
      batch.tasks[i]->SetAgain();
    } else {
      batch.tasks[i]->SetUnavailable();
    }
  }
  return StoreState::kDown;
}

}  // namespace sluice

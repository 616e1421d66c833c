#include "server/submission_processor.h"

#include <utility>

#include "server/decode.h"
#include "server/task_failure.h"
#include "spdlog/spdlog.h"

namespace sluice {

SubmissionProcessor::SubmissionProcessor(Store* store, ProcessingStep step,
                                         Clock* clock, StageMetrics* metrics)
    : store_(store), step_(std::move(step)), clock_(clock), metrics_(metrics) {}

void SubmissionProcessor::Process(std::span<Task* const> batch) {
  const TimePoint begun = clock_->Now();
  std::vector<SubmissionTask*> tasks;
  tasks.reserve(batch.size());
  for (Task* taken : batch) {
    auto* task = static_cast<SubmissionTask*>(taken);
    metrics_->ObserveQueueWait(begun - task->admitted_at);
    if (Prepare(task)) tasks.push_back(task);
  }
  metrics_->ObserveProcessing(clock_->Now() - begun);
  if (tasks.empty()) return;
  try {
    Save(tasks);
  } catch (...) {
    for (SubmissionTask* task : tasks) task->SetFailed(LogCurrentException());
  }
}

bool SubmissionProcessor::Prepare(SubmissionTask* task) const {
  if (task->PassOver()) {
    task->SetPassedOver();
    return false;
  }
  try {
    Decode(&task->submission);
    if (step_) step_(task->submission);
    return true;
  } catch (...) {
    task->SetFailed(LogCurrentException());
    return false;
  }
}

void SubmissionProcessor::Save(std::span<SubmissionTask* const> tasks) {
  std::vector<Submission> submissions;
  submissions.reserve(tasks.size());
  for (SubmissionTask* task : tasks) {
    task->submission.sequence = task->sequence;
    submissions.push_back(std::move(task->submission));
  }
  std::vector<Saved> saved(tasks.size());
  const TimePoint begun = clock_->Now();
  const absl::Status status =
      store_->SaveBatch(submissions, absl::MakeSpan(saved));
  metrics_->ObserveCommit(clock_->Now() - begun, tasks.size());
  if (!status.ok()) {
    spdlog::warn("store failed: batch={} status={}", tasks.size(),
                 status.ToString());
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (status.ok()) {
      tasks[i]->SetSaved(saved[i]);
    } else {
      tasks[i]->SetUnavailable();
    }
  }
}

}  // namespace sluice

#include "server/drain_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/submissions/submission_task.h"

namespace sluice {
namespace {

std::string CountersLine(const DrainReport::Line& line) {
  const MethodCounters& c = line.counters;
  const ResultCounts& ended = c.not_admitted;
  return absl::StrCat(
      "method=", std::string(MethodName(line.method)), " received=", c.received,
      " admitted=", c.admitted, " completed=", c.completed.Sum(),
      " rejected=", ended.Refusals(), " dropped=", ended[TaskResult::kDropped],
      " abandoned=",
      ended[TaskResult::kCancelled] + ended[TaskResult::kDeadline],
      " invalid=", ended[TaskResult::kInvalid], " waiting=", c.waiting,
      " queued=", c.queued, " in_work=", c.in_work,
      " balanced=", c.Balanced() ? "yes" : "NO");
}

// Adds the submissions that are admitted and not done.
void AddUnfinished(const Pools& pools, DrainReport* report) {
  for (const auto& [name, pool] : pools.by_name()) {
    if (pool.answers_lookups) continue;
    pool.workers->VisitUnfinished([report](const Task& task) {
      const auto& submission = static_cast<const SubmissionTask&>(task);
      // A task that waits for its commit may not be in the journal.
      if (submission.in_journal() &&
          submission.stage() != SubmissionTask::Stage::kCommitting) {
        ++report->journaled;
      } else {
        report->left.push_back(submission.Identity());
      }
    });
  }
}

}  // namespace

bool DrainReport::clean() const {
  return left.empty() && !stuck() && balanced();
}

bool DrainReport::balanced() const {
  return std::ranges::all_of(
      methods, [](const Line& line) { return line.counters.Balanced(); });
}

std::vector<std::string> DrainReport::ToLines() const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(
      "took=", absl::FormatDuration(absl::Trunc(took, absl::Milliseconds(1))),
      " left=", left.size(), " journaled=", journaled,
      " calls_left=", calls_left, " stuck=", stuck() ? "yes" : "no"));
  for (const std::string& hang : hangs) {
    lines.push_back(absl::StrCat("hangs: ", hang));
  }
  for (const Line& line : methods) {
    if (line.counters.received > 0) lines.push_back(CountersLine(line));
  }
  for (const Leftover& leftover : left) {
    lines.push_back(absl::StrCat(
        "left: method=", std::string(MethodName(leftover.method)), " study_id=",
        leftover.study_id, " submission_id=", leftover.submission_id));
  }
  return lines;
}

DrainReport MakeDrainReport(const Pools& pools, const Methods& methods,
                            const Leftovers& leftovers,
                            std::vector<std::string> hangs) {
  DrainReport report;
  report.hangs = std::move(hangs);
  // Visit the pools before the leftovers. A task that ends in between is in the
  // report twice, not missing.
  if (report.stuck()) AddUnfinished(pools, &report);
  for (Leftover& leftover : leftovers.All()) {
    report.left.push_back(std::move(leftover));
  }
  report.journaled += leftovers.journaled();
  report.calls_left = methods.calls_in_flight();
  const auto snapshots = pools.Snapshots();
  for (const auto& [name, snapshot] : snapshots) {
    report.journaled += snapshot.unread;
  }
  for (const Method method : kAllMethods) {
    const std::string& pool = methods[method].pool->name();
    report.methods.push_back(
        {method, snapshots.at(pool).counters[Index(method)]});
  }
  return report;
}

}  // namespace sluice

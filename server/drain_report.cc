#include "server/drain_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

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

}  // namespace

bool DrainReport::clean() const { return left.empty() && !stuck && balanced(); }

bool DrainReport::balanced() const {
  return std::ranges::all_of(
      methods, [](const Line& line) { return line.counters.Balanced(); });
}

std::vector<std::string> DrainReport::ToLines() const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(
      "took=", absl::FormatDuration(absl::Trunc(took, absl::Milliseconds(1))),
      " left=", left.size(), " journaled=", journaled,
      " calls_left=", calls_left, " stuck=", stuck ? "yes" : "no"));
  for (const Line& line : methods) {
    if (line.counters.received > 0) lines.push_back(CountersLine(line));
  }
  for (const Leftover& one : left) {
    lines.push_back(absl::StrCat(
        "left: method=", std::string(MethodName(one.method)),
        " study_id=", one.study_id, " submission_id=", one.submission_id));
  }
  return lines;
}

}  // namespace sluice

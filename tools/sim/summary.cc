#include "tools/sim/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/format.h"

namespace sluice {
namespace {

std::string AtWindow(const SimulationResult& result, std::size_t window) {
  return FormatClockTime(result.start_seconds +
                         result.window_seconds * static_cast<double>(window));
}

// Returns the shares of refusals by reason, e.g. "QUEUE_FULL 12.3 %, WAIT_OVER
// 1.2 %".
std::string Reasons(const PoolWindow& window) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view name, std::uint64_t count) {
    if (count == 0) return;
    parts.push_back(absl::StrCat(absl::string_view(name.data(), name.size()),
                                 " ", FormatShare(count, window.arrivals)));
  };
  for (const TaskResult reason : kRefusals) {
    add(RefusalReasonName(reason), window.rejected[reason]);
  }
  add("dropped", window.dropped);
  return absl::StrJoin(parts, ", ");
}

std::string Plural(std::size_t count, absl::string_view one) {
  return absl::StrCat(FormatCount(count), " ", one, count == 1 ? "" : "s");
}

// Describes how submissions ended, e.g. "96.2 % were answered in time; 3.8 %
// were refused for good."
std::string DescribeEnds(const SubmissionCounts& sum) {
  const auto share = [&](std::uint64_t part) {
    return FormatShare(part, sum.submissions);
  };
  std::string text =
      absl::StrCat(share(sum.answered), " were answered in time");
  if (sum.answered == sum.submissions) return text + ": all of them.";
  std::vector<std::string> others;
  const auto add = [&](std::uint64_t part, absl::string_view what) {
    if (part > 0) others.push_back(absl::StrCat(share(part), " ", what));
  };
  add(sum.refused, "were refused for good");
  add(sum.left, "reached their deadline before a worker began");
  add(sum.late, "were stored after their caller's deadline");
  add(sum.dropped, "were dropped");
  absl::StrAppend(&text, others.empty() ? "" : "; ",
                  absl::StrJoin(others, ", "), ".");
  return text;
}

std::string DescribeWhole(const SimulationResult& result) {
  SubmissionCounts sum;
  for (const SourceResult& source : result.sources) sum += source;
  return absl::StrCat("In ", FormatSeconds(result.seconds), ", ",
                      FormatCount(sum.submissions), " submissions arrived in ",
                      FormatCount(sum.attempts), " attempts. ",
                      DescribeEnds(sum));
}

std::string DescribeSource(const SourceResult& source) {
  std::string text = absl::StrCat(
      "Source ", source.name, ": ", FormatCount(source.submissions),
      " submissions in ", FormatCount(source.attempts), " attempts");
  if (source.submissions == 0) return text + ".";
  absl::StrAppend(&text, ". ", DescribeEnds(source));
  if (source.wait.count > 0) {
    absl::StrAppend(&text, " Half of those that a worker took waited at most ",
                    FormatSeconds(source.wait.p50), ", 99 % at most ",
                    FormatSeconds(source.wait.p99), ".");
  }
  return text;
}

std::string DescribePeak(const SimulationResult& result,
                         const PoolResult& pool) {
  const std::size_t index = PeakOf(pool);
  const PoolWindow& peak = pool.windows[index];
  const double seconds = result.window_seconds;
  const auto rate = [&](std::uint64_t count) {
    return FormatNumber(static_cast<double>(count) / seconds);
  };
  std::string text = absl::StrCat(
      "Pool ", pool.name, ": at the peak, from ", AtWindow(result, index),
      " for ", FormatSeconds(seconds), ", ", rate(peak.submissions),
      " new submissions a second arrived");
  if (peak.arrivals > peak.submissions) {
    absl::StrAppend(&text, " (", rate(peak.arrivals), " with retries)");
  }
  absl::StrAppend(&text, "; the store took ", rate(peak.stored), "/s, and ",
                  rate(peak.answered), "/s were answered in time. ");
  const std::string reasons = Reasons(peak);
  absl::StrAppend(&text, reasons.empty()
                             ? "None of these arrivals was refused. "
                             : absl::StrCat("Of these arrivals, refused or "
                                            "dropped were: ",
                                            reasons, ". "));
  return text;
}

std::string DescribeHeld(const SimulationResult& result,
                         const PoolResult& pool) {
  const auto worst = std::ranges::max_element(
      pool.windows, {},
      [](const PoolWindow& window) { return window.answer.p99; });
  const auto index = static_cast<std::size_t>(worst - pool.windows.begin());
  return absl::StrCat(
      "The queue held at most ",
      FormatCount(static_cast<std::uint64_t>(pool.total.depth.max)), " of ",
      FormatCount(pool.config.queue_capacity), ", the waiting room ",
      FormatCount(static_cast<std::uint64_t>(pool.total.waiting.max)), " of ",
      FormatCount(pool.config.waiting_max), ", memory ",
      FormatSize(pool.total.bytes.max), ". Half of the answers took at most ",
      FormatSeconds(pool.total.answer.p50), ", 99 % at most ",
      FormatSeconds(pool.total.answer.p99), "; at the worst time, ",
      AtWindow(result, index), ", 99 % took at most ",
      FormatSeconds(worst->answer.p99), ". ");
}

std::string DescribeNeeds(const SimulationResult& result,
                          const PoolResult& pool) {
  const double capacity = pool.total.capacity_per_second;
  std::string text = absl::StrCat(
      "With ", Plural(pool.workers, "worker"), " and batches of up to ",
      FormatCount(pool.config.batch_max), ", the pool ",
      std::isinf(capacity)
          ? "has no limit"
          : absl::StrCat("can process ", FormatNumber(capacity),
                         "/s, without slowdowns of the store"));
  const PoolNeeds needs = NeedsOf(result, pool);
  if (needs.workers <= pool.workers) {
    return text + ". That is enough for every interval of the run.";
  }
  absl::StrAppend(&text, ". To keep up with every interval of the run, ",
                  Plural(needs.workers, "worker"),
                  " would be needed, if the store gives each of them the same "
                  "throughput. If "
                  "all submissions waited instead, the backlog would reach ",
                  FormatNumber(needs.backlog), ", and the last of them ");
  absl::StrAppend(
      &text,
      std::isinf(needs.backlog_seconds)
          ? std::string("would still wait when the run ends. ")
          : absl::StrCat("would wait ", FormatSeconds(needs.backlog_seconds),
                         ". "),
      "Such a queue helps only if callers are answered earlier (ack: queued) "
      "or "
      "wait that long.");
  return text;
}

}  // namespace

PoolNeeds NeedsOf(const SimulationResult& result, const PoolResult& pool) {
  PoolNeeds needs;
  double backlog = 0;
  double longest = 0;
  std::size_t longest_from = 0;
  for (std::size_t i = 0; i < pool.windows.size(); ++i) {
    const PoolWindow& window = pool.windows[i];
    const double capacity = window.capacity_per_second;
    if (std::isinf(capacity)) continue;
    const double rate =
        static_cast<double>(window.submissions) / result.window_seconds;
    const double per_worker = capacity / static_cast<double>(pool.workers);
    needs.workers = std::max(
        needs.workers, static_cast<std::size_t>(std::ceil(rate / per_worker)));
    backlog =
        std::max(0.0, backlog + (rate - capacity) * result.window_seconds);
    if (backlog > longest) {
      longest = backlog;
      longest_from = i + 1;
    }
  }
  needs.backlog = longest;
  double left = longest;
  for (std::size_t i = longest_from; left > 0; ++i) {
    if (i >= pool.windows.size()) {
      needs.backlog_seconds = std::numeric_limits<double>::infinity();
      break;
    }
    const double capacity = pool.windows[i].capacity_per_second;
    const double seconds = std::min(left / capacity, result.window_seconds);
    needs.backlog_seconds += seconds;
    left = left <= capacity * result.window_seconds
               ? 0
               : left - capacity * result.window_seconds;
  }
  return needs;
}

std::size_t PeakOf(const PoolResult& pool) {
  const auto peak =
      std::ranges::max_element(pool.windows, {}, &PoolWindow::submissions);
  return static_cast<std::size_t>(peak - pool.windows.begin());
}

std::vector<std::string> Summarize(const SimulationResult& result) {
  std::vector<std::string> paragraphs = {DescribeWhole(result)};
  if (result.sources.size() > 1) {
    for (const SourceResult& source : result.sources) {
      paragraphs.push_back(DescribeSource(source));
    }
  }
  for (const PoolResult& pool : result.pools) {
    if (pool.windows.empty()) continue;
    paragraphs.push_back(DescribePeak(result, pool) +
                         DescribeHeld(result, pool) +
                         DescribeNeeds(result, pool));
  }
  return paragraphs;
}

}  // namespace sluice

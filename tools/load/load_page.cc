#include "tools/load/load_page.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/format.h"
#include "tools/charts/page.h"

namespace sluice {

// load.js, embedded at build time.
extern const std::string_view kLoadScript;

namespace {

// The values that the charts show.
PageTable LoadValues(const LoadProfile& profile, const LoadResult& result) {
  PageTable table;
  table.caption = "Values";
  table.columns = {"From",       "Offered/s", "In time/s",   "Refused/s",
                   "Too late/s", "Failed/s",  "50 % within", "99 % within"};
  table.folded = true;
  const bool has_pool =
      !result.timeline.empty() && result.timeline.front().pool.has_value();
  if (has_pool) {
    table.columns.insert(table.columns.end(),
                         {"Workers", "Busy", "Queue", "Waiting room"});
  }
  const double length = ToSeconds(result.interval_length);
  const auto rate = [&](std::int64_t count) {
    return FormatNumber(static_cast<double>(count) / length);
  };
  double start = absl::ToDoubleSeconds(profile.start);
  for (const LoadInterval& interval : result.timeline) {
    std::vector<std::string> row = {FormatClockTime(start),
                                    rate(interval.offered),
                                    rate(interval.in_time),
                                    rate(interval.refused),
                                    rate(interval.late),
                                    rate(interval.failed),
                                    FormatSeconds(ToSeconds(interval.p50)),
                                    FormatSeconds(ToSeconds(interval.p99))};
    if (has_pool) {
      for (const double value :
           {interval.pool->workers, interval.pool->busy, interval.pool->depth,
            interval.pool->waiting}) {
        row.push_back(FormatNumber(value));
      }
    }
    table.rows.push_back(std::move(row));
    start += length * profile.compress;
  }
  return table;
}

}  // namespace

std::string LoadPage(const LoadOptions& options, const LoadResult& result) {
  SLUICE_DCHECK(options.profile.has_value());
  const LoadProfile& profile = *options.profile;
  const double played = absl::ToDoubleSeconds(profile.duration);
  const LoadCounts& counts = result.counts;
  const auto ended = static_cast<std::uint64_t>(counts.ended());
  // The timeline ends with the profile, so it does not include calls that end
  // later, in the grace period.
  std::uint64_t in_time = 0;
  std::uint64_t in_timeline = 0;
  for (const LoadInterval& interval : result.timeline) {
    in_time += static_cast<std::uint64_t>(interval.in_time);
    in_timeline += static_cast<std::uint64_t>(
        interval.in_time + interval.late + interval.refused + interval.failed);
  }
  Page page;
  page.title =
      absl::StrCat(profile.name, ": ", FormatSeconds(played * profile.compress),
                   " played in ", FormatSeconds(played));
  page.about = absl::StrCat(
      "Each point of a chart stands for ",
      FormatSeconds(ToSeconds(result.interval_length)), " of the run, or ",
      FormatSeconds(ToSeconds(result.interval_length) * profile.compress),
      " of the profile, whose clock the charts show. Point at a chart for its "
      "values, drag to zoom in, double-click to zoom out.");
  page.figures = {
      {FormatCount(ended), "calls ended"},
      {absl::StrCat(FormatNumber(profile.peak()), "/s"), "offered at the peak"},
      {FormatShare(in_time, in_timeline), "answered OK in time"},
      {FormatSeconds(ToSeconds(counts.latency.Percentile(50))),
       "50 % of the calls ended within"},
      {FormatSeconds(ToSeconds(counts.latency.Percentile(99))),
       "99 % of the calls ended within"}};
  for (const absl::string_view line :
       absl::StrSplit(TextReport(options, result), '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    page.summary.push_back(absl::StrCat(
        parts.first, ": ", absl::StripLeadingAsciiWhitespace(parts.second)));
  }
  page.tables = {LoadValues(profile, result)};
  page.footer = "Latency counts from the intended start of a call.";
  page.json = JsonReport(options, result);
  page.script = kLoadScript;
  return RenderPage(page);
}

}  // namespace sluice

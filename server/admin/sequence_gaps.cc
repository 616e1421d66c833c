#include "server/admin/sequence_gaps.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace sluice {
namespace {

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

SequenceCensus Sorted(SequenceCensus census) {
  std::ranges::sort(census.queued);
  std::ranges::sort(census.quarantined);
  std::ranges::sort(census.discarded);
  return census;
}

// Appends `range`, or extends the last range if they are adjacent and differ in
// nothing else.
void Append(SequenceRange range, std::vector<SequenceRange>& ranges) {
  if (range.first > range.last) return;
  if (!ranges.empty() && ranges.back().reason == range.reason &&
      ranges.back().first_sequence == range.first_sequence &&
      ranges.back().last + 1 == range.first) {
    ranges.back().last = range.last;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

SequenceGaps::SequenceGaps(std::int64_t after, SequenceCensus census)
    : own_series_(SeriesOf(census.last)),
      census_(Sorted(std::move(census))),
      told_(after),
      known_last_(after) {}

bool SequenceGaps::IsLater(std::int64_t sequence) const {
  return SeriesOf(sequence) == own_series_ && sequence > census_.last;
}

void SequenceGaps::AddKnown(absl::Span<const Gap> gaps) {
  for (const Gap& gap : gaps) {
    if (gap.sequence <= known_last_ || IsLater(gap.sequence)) continue;
    known_.push_back(gap);
    known_last_ = gap.sequence;
  }
}

std::vector<SequenceRange> SequenceGaps::Before(std::int64_t stored) {
  SLUICE_DCHECK(!IsLater(stored));
  Ranges ranges;
  const std::int64_t series = SeriesOf(stored);
  while (SeriesOf(told_) < series) {
    EndSeries(ranges);
    told_ = BeginOfSeries(NextSeries(series));
  }
  Tell(stored - 1, ranges);
  told_ = std::max(told_, stored);
  return ranges;
}

std::vector<SequenceRange> SequenceGaps::End() {
  Ranges ranges;
  for (;;) {
    EndSeries(ranges);
    const std::int64_t series = NextSeries(kNone);
    if (series == kNone) return ranges;
    told_ = BeginOfSeries(series);
  }
}

void SequenceGaps::EndSeries(Ranges& ranges) {
  const std::int64_t series = SeriesOf(told_);
  std::int64_t last = series == own_series_ ? census_.last : told_;
  const auto after = std::ranges::find_if(known_, [series](const Gap& gap) {
    return SeriesOf(gap.sequence) > series;
  });
  if (after != known_.begin()) {
    last = std::max(last, std::prev(after)->sequence);
  }
  Tell(last, ranges);
}

std::int64_t SequenceGaps::NextSeries(std::int64_t limit) const {
  const std::int64_t series = SeriesOf(told_);
  std::int64_t next = limit;
  if (own_series_ > series) next = std::min(next, own_series_);
  for (const Gap& gap : known_) {
    if (SeriesOf(gap.sequence) <= series) continue;
    return std::min(next, SeriesOf(gap.sequence));
  }
  return next;
}

void SequenceGaps::Tell(std::int64_t last, Ranges& ranges) {
  SLUICE_DCHECK(last <= told_ || SeriesOf(last) == SeriesOf(told_));
  const GapReason otherwise = SeriesOf(told_) == own_series_
                                  ? GapReason::kUnaccounted
                                  : GapReason::kOtherServer;
  // Step from one known number to the next. The unknown numbers between them,
  // possibly billions, form one range.
  while (told_ < last) {
    while (!known_.empty() && known_.front().sequence <= told_) {
      known_.pop_front();
    }
    const std::int64_t known = known_.empty() ? kNone : known_.front().sequence;
    const std::int64_t quarantined =
        NextOf(census_.quarantined, next_quarantined_);
    const std::int64_t queued = NextOf(census_.queued, next_queued_);
    const std::int64_t discarded = NextOf(census_.discarded, next_discarded_);
    const std::int64_t next = std::min({known, quarantined, discarded, queued});
    if (next > last) {
      Append({told_ + 1, last, otherwise}, ranges);
      told_ = last;
      return;
    }
    Append({told_ + 1, next - 1, otherwise}, ranges);
    GapReason reason = GapReason::kQueued;
    if (next == known && !known_.front().conflict) {
      reason = GapReason::kDuplicate;
    } else if (next == quarantined) {
      reason = GapReason::kQuarantined;
    } else if (next == discarded) {
      reason = GapReason::kDiscarded;
    } else if (next == known) {
      reason = GapReason::kConflict;
    }
    const bool has_first =
        reason == GapReason::kDuplicate || reason == GapReason::kConflict;
    Append({next, next, reason, has_first ? known_.front().first_sequence : 0},
           ranges);
    told_ = next;
  }
}

std::int64_t SequenceGaps::NextOf(const std::vector<std::int64_t>& sorted,
                                  std::size_t& next) const {
  while (next < sorted.size() && sorted[next] <= told_) ++next;
  return next < sorted.size() ? sorted[next] : kNone;
}

}  // namespace sluice

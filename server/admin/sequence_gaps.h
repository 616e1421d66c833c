// Finds the sequence numbers that no stored submission has, and the reason: the
// submission was a duplicate or a conflict, is quarantined, discarded or
// queued, or was never stored.

#ifndef SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_
#define SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/types/span.h"
#include "base/sequence_series.h"
#include "stores/store.h"

namespace sluice {

enum class GapReason {
  kDuplicate,
  kConflict,
  kQuarantined,
  kDiscarded,
  kQueued,
  kUnaccounted,  // not known anywhere: the submission was not stored
  kOtherServer,  // assigned by another server; only that server may know it
};

// A range of sequence numbers, both ends included, with the same reason and the
// same stored submission.
struct SequenceRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  GapReason reason = GapReason::kUnaccounted;
  // For kDuplicate and kConflict: number of the stored submission; 0 if it is
  // not known.
  std::int64_t first_sequence = 0;

  bool operator==(const SequenceRange&) const = default;
};

// A server's knowledge of its own sequence numbers at one moment.
struct SequenceCensus {
  std::int64_t last = 0;  // the number that was assigned last
  // The vectors may be in any order.
  std::vector<std::int64_t> queued;
  std::vector<std::int64_t> quarantined;
  std::vector<std::int64_t> discarded;
};

// Takes the stored sequence numbers in ascending order, and returns the gaps
// between them. The ranges ascend, do not overlap, and are as long as possible.
//
// The reason of a number is the first that applies: a duplicate in the store,
// quarantined, discarded, a conflict in the store, queued. Quarantined comes
// before conflict, because a conflict that was acknowledged may be in
// quarantine. All remaining numbers are kUnaccounted in the census's own
// series, up to its last number. In other series they are kOtherServer, up to
// the last number that the store knows. Not thread-safe.
class SequenceGaps {
 public:
  // Starts after the sequence number `after`.
  SequenceGaps(std::int64_t after, SequenceCensus census);

  // True if `sequence` was assigned after the census. Such numbers are in no
  // gap.
  bool IsLater(std::int64_t sequence) const;

  // Adds gaps that the store knows, in ascending order. Ignores gaps after the
  // census, and gaps that were added before, so that a page may be read twice.
  void AddKnown(absl::Span<const Gap> gaps);

  // Returns the gaps between the previous submission (at first: `after`) and
  // `stored`.
  std::vector<SequenceRange> Before(std::int64_t stored);

  // Returns the gaps after the last submission. Must be called last.
  std::vector<SequenceRange> End();

 private:
  using Ranges = std::vector<SequenceRange>;

  // Appends the gaps from told_ to the last known number in the series of
  // told_.
  void EndSeries(Ranges& ranges);
  // Returns the next series after the series of told_ that has known numbers,
  // but at most `limit`.
  std::int64_t NextSeries(std::int64_t limit) const;
  // Appends the numbers from told_ + 1 to `last`, which are in one series.
  void Tell(std::int64_t last, Ranges& ranges);
  // Returns the first number above told_ in `sorted`. Searches from the index
  // `next`, and moves `next` to the result.
  std::int64_t NextOf(const std::vector<std::int64_t>& sorted,
                      std::size_t& next) const;

  const std::int64_t own_series_;
  const SequenceCensus census_;  // with sorted vectors

  std::int64_t told_;
  // Gaps that the store knows. The first gap may end shortly before told_; the
  // others are after it.
  std::deque<Gap> known_;
  std::int64_t known_last_;  // the last number that was added to known_
  std::size_t next_queued_ = 0;
  std::size_t next_quarantined_ = 0;
  std::size_t next_discarded_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_

// The numbers that no stored submission has, and why: duplicates, conflicts,
// what is in quarantine or in a queue, and what was never stored.

#ifndef SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_
#define SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/types/span.h"
#include "stores/sequence_series.h"
#include "stores/store.h"

namespace sluice {

enum class GapReason {
  kDuplicate,
  kConflict,
  kQuarantined,
  kQueued,
  kUnaccounted,  // nobody knows of it: it was not stored
  kOtherServer,  // another server may know of it
};

// Both ends belong to it.
struct SequenceRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  GapReason reason = GapReason::kUnaccounted;

  bool operator==(const SequenceRange&) const = default;
};

// What a server knows of its own numbers at one moment.
struct SequenceCensus {
  std::int64_t last = 0;  // the last that it gave
  // In any order.
  std::vector<std::int64_t> queued;
  std::vector<std::int64_t> quarantined;
};

// Told of what is stored, in the order of the sequence, it tells what is
// between. Ranges are as long as their reason is the same, do not overlap, and
// ascend. What the store knows comes first, then the census; the census
// server's remaining numbers up to its last are kUnaccounted, those of others,
// up to the last of them that the store knows, kOtherServer. Not thread-safe.
class SequenceGaps {
 public:
  // Of the numbers after `after`.
  SequenceGaps(std::int64_t after, SequenceCensus census);

  // Whether it was given after the census: such are not told.
  bool IsLater(std::int64_t sequence) const;

  // Gaps that the store knows, ascending. Those that it was told before, or
  // that are later, are left out, so that a page may be read twice.
  void AddKnown(absl::Span<const Gap> gaps);

  // What is between the last submission, or `after`, and this one.
  std::vector<SequenceRange> Before(std::int64_t stored);

  // What comes after the last submission.
  std::vector<SequenceRange> End();

 private:
  using Ranges = std::vector<SequenceRange>;

  // Everything up to the end of the series that told_ is in, as far as it is
  // known.
  void EndSeries(Ranges& ranges);
  // The first series after that of told_ that has numbers to tell, if it is
  // before `limit`, or else `limit`.
  std::int64_t NextSeries(std::int64_t limit) const;
  // All of told_ + 1 to `last`, in one series.
  void Tell(std::int64_t last, Ranges& ranges);
  // The first in `sorted`, from `next` on, that is after told_; moves `next`.
  std::int64_t NextOf(const std::vector<std::int64_t>& sorted,
                      std::size_t& next) const;

  const std::int64_t own_series_;
  const SequenceCensus census_;  // sorted

  std::int64_t told_;
  std::deque<Gap> known_;
  std::int64_t known_last_;
  std::size_t next_queued_ = 0;
  std::size_t next_quarantined_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_SEQUENCE_GAPS_H_

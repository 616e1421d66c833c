// Sequence numbers of servers that share a store. Each server has its own
// number and its own series of 2^40 sequence numbers: server N counts from N *
// 2^40 + 1 on. A server that does not share its store is server 0.

#ifndef SLUICE_BASE_SEQUENCE_SERIES_H_
#define SLUICE_BASE_SEQUENCE_SERIES_H_

#include <cstdint>

namespace sluice {

inline constexpr int kSeriesBits = 40;

// Returns the number of the server that assigned `sequence`.
constexpr std::int64_t SeriesOf(std::int64_t sequence) {
  return sequence >> kSeriesBits;
}

// Returns the number before the first of the server's series. No submission has
// it.
constexpr std::int64_t BeginOfSeries(std::int64_t series) {
  return series << kSeriesBits;
}

// Returns the place of `sequence` in its series, counted from 1.
constexpr std::int64_t PlaceInSeries(std::int64_t sequence) {
  return sequence - BeginOfSeries(SeriesOf(sequence));
}

}  // namespace sluice

#endif  // SLUICE_BASE_SEQUENCE_SERIES_H_

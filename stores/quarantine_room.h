// Shares the room of a quarantine among studies, by count and by bytes.
//
// A study may use as much as it leaves free for others (a dynamic threshold, as
// in the Gate). One study alone therefore gets half of the room, two studies
// get a third each, and there is always some room for another study.
//
// A study may fill its share only with submissions that are acknowledged
// already. New submissions of the study are no longer acknowledged while the
// share has less room than a full queue would need. Otherwise acknowledged
// submissions could find the quarantine full.

#ifndef SLUICE_STORES_QUARANTINE_ROOM_H_
#define SLUICE_STORES_QUARANTINE_ROOM_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace sluice {

// Limits of a quarantine. A content that exceeds `max_bytes` is still accepted
// if the limit was not reached before.
struct QuarantineLimits {
  std::size_t max = 100'000;
  std::size_t max_bytes = std::size_t{2} << 30;
  // Limits of the queue whose submissions may move into the quarantine.
  std::size_t queue = 0;
  std::size_t queue_bytes = 0;
};

// Not thread-safe.
class QuarantineRoom {
 public:
  explicit QuarantineRoom(const QuarantineLimits& limits) : limits_(limits) {}

  void SetLimits(const QuarantineLimits& limits) { limits_ = limits; }

  void Add(std::string_view study_id, std::size_t bytes,
           std::size_t entries = 1);
  // Removes an entry that was added.
  void Remove(std::string_view study_id, std::size_t bytes);

  struct Use {
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };

  // True if the quarantine has room for another submission of the study, in
  // addition to `more_of_study`, which is a part of `more`.
  bool MayAdd(std::string_view study_id, const Use& more_of_study,
              const Use& more) const;
  bool MayAdd(std::string_view study_id) const {
    return MayAdd(study_id, {}, {});
  }
  // True if submissions of the study may be acknowledged: even if the queue
  // were full of them, the quarantine would have room for all of them.
  bool MayPromise(std::string_view study_id) const;
  // Cheaper than MayPromise. If true, MayPromise returns true for every study.
  // Always true while less than a quarter of the room is used.
  bool MayPromiseAll() const;

  std::size_t entries() const { return total_.entries; }
  std::size_t bytes() const { return total_.bytes; }

 private:
  Use UseOf(std::string_view study_id) const;
  // Returns the room that is left if `more` is added.
  Use Free(const Use& more) const;

  QuarantineLimits limits_;
  Use total_;
  // Studies that use the quarantine.
  absl::flat_hash_map<std::string, Use> studies_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_QUARANTINE_ROOM_H_

#include "stores/quarantine_room.h"

#include <algorithm>

#include "base/check.h"

namespace sluice {

void QuarantineRoom::Add(std::string_view study_id, std::size_t bytes,
                         std::size_t entries) {
  Use& use = studies_[std::string(study_id)];
  use.entries += entries;
  use.bytes += bytes;
  total_.entries += entries;
  total_.bytes += bytes;
}

void QuarantineRoom::Remove(std::string_view study_id, std::size_t bytes) {
  const auto use = studies_.find(std::string(study_id));
  SLUICE_DCHECK(use != studies_.end());
  if (use == studies_.end()) return;
  SLUICE_DCHECK(use->second.entries > 0);
  // The content of a damaged entry may have grown since it was added.
  bytes = std::min(bytes, use->second.bytes);
  --use->second.entries;
  use->second.bytes -= bytes;
  --total_.entries;
  total_.bytes -= bytes;
  if (use->second.entries == 0) studies_.erase(use);
}

bool QuarantineRoom::MayAdd(std::string_view study_id, const Use& more_of_study,
                            const Use& more) const {
  const Use use = UseOf(study_id);
  const Use free = Free(more);
  return use.entries + more_of_study.entries < free.entries &&
         use.bytes + more_of_study.bytes < free.bytes;
}

bool QuarantineRoom::MayPromise(std::string_view study_id) const {
  // Count the queue twice: its submissions would add to the use of the study,
  // and would also reduce the free room.
  const Use use = UseOf(study_id);
  const Use free = Free({});
  return use.entries + 2 * limits_.queue <= free.entries &&
         use.bytes + 2 * limits_.queue_bytes <= free.bytes;
}

bool QuarantineRoom::MayPromiseAll() const {
  // No study uses more than the total.
  return 2 * (total_.entries + limits_.queue) <= limits_.max &&
         2 * (total_.bytes + limits_.queue_bytes) <= limits_.max_bytes;
}

QuarantineRoom::Use QuarantineRoom::UseOf(std::string_view study_id) const {
  const auto use = studies_.find(std::string(study_id));
  return use == studies_.end() ? Use() : use->second;
}

QuarantineRoom::Use QuarantineRoom::Free(const Use& more) const {
  const std::size_t entries = total_.entries + more.entries;
  const std::size_t bytes = total_.bytes + more.bytes;
  return {.entries = limits_.max - std::min(limits_.max, entries),
          .bytes = limits_.max_bytes - std::min(limits_.max_bytes, bytes)};
}

}  // namespace sluice

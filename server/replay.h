// Puts acknowledged submissions back into the queue of their pool: from the
// journals after a start, and from quarantine when an operator asks for it.

#ifndef SLUICE_SERVER_REPLAY_H_
#define SLUICE_SERVER_REPLAY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/methods.h"
#include "server/pools.h"

namespace sluice {

// Puts all entries of all journals into their queues, in the order of each
// journal, also beyond the queues' capacity. Call it before calls arrive.
absl::Status ReplayJournals(const Pools& pools, const Methods& methods);

// Moves a submission out of quarantine and into the queue of `pool`, which has
// a journal. RESOURCE_EXHAUSTED if the queue is full, NOT_FOUND if no
// quarantined submission has the sequence number, or an error of the journal;
// then the quarantine is as before. Thread-safe.
absl::Status RetryQuarantined(const ServerPool& pool, const Methods& methods,
                              std::int64_t sequence);

}  // namespace sluice

#endif  // SLUICE_SERVER_REPLAY_H_

// Puts acknowledged submissions back into the queues of their pools: from the
// journals after a start, and from quarantine at an operator's request.

#ifndef SLUICE_SERVER_REPLAY_H_
#define SLUICE_SERVER_REPLAY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/methods.h"
#include "server/pools.h"

namespace sluice {

// Puts all entries of all journals into their queues, in the order of each
// journal, even beyond the queues' capacity. Must be called before calls
// arrive.
absl::Status ReplayJournals(const Pools& pools, const Methods& methods);

// Moves a submission out of quarantine and into the queue of `pool`, which has
// a journal. RESOURCE_EXHAUSTED if the queue is full. NOT_FOUND if no
// quarantined submission has this sequence number. Also returns errors of the
// journal. After any error the quarantine is unchanged. Thread-safe.
absl::Status RetryQuarantined(const ServerPool& pool, const Methods& methods,
                              std::int64_t sequence);

}  // namespace sluice

#endif  // SLUICE_SERVER_REPLAY_H_

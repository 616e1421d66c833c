// Scheduling of threads that work in batches.

#ifndef SLUICE_POOL_THROUGHPUT_H_
#define SLUICE_POOL_THROUGHPUT_H_

namespace sluice {

// Tells the scheduler that this thread is for throughput (SCHED_BATCH). Waking
// the thread then does not interrupt a completion loop on the same core, so
// that the loop gathers larger batches. If the system does not allow it, the
// program still works, but more slowly.
void PreferThroughput();

}  // namespace sluice

#endif  // SLUICE_POOL_THROUGHPUT_H_

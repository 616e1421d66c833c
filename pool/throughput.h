// How the scheduler is to take threads that work in batches.

#ifndef SLUICE_POOL_THROUGHPUT_H_
#define SLUICE_POOL_THROUGHPUT_H_

namespace sluice {

// Tells the scheduler that this thread is for throughput (SCHED_BATCH): waking
// it does not interrupt a completion loop on the same core, which so gathers
// larger batches. Where it is not allowed, nothing is lost but speed.
void PreferThroughput();

}  // namespace sluice

#endif  // SLUICE_POOL_THROUGHPUT_H_

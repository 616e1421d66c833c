// Scheduling of threads that work for throughput, or for nobody in a hurry.

#ifndef SLUICE_BASE_SCHEDULING_H_
#define SLUICE_BASE_SCHEDULING_H_

namespace sluice {

// Tells the scheduler that this thread is for throughput (SCHED_BATCH). Waking
// the thread then does not interrupt a completion loop on the same core, so
// that the loop gathers larger batches. If the system does not allow it, the
// program still works, but more slowly.
void PreferThroughput();

// Lets the threads that take and store submissions go first: this thread then
// gets a tenth of what one of them gets of a core that both need (nice 10). For
// work that a caller can ask for in any amount. Cheap if called again.
void LetOthersGoFirst();

}  // namespace sluice

#endif  // SLUICE_BASE_SCHEDULING_H_

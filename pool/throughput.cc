#include "pool/throughput.h"

#include <pthread.h>
#include <sched.h>

namespace sluice {

void PreferThroughput() {
  const sched_param no_priority{};
  pthread_setschedparam(pthread_self(), SCHED_BATCH, &no_priority);
}

}  // namespace sluice

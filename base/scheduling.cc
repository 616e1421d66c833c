#include "base/scheduling.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sluice {

void PreferThroughput() {
  const sched_param no_priority{};
  pthread_setschedparam(pthread_self(), SCHED_BATCH, &no_priority);
}

void LetOthersGoFirst() {
  constexpr int kNice = 10;
  thread_local bool goes_last = false;
  if (goes_last) return;
  goes_last = true;
  // On Linux the nice value belongs to the thread.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace sluice

// What all calls of one method share.

#ifndef SLUICE_SERVER_SUBMISSIONS_METHOD_CONTEXT_H_
#define SLUICE_SERVER_SUBMISSIONS_METHOD_CONTEXT_H_

#include "config/config.h"
#include "config/method.h"
#include "server/metrics/rpc_metrics.h"
#include "server/submissions/leftovers.h"
#include "server/submissions/method_settings.h"

namespace sluice {

class JournalWriter;
class RecentIds;
class WorkerPool;

// Constant once the server runs, but for what `settings` has to give; the
// server owns it and what it points to.
struct MethodContext {
  Method method;
  LimitsConfig limits;
  const LiveMethodSettings* settings;
  WorkerPool* pool;
  JournalWriter* journal;  // null where the pool's queue is in memory
  RecentIds* recent;
  RpcMetrics* rpc_metrics;
  Leftovers* leftovers;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_METHOD_CONTEXT_H_

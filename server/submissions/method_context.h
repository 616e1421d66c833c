// The settings and objects that all calls of one method share.

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

// Constant while the server runs; only the value behind `settings` may change.
// The server owns the context and the objects that it points to.
struct MethodContext {
  Method method;
  LimitsConfig limits;
  const LiveMethodSettings* settings;
  WorkerPool* pool;
  JournalWriter* journal;  // null if the pool's queue is in memory
  RecentIds* recent;
  RpcMetrics* rpc_metrics;
  Leftovers* leftovers;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_METHOD_CONTEXT_H_

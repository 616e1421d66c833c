// What all calls of one method share.

#ifndef SLUICE_SERVER_METHOD_CONTEXT_H_
#define SLUICE_SERVER_METHOD_CONTEXT_H_

#include <memory>

#include "config/config.h"
#include "config/method.h"
#include "policies/admission_policy.h"
#include "server/leftovers.h"
#include "server/rpc_metrics.h"

namespace sluice {

class JournalWriter;
class RecentIds;
class WorkerPool;

// Constant once the server runs; the server owns it and what it points to.
struct MethodContext {
  Method method;
  MethodConfig config;
  LimitsConfig limits;
  std::unique_ptr<const AdmissionPolicy> policy;
  // A call that finds the pool full is refused before it is read. Not so where
  // the policy drops: what is dropped is answered entry by entry.
  bool refuses_unread;
  WorkerPool* pool;
  JournalWriter* journal;  // null where the pool's queue is in memory
  RecentIds* recent;
  RpcMetrics* rpc_metrics;
  Leftovers* leftovers;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METHOD_CONTEXT_H_

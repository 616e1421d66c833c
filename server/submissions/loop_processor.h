// What the processors of tasks that belong to calls have in common.

#ifndef SLUICE_SERVER_SUBMISSIONS_LOOP_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSIONS_LOOP_PROCESSOR_H_

#include <span>

#include "pool/worker_pool.h"
#include "server/transport/completion_loop.h"

namespace sluice {

class LoopProcessor : public Processor {
 public:
  // What the tasks have for their calls goes to the loops as one.
  void HandBack(std::span<Task* const> tasks) override {
    const CompletionLoop::PostBatch batch;
    Processor::HandBack(tasks);
  }
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_LOOP_PROCESSOR_H_

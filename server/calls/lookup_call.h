// GetReceipts: "did you get it?", answered from the store by a pool of its own.

#ifndef SLUICE_SERVER_CALLS_LOOKUP_CALL_H_
#define SLUICE_SERVER_CALLS_LOOKUP_CALL_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pool/task.h"
#include "pool/worker_pool.h"
#include "server/calls/intake.h"
#include "server/calls/unary_call.h"
#include "server/submissions/recent_ids.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// Where a submission may be.
struct LookupSources {
  Store* store;
  const RecentIds* recent;
  std::vector<Journal*> journals;
};

// The call is its own pool task and its own loop task: it outlives both.
class LookupCall final : public UnaryCall, public Task, public LoopTask {
 public:
  // Waits for a call. Everything must outlive the server's shutdown.
  static void Await(const MethodContext& method, const LookupIntake& intake,
                    RawService* service, CompletionLoop* loop);

  // By a worker.
  void Look(const LookupSources& sources);

  void OnEnded(TaskResult end, Duration retry_delay) override;
  void OnDone() override;
  void OnLoop() override;

 private:
  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCancelled() override;
  // Puts the receipts into the response.
  absl::Status FindReceipts(const LookupSources& sources);

  const LookupIntake* intake_ = nullptr;
  LookupIntake::Request lookup_;
  std::string response_;  // serialized
  std::string error_id_;  // where looking threw
  // Where the pool did not let it be worked.
  std::optional<Answer> ended_;
};

class LookupProcessor final : public Processor {
 public:
  // The sources must outlive the processor.
  explicit LookupProcessor(LookupSources sources)
      : sources_(std::move(sources)) {}

  // The batch must be of LookupCalls.
  StoreState Process(std::span<Task* const> batch) override;
  void HandBack(std::span<Task* const> tasks) override;

 private:
  const LookupSources sources_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_LOOKUP_CALL_H_

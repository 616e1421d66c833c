// GetReceipts: "did you get it?", answered from the store by a pool of its own.

#ifndef SLUICE_SERVER_LOOKUP_CALL_H_
#define SLUICE_SERVER_LOOKUP_CALL_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pool/task.h"
#include "pool/worker_pool.h"
#include "server/intake.h"
#include "server/unary_call.h"
#include "stores/store.h"

namespace sluice {

// The call is its own task: it outlives the task's way through the pool.
class LookupCall final : public UnaryCall, public Task {
 public:
  // Waits for a call. Everything must outlive the server's shutdown.
  static void Await(const MethodContext& method, const LookupIntake& intake,
                    RawService* service, CompletionLoop* loop);

  // By a worker.
  void Look(Store* store);

  void OnEnded(Ending ending, Duration retry_delay) override;
  void OnDone() override;

 private:
  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCancelled() override;

  const LookupIntake* intake_ = nullptr;
  LookupIntake::Request lookup_;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> found_;
  std::string error_id_;  // where looking threw
};

class LookupProcessor final : public Processor {
 public:
  // `store` must outlive the processor.
  explicit LookupProcessor(Store* store) : store_(store) {}

  // The batch must be of LookupCalls.
  void Process(std::span<Task* const> batch) override;

 private:
  Store* const store_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_LOOKUP_CALL_H_

// GetReceipts: tells clients the state of their submissions. The workers of a
// separate pool answer it from the store, the journals and the acknowledged
// submissions that are not stored yet.

#ifndef SLUICE_SERVER_CALLS_LOOKUP_CALL_H_
#define SLUICE_SERVER_CALLS_LOOKUP_CALL_H_

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/log_pace.h"
#include "pool/task.h"
#include "pool/worker_pool.h"
#include "server/calls/intake.h"
#include "server/calls/unary_call.h"
#include "server/submissions/recent_ids.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// The places where a submission may be found.
struct LookupSources {
  Store* store;
  const RecentIds* recent;
  std::vector<Journal*> journals;
  Clock* clock;
  // True once the pools close. Submissions may then leave a queue for their
  // journal's next start, where no look-up finds them.
  const std::atomic<bool>* closing;
};

// A call that is also its pool task and its loop task. The call outlives both
// uses, because its finish is due until OnLoop (call.h).
class LookupCall final : public UnaryCall, public Task, public LoopTask {
 public:
  // Asks gRPC for a call. The arguments must outlive the server's shutdown.
  static void Await(const MethodContext& method, const LookupIntake& intake,
                    RawService* service, CompletionLoop* loop);

  // Looks up the submissions, and sets the result. Called once, by a worker.
  // `log_pace` paces the log lines of failures.
  void Look(const LookupSources& sources, LogPace* log_pace);

  void OnEnded(TaskResult end, Duration retry_delay) override;
  void OnDone() override;
  void OnLoop() override;

 private:
  using UnaryCall::UnaryCall;

  void OnRequest() override;
  void AwaitAnother() override;
  void OnCallerLeft() override;
  // Writes the receipts into the response.
  absl::Status FindReceipts(const LookupSources& sources);

  const LookupIntake* intake_ = nullptr;
  LookupIntake::Request lookup_;
  std::string response_;      // serialized response
  bool has_unknown_ = false;  // true if the response has an unknown id
  // The answer if there is no response.
  std::optional<Answer> error_;
};

class LookupProcessor final : public Processor {
 public:
  // The sources must outlive the processor.
  explicit LookupProcessor(LookupSources sources)
      : sources_(std::move(sources)) {}

  // Processes a batch, whose tasks must be LookupCalls.
  StoreState Process(std::span<Task* const> batch) override;
  void HandBack(std::span<Task* const> tasks) override;

 private:
  const LookupSources sources_;
  LogPace log_pace_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_LOOKUP_CALL_H_

// What callers are told: the one place that turns what became of a submission
// into a gRPC status or a receipt.
//
//   what happened                     status              in a stream or bulk
//   --------------------------------  ------------------  --------------------
//   stored, duplicate, queued,        OK, a receipt       its receipt
//     dropped, also when it was queued
//   same id, other content            ALREADY_EXISTS      CONFLICT
//   malformed, missing id, too large  INVALID_ARGUMENT    INVALID, the issues
//   queue or waiting room full,       RESOURCE_EXHAUSTED  REFUSED, retry_delay
//     wait over
//   draining, store unavailable       UNAVAILABLE         REFUSED, retry_delay
//   caller's deadline while parked    DEADLINE_EXCEEDED   REFUSED
//   caller gone                       CANCELLED           REFUSED
//   the task threw                    INTERNAL, error id  REFUSED, error id
//
// RESOURCE_EXHAUSTED and UNAVAILABLE carry google.rpc.ErrorInfo and RetryInfo,
// and the trailer grpc-retry-pushback-ms that gRPC's own retries obey (gRFC
// A6). Clients that follow OTLP take a RESOURCE_EXHAUSTED without RetryInfo as
// final.

#ifndef SLUICE_SERVER_SUBMISSIONS_ANSWER_H_
#define SLUICE_SERVER_SUBMISSIONS_ANSWER_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/time.h"
#include "forms/wire_check.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "pool/task_result.h"
#include "stores/store.h"

namespace sluice {

struct Answer {
  enum class Kind {
    kStored,
    kQueued,
    kDuplicate,
    kDropped,
    kConflict,
    kInvalid,
    kRefused,
    kDeadline,
    kCancelled,
    kFailed,
  };

  // Of a kind that needs no more.
  static Answer Of(Kind kind) {
    Answer answer;
    answer.kind = kind;
    return answer;
  }
  static Answer Invalid(Violation violation);
  // `reason` must be a refusal (IsRefusal).
  static Answer Refused(TaskResult reason, Duration retry_delay);
  // For a task that the pool ended, on arrival or later: a refusal, kDropped or
  // kDeadline.
  static Answer Ended(TaskResult result, Duration retry_delay);
  // The store did not take it.
  static Answer Unavailable();
  // Of what is kept. A duplicate is as another, of which it has the receipt; so
  // may one that is queued be.
  static Answer Stored(const StoredReceipt& kept);
  static Answer Queued(const StoredReceipt& kept);
  static Answer Duplicate(const StoredReceipt& first);
  static Answer Failed(const std::string& error_id);

  // Whether the unary status is OK.
  bool ok() const;

  Kind kind = Kind::kCancelled;
  // Of kRefused.
  TaskResult reason = TaskResult::kQueueFull;
  // Of what was kept, or is about to be.
  StoredReceipt kept;
  // Of kRefused. Each is told a time of its own, 0.8 to 1.2 of
  // when room is expected, so that a herd does not come back as one.
  absl::Duration retry_delay;
  // Of kInvalid; of kFailed, with the id that finds the log line. Never null
  // there.
  std::shared_ptr<const Violation> why;
};

std::string_view Explain(TaskResult reason);

// The status for a unary caller; adds the pushback trailer to `context`.
grpc::Status ToStatus(const Answer& answer, grpc::ServerContext* context);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_ANSWER_H_

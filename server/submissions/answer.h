// Turns the result of a submission, or of a call, into an answer, and an answer
// into a gRPC status. No other code does this conversion.
// server/calls/receipt.h writes the receipts in a stream or a bulk response
// from the same answers. (The health service has its own protocol and
// statuses.)
//
//   what happened                     status              in a stream or bulk
//   --------------------------------  ------------------  --------------------
//   stored, duplicate, queued,        OK, a receipt       its receipt
//     dropped on arrival or later
//   same id, other content            ALREADY_EXISTS      CONFLICT
//   malformed, missing id, too large  INVALID_ARGUMENT    INVALID, the issues
//   queue or waiting room full,       RESOURCE_EXHAUSTED  REFUSED, retry_delay
//     wait over, quarantine full
//   draining, store unavailable,      UNAVAILABLE         REFUSED, retry_delay
//     disk full, reserved numbers
//     used up
//   caller's deadline while parked    DEADLINE_EXCEEDED   REFUSED
//   caller cancelled or disconnected  CANCELLED           REFUSED
//   processing threw                  INTERNAL, error id  REFUSED, error id
//
// RESOURCE_EXHAUSTED and UNAVAILABLE carry google.rpc.ErrorInfo and RetryInfo,
// and the trailer grpc-retry-pushback-ms, which gRPC's own retries obey (gRFC
// A6). Clients that follow OTLP do not retry a RESOURCE_EXHAUSTED without
// RetryInfo.

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

  // Returns an answer of a kind that needs no further field.
  static Answer Of(Kind kind) {
    Answer answer;
    answer.kind = kind;
    return answer;
  }
  static Answer Invalid(Violation violation);

  // Returns a refusal. The retry delay is multiplied by a random factor of 0.8
  // to 1.2, so that refused callers do not all return at once. `reason` must be
  // a refusal (IsRefusal).
  static Answer Refused(TaskResult reason, Duration retry_delay);
  // Returns the refusal of a server that shuts down, for calls that never
  // reached a pool.
  static Answer ShuttingDown();
  // Returns the refusal of a submission that the store or the journal failed to
  // save.
  static Answer Unavailable();
  // Returns the refusal of a submission that cannot be acknowledged until an
  // operator or another program acts. `reason` is kQuarantineFull, kDiskFull or
  // kNumbersUsedUp.
  static Answer NotPromised(TaskResult reason);
  // Returns the refusal of a submission that would follow a leader which has
  // too many followers already.
  static Answer TooManyFollowers();

  // Returns the answer for a task that the pool ended, on arrival or later,
  // with a refusal, kDropped or kDeadline.
  static Answer Ended(TaskResult result, Duration retry_delay);
  // Returns the answer for a call that gRPC reports as cancelled. gRPC also
  // reports this when the deadline has passed.
  static Answer Cancelled(bool deadline_passed);
  // Returns the answer for a submission whose processing threw an exception.
  // The log has `error_id`.
  static Answer Failed(const std::string& error_id);

  // Returns the answer for a result of the store: stored, duplicate or
  // conflict. The result must not be kSequenceTaken.
  static Answer FromStore(const Saved& saved);
  // Return the answer with `kept`, the receipt under which the submission is
  // known. For a duplicate, also a queued one, this is the receipt of the first
  // submission.
  static Answer Stored(const StoredReceipt& kept);
  static Answer Queued(const StoredReceipt& kept);
  static Answer Duplicate(const StoredReceipt& kept);
  // Returns the answer for a follower, from the leader's answer `leader`: both
  // have the same id and content. The leader may belong to another method:
  // `may_be_dropped` is false if the follower's method never answers that a
  // submission was dropped.
  static Answer ForFollower(const Answer& leader, bool may_be_dropped);

  // True if the status of a unary call is OK.
  bool ok() const;
  // True if the submission was refused or dropped although the server keeps
  // running.
  bool turned_away() const {
    return kind == Kind::kDropped ||
           (kind == Kind::kRefused && reason != TaskResult::kDraining);
  }

  Kind kind = Kind::kCancelled;
  // Reason of the refusal, for kRefused.
  TaskResult reason = TaskResult::kQueueFull;
  // Receipt, for kStored, kQueued and kDuplicate.
  StoredReceipt kept;
  // For kRefused: the delay after which the caller should try again.
  absl::Duration retry_delay;
  // The problem, for kInvalid and kFailed, which always set it. For kFailed the
  // description contains the error id.
  std::shared_ptr<const Violation> why;
};

// Returns a phrase that explains the refusal `reason`. Returns an empty string
// for other results.
std::string_view Explain(TaskResult reason);

// Returns the status for the caller of `context`. Adds the pushback trailer to
// `context` if the answer is a refusal.
grpc::Status ToStatus(const Answer& answer, grpc::ServerContext* context);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_ANSWER_H_

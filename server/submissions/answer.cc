#include "server/submissions/answer.h"

#include <array>
#include <chrono>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sluice {
namespace {

constexpr char kPushbackTrailer[] = "grpc-retry-pushback-ms";
constexpr char kErrorDomain[] = "sluice";
// Retry delays for refusals without a measured rate: the store failed, the
// server restarts, or a follower must retry because the leader's caller has
// cancelled.
constexpr Duration kStoreRetryDelay = std::chrono::seconds(1);
constexpr Duration kRestartRetryDelay = std::chrono::seconds(1);
constexpr Duration kFollowerRetryDelay = std::chrono::milliseconds(50);
// Retry delay for refusals that last until an operator or another program acts.
constexpr Duration kNotPromisedRetryDelay = std::chrono::seconds(30);

absl::Duration Jittered(absl::Duration delay) {
  thread_local absl::BitGen random;
  return delay * absl::Uniform(random, 0.8, 1.2);
}

void SetDuration(absl::Duration from, google::protobuf::Duration* to) {
  const std::int64_t milliseconds = absl::ToInt64Milliseconds(from);
  to->set_seconds(milliseconds / 1000);
  to->set_nanos(static_cast<std::int32_t>(milliseconds % 1000 * 1'000'000));
}

grpc::Status WithDetails(
    grpc::StatusCode code, const std::string& message,
    std::initializer_list<const google::protobuf::Message*> details) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  for (const auto* detail : details) status.add_details()->PackFrom(*detail);
  return grpc::Status(code, message, status.SerializeAsString());
}

std::string Describe(const Violation& violation) {
  return violation.field.empty()
             ? violation.description
             : absl::StrCat(violation.field, ": ", violation.description);
}

grpc::Status InvalidStatus(const Violation& violation) {
  google::rpc::BadRequest bad_request;
  auto* field = bad_request.add_field_violations();
  field->set_field(violation.field);
  field->set_description(violation.description);
  return WithDetails(grpc::StatusCode::INVALID_ARGUMENT, Describe(violation),
                     {&bad_request});
}

// The part of a refusal that depends on its reason alone.
struct Refusal {
  grpc::StatusCode code;
  std::string message;
  std::string details;  // serialized google.rpc.Status without RetryInfo
};

Refusal MakeRefusal(TaskResult reason) {
  const bool unavailable = reason == TaskResult::kDraining ||
                           reason == TaskResult::kStoreUnavailable ||
                           reason == TaskResult::kDiskFull ||
                           reason == TaskResult::kNumbersUsedUp;
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(RefusalReasonName(reason)));
  info.set_domain(kErrorDomain);
  const grpc::Status status =
      WithDetails(unavailable ? grpc::StatusCode::UNAVAILABLE
                              : grpc::StatusCode::RESOURCE_EXHAUSTED,
                  std::string(Explain(reason)), {&info});
  return {status.error_code(), status.error_message(), status.error_details()};
}

// Serialize each refusal once: under overload, refusing must cost far less than
// accepting.
const Refusal& RefusalFor(TaskResult reason) {
  static const auto* const all = [] {
    auto* const made = new std::array<Refusal, kTaskResults>;
    for (const TaskResult each : kRefusals) {
      (*made)[Index(each)] = MakeRefusal(each);
    }
    return made;
  }();
  return (*all)[Index(reason)];
}

// Appends RetryInfo to serialized details. Concatenating two serialized
// messages of one type merges them: the result has the repeated fields of both.
void AppendRetryInfo(absl::Duration delay, std::string* details) {
  thread_local google::rpc::RetryInfo retry;
  thread_local google::rpc::Status status;
  SetDuration(delay, retry.mutable_retry_delay());
  status.clear_details();
  status.add_details()->PackFrom(retry);
  status.AppendToString(details);
}

grpc::Status RefusedStatus(const Answer& answer, grpc::ServerContext* context) {
  const Refusal& refusal = RefusalFor(answer.reason);
  std::string details = refusal.details;
  AppendRetryInfo(answer.retry_delay, &details);
  context->AddTrailingMetadata(
      kPushbackTrailer,
      absl::StrCat(absl::ToInt64Milliseconds(answer.retry_delay)));
  return grpc::Status(refusal.code, refusal.message, details);
}

Answer Kept(Answer::Kind kind, const StoredReceipt& kept) {
  Answer answer = Answer::Of(kind);
  answer.kept = kept;
  return answer;
}

}  // namespace

std::string_view Explain(TaskResult reason) {
  switch (reason) {
    case TaskResult::kQueueFull:
      return "the queue is full";
    case TaskResult::kWaitOver:
      return "the queue stayed full for the longest wait that the method "
             "allows";
    case TaskResult::kWaitingRoomFull:
      return "the queue and its waiting room are full";
    case TaskResult::kDraining:
      return "the server is shutting down";
    case TaskResult::kStoreUnavailable:
      return "the store is unavailable";
    case TaskResult::kQuarantineFull:
      return "too many submissions of the study are in quarantine";
    case TaskResult::kDiskFull:
      return "the disk of the journal is nearly full";
    case TaskResult::kNumbersUsedUp:
      return "the reserved sequence numbers are used up, and the store is "
             "unavailable";
    case TaskResult::kHopeless:
      return "the result would come after the caller's deadline";
    default:
      return "";
  }
}

Answer Answer::Invalid(Violation violation) {
  Answer answer = Of(Kind::kInvalid);
  answer.why = std::make_shared<const Violation>(std::move(violation));
  return answer;
}

Answer Answer::Refused(TaskResult reason, Duration retry_delay) {
  SLUICE_DCHECK(IsRefusal(reason));
  Answer answer = Of(Kind::kRefused);
  answer.reason = reason;
  answer.retry_delay = Jittered(absl::FromChrono(retry_delay));
  return answer;
}

Answer Answer::Ended(TaskResult result, Duration retry_delay) {
  if (IsRefusal(result)) return Refused(result, retry_delay);
  SLUICE_DCHECK(result == TaskResult::kDropped ||
                result == TaskResult::kDeadline);
  return Of(result == TaskResult::kDropped ? Kind::kDropped : Kind::kDeadline);
}

Answer Answer::Unavailable() {
  return Refused(TaskResult::kStoreUnavailable, kStoreRetryDelay);
}

Answer Answer::NotPromised(TaskResult reason) {
  SLUICE_DCHECK(reason == TaskResult::kQuarantineFull ||
                reason == TaskResult::kDiskFull ||
                reason == TaskResult::kNumbersUsedUp);
  return Refused(reason, kNotPromisedRetryDelay);
}

Answer Answer::ShuttingDown() {
  return Refused(TaskResult::kDraining, kRestartRetryDelay);
}

Answer Answer::TooManyFollowers() {
  return Refused(TaskResult::kWaitingRoomFull, kFollowerRetryDelay);
}

Answer Answer::Cancelled(bool deadline_passed) {
  return Of(deadline_passed ? Kind::kDeadline : Kind::kCancelled);
}

Answer Answer::FromStore(const Saved& saved) {
  SLUICE_DCHECK(saved.result != Saved::Result::kSequenceTaken);
  const StoredReceipt kept = {.sequence = saved.sequence,
                              .received_at = saved.received_at,
                              .content_sha256 = saved.content_sha256};
  switch (saved.result) {
    case Saved::Result::kStored:
      return Stored(kept);
    case Saved::Result::kDuplicate:
      return Duplicate(kept);
    case Saved::Result::kConflict:
    case Saved::Result::kSequenceTaken:
      break;
  }
  return Of(Kind::kConflict);
}

Answer Answer::ForFollower(const Answer& leader, bool may_be_dropped) {
  switch (leader.kind) {
    case Kind::kStored:
    case Kind::kDuplicate:
      return Duplicate(leader.kept);
    case Kind::kRefused:
      // Give the follower its own random retry delay.
      return Refused(leader.reason, ToMonotonic(leader.retry_delay));
    case Kind::kDropped:
      return may_be_dropped
                 ? leader
                 : Refused(TaskResult::kQueueFull, kFollowerRetryDelay);
    case Kind::kDeadline:
    case Kind::kCancelled:
      // The leader's caller no longer waits, but the follower's caller does.
      return Refused(TaskResult::kWaitOver, kFollowerRetryDelay);
    default:
      return leader;
  }
}

Answer Answer::Stored(const StoredReceipt& kept) {
  return Kept(Kind::kStored, kept);
}

Answer Answer::Queued(const StoredReceipt& kept) {
  return Kept(Kind::kQueued, kept);
}

Answer Answer::Duplicate(const StoredReceipt& kept) {
  return Kept(Kind::kDuplicate, kept);
}

Answer Answer::Failed(const std::string& error_id) {
  Answer answer = Of(Kind::kFailed);
  answer.why = std::make_shared<const Violation>(
      Violation{"", absl::StrCat("internal error ", error_id)});
  return answer;
}

bool Answer::ok() const {
  return kind == Kind::kStored || kind == Kind::kQueued ||
         kind == Kind::kDuplicate || kind == Kind::kDropped;
}

grpc::Status ToStatus(const Answer& answer, grpc::ServerContext* context) {
  switch (answer.kind) {
    case Answer::Kind::kStored:
    case Answer::Kind::kQueued:
    case Answer::Kind::kDuplicate:
    case Answer::Kind::kDropped:
      return grpc::Status::OK;
    case Answer::Kind::kConflict:
      return grpc::Status(grpc::StatusCode::ALREADY_EXISTS,
                          "submission_id: already used for different content");
    case Answer::Kind::kInvalid:
      return InvalidStatus(*answer.why);
    case Answer::Kind::kRefused:
      return RefusedStatus(answer, context);
    case Answer::Kind::kDeadline:
      return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                          "the deadline passed while waiting for room");
    case Answer::Kind::kCancelled:
      return grpc::Status(grpc::StatusCode::CANCELLED,
                          "the caller cancelled or disconnected");
    case Answer::Kind::kFailed:
      return grpc::Status(grpc::StatusCode::INTERNAL, Describe(*answer.why));
  }
  return grpc::Status(grpc::StatusCode::INTERNAL, "no answer");
}

}  // namespace sluice

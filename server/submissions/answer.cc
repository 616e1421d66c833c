#include "server/submissions/answer.h"

#include <array>
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
// A store that failed is given this long before the next try.
constexpr absl::Duration kStoreRetryDelay = absl::Seconds(1);

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

// What is the same in every refusal for one reason.
struct Refusal {
  grpc::StatusCode code;
  std::string message;
  std::string details;  // a google.rpc.Status, without the delay
};

Refusal MakeRefusal(TaskResult reason) {
  const bool away = reason == TaskResult::kDraining ||
                    reason == TaskResult::kStoreUnavailable;
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(RefusalReasonName(reason)));
  info.set_domain(kErrorDomain);
  const grpc::Status status =
      WithDetails(away ? grpc::StatusCode::UNAVAILABLE
                       : grpc::StatusCode::RESOURCE_EXHAUSTED,
                  std::string(Explain(reason)), {&info});
  return {status.error_code(), status.error_message(), status.error_details()};
}

// Refusing must cost far less than accepting, so that each is made once.
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

// To be appended to the details of a refusal: serialized messages of one type,
// one after the other, are one message with the repeated fields of both.
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
      return "the queue stayed full for as long as the method waits";
    case TaskResult::kWaitingRoomFull:
      return "the queue is full, and so is its waiting room";
    case TaskResult::kDraining:
      return "the server is shutting down";
    case TaskResult::kStoreUnavailable:
      return "the store cannot be reached";
    case TaskResult::kHopeless:
      return "it would not be done in the time that it has";
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
  return Of(result == TaskResult::kDropped ? Kind::kDropped : Kind::kDeadline);
}

Answer Answer::Unavailable() {
  return Refused(TaskResult::kStoreUnavailable,
                 absl::ToChronoNanoseconds(kStoreRetryDelay));
}

Answer Answer::Stored(const StoredReceipt& kept) {
  return Kept(Kind::kStored, kept);
}

Answer Answer::Queued(const StoredReceipt& kept) {
  return Kept(Kind::kQueued, kept);
}

Answer Answer::Duplicate(const StoredReceipt& first) {
  return Kept(Kind::kDuplicate, first);
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
                          "submission_id: known with another content");
    case Answer::Kind::kInvalid:
      return InvalidStatus(*answer.why);
    case Answer::Kind::kRefused:
      return RefusedStatus(answer, context);
    case Answer::Kind::kDeadline:
      return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                          "the deadline passed while waiting for room");
    case Answer::Kind::kCancelled:
      return grpc::Status(grpc::StatusCode::CANCELLED, "the caller has gone");
    case Answer::Kind::kFailed:
      return grpc::Status(grpc::StatusCode::INTERNAL, Describe(*answer.why));
  }
  return grpc::Status(grpc::StatusCode::INTERNAL, "no answer");
}

}  // namespace sluice

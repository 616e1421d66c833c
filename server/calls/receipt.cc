#include "server/calls/receipt.h"

#include <cstdint>
#include <string>

#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace sluice {
namespace {

using google::protobuf::Timestamp;
using protozero::pbf_writer;
using v1::Receipt;

void WriteTime(absl::Time time, pbf_writer* receipt) {
  const std::int64_t microseconds = absl::ToUnixMicros(time);
  pbf_writer timestamp(*receipt, Receipt::kReceivedAtFieldNumber);
  timestamp.add_int64(Timestamp::kSecondsFieldNumber, microseconds / 1'000'000);
  timestamp.add_int32(
      Timestamp::kNanosFieldNumber,
      static_cast<std::int32_t>(microseconds % 1'000'000 * 1000));
}

void WriteRetryDelay(absl::Duration delay, pbf_writer* receipt) {
  using google::protobuf::Duration;
  const std::int64_t milliseconds = absl::ToInt64Milliseconds(delay);
  pbf_writer duration(*receipt, Receipt::kRetryDelayFieldNumber);
  duration.add_int64(Duration::kSecondsFieldNumber, milliseconds / 1000);
  duration.add_int32(
      Duration::kNanosFieldNumber,
      static_cast<std::int32_t>(milliseconds % 1000 * 1'000'000));
}

void WriteStart(Receipt::Disposition disposition,
                std::string_view submission_id, pbf_writer* receipt) {
  receipt->add_string(Receipt::kSubmissionIdFieldNumber, submission_id.data(),
                      submission_id.size());
  receipt->add_enum(Receipt::kDispositionFieldNumber, disposition);
}

}  // namespace

Receipt::Disposition ToDisposition(Answer::Kind kind) {
  switch (kind) {
    case Answer::Kind::kStored:
      return Receipt::STORED;
    case Answer::Kind::kQueued:
      return Receipt::QUEUED;
    case Answer::Kind::kDuplicate:
      return Receipt::DUPLICATE;
    case Answer::Kind::kDropped:
      return Receipt::DROPPED;
    case Answer::Kind::kConflict:
      return Receipt::CONFLICT;
    case Answer::Kind::kInvalid:
      return Receipt::INVALID;
    case Answer::Kind::kRefused:
    case Answer::Kind::kDeadline:
    case Answer::Kind::kCancelled:
    case Answer::Kind::kFailed:
      return Receipt::REFUSED;
  }
  return Receipt::DISPOSITION_UNSPECIFIED;
}

void WriteKept(Receipt::Disposition disposition, const StoredReceipt& kept,
               std::string_view submission_id, pbf_writer* receipt) {
  WriteStart(disposition, submission_id, receipt);
  receipt->add_int64(Receipt::kSequenceFieldNumber, kept.sequence);
  WriteTime(kept.received_at, receipt);
  receipt->add_bytes(Receipt::kContentSha256FieldNumber,
                     reinterpret_cast<const char*>(kept.content_sha256.data()),
                     kept.content_sha256.size());
}

void WriteOtherSequences(absl::Span<const std::int64_t> sequences,
                         pbf_writer* receipt) {
  receipt->add_packed_int64(Receipt::kOtherSequencesFieldNumber,
                            sequences.begin(), sequences.end());
}

void WriteIssue(std::string_view field, std::string_view description,
                pbf_writer* receipt) {
  pbf_writer issue(*receipt, Receipt::kIssueFieldNumber);
  issue.add_string(v1::Issue::kFieldFieldNumber, field.data(), field.size());
  issue.add_string(v1::Issue::kDescriptionFieldNumber, description.data(),
                   description.size());
}

void WriteReceipt(const Answer& answer, std::string_view submission_id,
                  pbf_writer* receipt) {
  const Receipt::Disposition disposition = ToDisposition(answer.kind);
  switch (answer.kind) {
    case Answer::Kind::kStored:
    case Answer::Kind::kQueued:
    case Answer::Kind::kDuplicate:
      return WriteKept(disposition, answer.kept, submission_id, receipt);
    case Answer::Kind::kRefused:
      WriteStart(disposition, submission_id, receipt);
      WriteIssue("", Explain(answer.reason), receipt);
      return WriteRetryDelay(answer.retry_delay, receipt);
    case Answer::Kind::kInvalid:
    case Answer::Kind::kFailed:
      WriteStart(disposition, submission_id, receipt);
      return WriteIssue(answer.why->field, answer.why->description, receipt);
    case Answer::Kind::kDropped:
    case Answer::Kind::kConflict:
    case Answer::Kind::kDeadline:
    case Answer::Kind::kCancelled:
      return WriteStart(disposition, submission_id, receipt);
  }
}

std::string_view SerializeReceipt(const Answer& answer,
                                  std::string_view submission_id) {
  thread_local std::string bytes;
  bytes.clear();
  pbf_writer receipt(bytes);
  WriteReceipt(answer, submission_id, &receipt);
  return bytes;
}

}  // namespace sluice

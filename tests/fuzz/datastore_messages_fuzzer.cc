// Any message of a datastore is read as a submission or receipt, or is rejected
// with an error without control characters. A value that was read is equal
// after it was written as a message and read again.
//
// Input: a byte that chooses the message type and the form of the remaining
// bytes: the serialized message, or the fields as FillMessage reads them.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "stores/datastore_messages.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

void RequireSafe(const absl::Status& status) {
  const absl::string_view text = status.message();
  Require(!text.empty() && IsPrintable({text.data(), text.size()}),
          "an error is one line of text");
}

bool Read(InputReader& reader, bool serialized,
          google::protobuf::Message& message) {
  if (serialized) return message.ParseFromString(std::string(reader.Rest()));
  FillMessage(reader, message);
  return true;
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  const std::size_t choice = reader.Below(4);
  if (choice < 2) {
    v1::StoredReceipt message;
    if (!Read(reader, choice == 0, message)) return;
    const auto receipt = FromMessage(message);
    if (!receipt.ok()) return RequireSafe(receipt.status());
    const auto again = FromMessage(ToMessage(*receipt));
    Require(again.ok() && again->sequence == receipt->sequence &&
                again->received_at == receipt->received_at &&
                again->content_sha256 == receipt->content_sha256,
            "a receipt is read equal");
    return;
  }
  v1::Submission message;
  if (!Read(reader, choice == 2, message)) return;
  const auto submission = FromMessage(std::move(message));
  if (!submission.ok()) return RequireSafe(submission.status());
  v1::Submission written = ToMessage(*submission);
  const std::string bytes = written.SerializeAsString();
  const auto again = FromMessage(std::move(written));
  Require(again.ok(), "a submission that is written is read");
  Require(ToMessage(*again).SerializeAsString() == bytes,
          "a submission is read equal");
}

}  // namespace sluice

// Serializes receipts (sluice.v1.Receipt) without message objects. A call may
// have ten thousand receipts, and a message object would need three allocations
// for each.

#ifndef SLUICE_SERVER_CALLS_RECEIPT_H_
#define SLUICE_SERVER_CALLS_RECEIPT_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "protozero/pbf_writer.hpp"
#include "server/submissions/answer.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/store.h"

namespace sluice {

// Returns the disposition of a receipt for an answer.
v1::Receipt::Disposition ToDisposition(Answer::Kind kind);

// Writes the disposition, and the receipt fields of a submission that is kept.
void WriteKept(v1::Receipt::Disposition disposition, const StoredReceipt& kept,
               std::string_view submission_id, protozero::pbf_writer* receipt);
// Writes the other numbers that receipts reported for a submission.
void WriteOtherSequences(absl::Span<const std::int64_t> sequences,
                         protozero::pbf_writer* receipt);
// Writes an issue: the problem, and the name of the field.
void WriteIssue(std::string_view field, std::string_view description,
                protozero::pbf_writer* receipt);
// Writes all receipt fields for an answer.
void WriteReceipt(const Answer& answer, std::string_view submission_id,
                  protozero::pbf_writer* receipt);

// Returns the serialized receipt for an answer. The view is valid until the
// thread's next call.
std::string_view SerializeReceipt(const Answer& answer,
                                  std::string_view submission_id);

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_RECEIPT_H_

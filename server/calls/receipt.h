// Receipts, as they go out. A call may have ten thousand, so each is written as
// bytes at once: a message object would allocate three times for each.

#ifndef SLUICE_SERVER_CALLS_RECEIPT_H_
#define SLUICE_SERVER_CALLS_RECEIPT_H_

#include <string_view>

#include "protozero/pbf_writer.hpp"
#include "server/submissions/answer.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/store.h"

namespace sluice {

// What an answer is called in a receipt.
v1::Receipt::Disposition ToDisposition(Answer::Kind kind);

// Each writes fields of a sluice.v1.Receipt: those that say what is kept under
// an id, an issue, and all that there is to say of an answer.
void WriteKept(v1::Receipt::Disposition disposition, const StoredReceipt& kept,
               std::string_view submission_id, protozero::pbf_writer* receipt);
void WriteIssue(std::string_view field, std::string_view description,
                protozero::pbf_writer* receipt);
void WriteReceipt(const Answer& answer, std::string_view submission_id,
                  protozero::pbf_writer* receipt);

// The receipt of an answer, serialized; until the thread's next call.
std::string_view SerializeReceipt(const Answer& answer,
                                  std::string_view submission_id);

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_RECEIPT_H_

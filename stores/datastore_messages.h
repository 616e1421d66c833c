// Converts the types of stores/store.h to messages of datastore.proto, and
// back.
//
// Messages from a peer are checked completely. Errors are INVALID_ARGUMENT, and
// name the field but never its value.

#ifndef SLUICE_STORES_DATASTORE_MESSAGES_H_
#define SLUICE_STORES_DATASTORE_MESSAGES_H_

#include "absl/status/statusor.h"
#include "sluice/v1/datastore.pb.h"
#include "stores/store.h"

namespace sluice {

// Converts a submission. Leaves out times that a Timestamp cannot hold (before
// year 1, after 9999).
v1::Submission ToMessage(const Submission& submission);
v1::StoredReceipt ToMessage(const StoredReceipt& receipt);

// Converts a message, and moves its strings out.
absl::StatusOr<Submission> FromMessage(v1::Submission&& message);
absl::StatusOr<StoredReceipt> FromMessage(const v1::StoredReceipt& message);

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_MESSAGES_H_

// What stores/store.h describes as messages of datastore.proto, and back.
//
// Reading checks all that a peer may get wrong. Errors are INVALID_ARGUMENT and
// name the field, never its value.

#ifndef SLUICE_STORES_DATASTORE_MESSAGES_H_
#define SLUICE_STORES_DATASTORE_MESSAGES_H_

#include "absl/status/statusor.h"
#include "sluice/v1/datastore.pb.h"
#include "stores/store.h"

namespace sluice {

// Times that a Timestamp cannot say (before year 1, after 9999) are left out.
v1::Submission ToMessage(const Submission& submission);
v1::StoredReceipt ToMessage(const StoredReceipt& receipt);

// Takes the strings out of `message`.
absl::StatusOr<Submission> FromMessage(v1::Submission&& message);
absl::StatusOr<StoredReceipt> FromMessage(const v1::StoredReceipt& message);

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_MESSAGES_H_

// Computes the key that keeps the acknowledged submissions of one patient in
// order.

#ifndef SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_
#define SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_

#include <cstdint>

#include "stores/store.h"

namespace sluice {

// Returns a submission's Task::order_key: a hash of its study and subject, or 0
// if it has no subject. The content must be well-formed (forms/wire_check.h).
std::uint64_t OrderKey(const ReceivedSubmission& submission);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_

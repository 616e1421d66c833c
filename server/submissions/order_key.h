// Computes the key that keeps the acknowledged submissions of one patient in
// order.

#ifndef SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_
#define SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_

#include <cstdint>
#include <string_view>

#include "stores/store.h"

namespace sluice {

// Returns a submission's Task::order_key: a hash of its study, site and
// subject, or 0 if it has no subject. The site is part of the key because ids
// of patients are often local to a site: two patients with the same id must not
// wait for each other. If the submission has no site, `sender_site` is used:
// the site in the metadata of the call. The content must be well-formed
// (forms/wire_check.h).
std::uint64_t OrderKey(const ReceivedSubmission& submission,
                       std::string_view sender_site = {});

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_ORDER_KEY_H_

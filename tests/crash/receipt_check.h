// Checks that a running server still knows every number that it reported.

#ifndef SLUICE_TESTS_CRASH_RECEIPT_CHECK_H_
#define SLUICE_TESTS_CRASH_RECEIPT_CHECK_H_

#include "absl/status/status.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/crash/campaign_audit.h"
#include "tests/crash/ledger.h"

namespace sluice {

// Asks for the receipts of all submissions that were acknowledged under several
// numbers. Records an incident for each number that the receipt of the stored
// submission does not have, neither as its sequence number nor among
// other_sequences. All queues of the server must be empty. Returns an error if
// the server does not answer.
absl::Status CheckReceipts(v1::Ingestion::StubInterface& server,
                           const Ledger& ledger, CampaignAudit& audit);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_RECEIPT_CHECK_H_

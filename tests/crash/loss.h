// Compares what is missing after a damage with what the server's log says.

#ifndef SLUICE_TESTS_CRASH_LOSS_H_
#define SLUICE_TESTS_CRASH_LOSS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/crash/audit.h"
#include "tests/crash/ledger.h"

namespace sluice {

// An acknowledged submission that is not found as it was sent.
struct Loss {
  LedgerKey key;
  std::vector<std::int64_t> sequences;  // all numbers that were reported for it
  bool altered = false;  // it is found, with other bytes than its hash says
};

// Returns the acknowledged submissions that are neither found with their bytes
// nor kept as a conflict.
std::vector<Loss> FindLosses(const Ledger& ledger,
                             const FindingsByKey& findings);

// The losses that a server has named in its log.
struct NamedLosses {
  // The log names damage of unknown extent.
  bool unknown = false;
  // Number of journal entries that are named as missing.
  std::int64_t entries = 0;
  // Ranges of sequence numbers that are named as missing from the store.
  std::vector<std::pair<std::int64_t, std::int64_t>> sequences;

  bool empty() const { return !unknown && entries == 0 && sequences.empty(); }
};

NamedLosses ReadLosses(absl::string_view log);

// True if `named` covers all of `losses`.
bool Covers(const NamedLosses& named, const std::vector<Loss>& losses);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_LOSS_H_

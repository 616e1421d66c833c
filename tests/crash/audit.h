// Holds what clients were told against what is there.

#ifndef SLUICE_TESTS_CRASH_AUDIT_H_
#define SLUICE_TESTS_CRASH_AUDIT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "stores/store.h"
#include "tests/crash/ledger.h"

namespace sluice {

// A submission as it was found.
struct Found {
  bool in_quarantine = false;  // otherwise in the store
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest noted_sha256{};    // as noted beside the bytes
  Sha256Digest content_sha256{};  // of the bytes that are there
};

// All that is there under one key.
struct Findings {
  std::vector<Found> submissions;
  std::vector<Sha256Digest> conflicts;  // contents that were refused
};

using FindingsByKey = absl::flat_hash_map<LedgerKey, Findings>;

struct AuditReport {
  // Of the breaches' texts so many are kept.
  static constexpr std::size_t kBreachTextsMax = 20;

  std::int64_t answers = 0;  // that were held against what is there
  std::int64_t in_store = 0;
  std::int64_t in_quarantine = 0;
  std::int64_t conflicts = 0;  // on record
  std::int64_t breaches = 0;
  std::vector<std::string> breach_texts;

  void AddBreach(std::string text);
};

// Of one key:
// - what is there was sent, is byte for byte what was sent, and is there once:
//   one submission in the store, none in quarantine that the store has as well;
// - what was acknowledged is there, with the sequence and the time that were
//   told (a duplicate: those of the first);
// - what was refused as a conflict is not there, something else is, and the
//   attempt is on record.
void AuditKey(const LedgerKey& key, const LedgerEntry& entry,
              const Findings& findings, AuditReport& report);

// Of all keys, sent or found; that no two submissions have one sequence, too.
AuditReport AuditAll(const Ledger& ledger, const FindingsByKey& findings);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_AUDIT_H_

// Checks the answers that clients received against the stored submissions.

#ifndef SLUICE_TESTS_CRASH_AUDIT_H_
#define SLUICE_TESTS_CRASH_AUDIT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "stores/store.h"
#include "tests/crash/ledger.h"

namespace sluice {

// A submission found in the store or in quarantine.
struct Found {
  bool in_quarantine = false;  // false: in the store
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest noted_sha256{};    // hash in the store's column
  Sha256Digest content_sha256{};  // hash of the stored bytes
};

// A conflict that the store has recorded.
struct FoundConflict {
  std::int64_t sequence = 0;
  Sha256Digest noted_sha256{};  // hash in the store's column
  // Hash of the kept bytes. Nothing if another conflict has the same bytes.
  std::optional<Sha256Digest> content_sha256;

  bool operator==(const FoundConflict&) const = default;
};

// Everything found under one key.
struct Findings {
  std::vector<Found> submissions;
  std::vector<FoundConflict> conflicts;
  // Other sequence numbers that the store connects with the stored submission:
  // those of duplicates and conflicts, and reported numbers.
  std::vector<std::int64_t> other_sequences;
};

using FindingsByKey = absl::flat_hash_map<LedgerKey, Findings>;

struct AuditReport {
  // Texts beyond this number are not kept.
  static constexpr std::size_t kBreachTextsMax = 20;

  std::int64_t answers = 0;  // number of checked answers
  std::int64_t in_store = 0;
  std::int64_t in_quarantine = 0;
  std::int64_t conflicts = 0;  // number of recorded conflicts
  std::int64_t breaches = 0;
  std::vector<std::string> breach_texts;

  void AddBreach(std::string text);
};

// Audits one key and adds the breaches of these rules:
// - Every stored submission was sent with exactly these bytes, and is stored
//   once: it is not in quarantine as well.
// - Each acknowledged submission is stored, with the sequence number and the
//   time of its receipt. The receipt of a duplicate has the number and the time
//   of the first submission. A submission that was acknowledged as QUEUED may
//   be a conflict instead. A repetition that was acknowledged as QUEUED may
//   have another number, which the store connects with the stored submission.
// - If a content was refused as a conflict, or acknowledged and found to be a
//   conflict, another content is stored, and the attempt is recorded with its
//   content.
void AuditKey(const LedgerKey& key, const LedgerEntry& entry,
              const Findings& findings, AuditReport& report);

// Audits all keys that were sent or found, and checks that no two submissions
// have the same sequence number.
AuditReport AuditAll(const Ledger& ledger, const FindingsByKey& findings);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_AUDIT_H_

// Records the submissions that clients sent and the answers that they received.

#ifndef SLUICE_TESTS_CRASH_LEDGER_H_
#define SLUICE_TESTS_CRASH_LEDGER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/store.h"

namespace sluice {

struct LedgerKey {
  std::string study_id;
  std::string submission_id;

  bool operator==(const LedgerKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const LedgerKey& key) {
    return H::combine(std::move(state), key.study_id, key.submission_id);
  }
};

// One content that was sent under an id.
struct SentContent {
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  Sha256Digest sha256{};
  int times = 0;
};

// The answer to one sending.
struct Told {
  int round = 0;
  absl::string_view method;  // e.g. "Submit"; a literal
  v1::Receipt::Disposition disposition = v1::Receipt::DISPOSITION_UNSPECIFIED;
  Sha256Digest sent_sha256{};  // hash of the bytes that were sent
  // Values of the receipt. A conflict that was answered with a status has no
  // receipt.
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest told_sha256{};
};

struct LedgerEntry {
  std::vector<SentContent> sent;
  std::vector<Told> told;
};

// Answers by method and disposition.
using AnswerCounts =
    std::map<std::pair<absl::string_view, v1::Receipt::Disposition>,
             std::int64_t>;

// True if the sender may forget the submission, because it must be stored from
// now on. After DUPLICATE, the first submission must be stored.
bool IsAcknowledgement(v1::Receipt::Disposition disposition);

// Thread-safe. Memory grows with the number of submissions.
class Ledger {
 public:
  // Records a submission. Must be called before the submission is sent.
  void RecordSent(const LedgerKey& key, SubmissionKind kind,
                  const Sha256Digest& sha256);
  // Records the answer for a key that was sent. Refusals and missing answers
  // (unspecified) are counted but not kept.
  void RecordTold(const LedgerKey& key, const Told& told);

  // Waits until `count` acknowledgements have been received in total. Returns
  // false at `deadline`.
  bool AwaitAcknowledged(std::int64_t count, absl::Time deadline) const;
  std::int64_t acknowledged() const;

  AnswerCounts counts() const;

  // Returns the keys that were answered since the last call.
  absl::flat_hash_set<LedgerKey> TakeNews();
  // Returns the entry of a key. The entry is empty if the key was never sent.
  LedgerEntry Find(const LedgerKey& key) const;
  // Calls `visit` with each entry. `visit` must not call the ledger.
  void ForEach(
      absl::FunctionRef<void(const LedgerKey& key, const LedgerEntry& entry)>
          visit) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<LedgerKey, LedgerEntry> entries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<LedgerKey> news_ ABSL_GUARDED_BY(mutex_);
  AnswerCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::int64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_LEDGER_H_

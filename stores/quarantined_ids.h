// Knows which submissions are in quarantine, in memory. A submission that is
// sent again can thus be answered without a second entry in the journal.
//
// All journals of a server share one object, because a submission may be sent
// again with another method. The object needs about 100 bytes for each
// submission in quarantine, and the limits of the quarantines bound their
// number. Damaged entries are not included: the same submission sent again
// replaces what the damage has lost.

#ifndef SLUICE_STORES_QUARANTINED_IDS_H_
#define SLUICE_STORES_QUARANTINED_IDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/synchronization/mutex.h"
#include "stores/store.h"
#include "stores/submission_key.h"

namespace sluice {

// Thread-safe. Does not block: the lock is held for a moment only.
class QuarantinedIds {
 public:
  // Submissions of one id are searched one after the other, so no more are
  // known.
  static constexpr std::size_t kContentsMax = 16;

  // Adds a submission that is in quarantine. Ignores a submission that was
  // added before, and a submission whose id has kContentsMax already.
  void Add(const SubmissionKey& key, const StoredReceipt& receipt);
  // Removes the submission with this sequence number, if there is one.
  void Remove(const SubmissionKey& key, std::int64_t sequence);

  // Returns true and sets `receipt` if a submission with this id and this
  // content is in quarantine. Other content under the id decides nothing: it
  // may mean the same, or be stored.
  bool Find(const SubmissionKey& key, const Sha256Digest& content_sha256,
            StoredReceipt* receipt) const;

  // Number of submissions.
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  // Usually one content was sent under an id.
  using Entries = absl::InlinedVector<StoredReceipt, 1>;

  // The number of entries. Every promised arrival reads it.
  std::atomic<std::size_t> size_{0};
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<SubmissionKey, Entries> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_QUARANTINED_IDS_H_

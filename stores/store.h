// The interface of stores, which keep the submissions. To add a kind of store,
// start here, then see registry.h.

#ifndef SLUICE_STORES_STORE_H_
#define SLUICE_STORES_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/server_registry.h"
#include "stores/sqlite_copy.h"

namespace sluice {

using Sha256Digest = std::array<std::uint8_t, 32>;

enum class SubmissionKind {
  kQuestionnaireResponse,
  kPatientRecord,
  kAppEvent,
};

// A submission as it arrived. study_id and submission_id together identify the
// submission, across all kinds.
struct ReceivedSubmission {
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  std::int64_t sequence = 0;  // order of arrival, > 0; key of the store
  std::string study_id;
  std::string submission_id;
  std::string site_id;
  // The bytes that arrived, and their SHA-256 hash.
  std::string content;
  Sha256Digest content_sha256{};
  absl::Time received_at;
  // Time when the device sent the submission this time, from the call's
  // metadata.
  std::optional<absl::Time> sent_at;
};

// A submission as it is stored. The additional values were read from its
// content so that they can be queried.
struct Submission : ReceivedSubmission {
  // Set for questionnaire responses, and for other kinds where applicable.
  std::string subject;                    // FHIR reference, or the patient's id
  std::string questionnaire;              // canonical url|version
  std::string status;                     // FHIR code, e.g. "completed"
  std::string authored;                   // as sent, with the device's offset
  std::optional<absl::Time> authored_at;  // the instant of `authored`, if any
  std::string supersedes_submission_id;
  std::string reason_for_change;
  // A JSON array with an object per answer, in the order of the form:
  // {"link_id": ..., "type": ..., "value": ...}. See forms/answers.h.
  std::string answers_json = "[]";

  // The number that the caller was told, if another submission has that number
  // in the store, and `sequence` is a new one. Otherwise 0. For SaveBatch; Read
  // does not return it.
  std::int64_t reported_sequence = 0;
};

// The store's result for one submission.
struct Saved {
  enum class Result {
    kStored,
    kDuplicate,  // the id is stored with the same kind and content
    kConflict,   // the id is stored with different content, which stays
    // Another submission has the sequence number, or had it as a gap. Nothing
    // of this submission is stored. It can be saved with a new number, and with
    // the present one as its reported_sequence.
    kSequenceTaken,
  };

  Result result = Result::kStored;
  // Values of the stored submission, which was the first with this id. The time
  // has the store's precision.
  std::int64_t sequence = 0;
  absl::Time received_at = absl::UnixEpoch();
  Sha256Digest content_sha256{};
  // For kConflict: true if the store has also kept the refused content durably,
  // under the sequence number of the refused submission. Otherwise a refused
  // submission that was acknowledged before must be kept elsewhere.
  bool conflict_kept = false;
};

// The fields of a stored submission that a receipt contains.
struct StoredReceipt {
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest content_sha256{};
};

// True if the row of a stored submission is damaged, so that only its sequence
// number is known. The other fields of the receipt have no meaning.
inline bool IsDamaged(const StoredReceipt& receipt) {
  return receipt.received_at == absl::InfinitePast();
}
inline StoredReceipt DamagedReceipt(std::int64_t sequence) {
  return {.sequence = sequence, .received_at = absl::InfinitePast()};
}

// A sequence number that no stored submission has, because the store already
// had a submission with the same id.
struct Gap {
  std::int64_t sequence = 0;
  bool conflict = false;  // otherwise a duplicate
  // The stored submission with the same id; 0 if unknown.
  std::int64_t first_sequence = 0;

  bool operator==(const Gap&) const = default;
};

// A part of the stored submissions, by sequence number.
struct StorePage {
  // If the row of a submission is damaged, content_sha256 does not match the
  // content.
  std::vector<Submission> submissions;
  // Gaps between the requested sequence number and the last of `submissions`.
  // On the last page: all gaps after the requested sequence number.
  std::vector<Gap> gaps;
  // True if no submission follows this page.
  bool last = false;
};

// Returns `time` rounded down to microseconds, the precision of stores.
absl::Time ToMicroseconds(absl::Time time);

// True if an error concerns the store (unavailable, full, busy, damaged), so
// that the same call may succeed later. All other errors concern the
// submissions.
bool IsTransient(const absl::Status& status);

// True if an error is not transient, but may still be a fault of the store.
// Many servers use the same code for faults of the server and of the request.
bool IsUnclear(const absl::Status& status);
// Marks the error as unclear. The status must not be OK.
absl::Status Unclear(absl::Status status);

// Returns true if two contents with the same id mean the same although their
// bytes differ: client libraries may order fields differently. A store may call
// the function with a lock held, so the function must not call the store.
using SameContent = std::function<bool(SubmissionKind kind, std::string_view a,
                                       std::string_view b)>;

enum class StoreSeverity { kInfo, kWarning, kError };

// Writes a message of a store to the server's log. Messages contain no patient
// data.
using StoreLog =
    std::function<void(StoreSeverity severity, const std::string& message)>;

// A condition in which acknowledged submissions could be lost.
struct StoreHazard {
  std::string name;  // e.g. "fsync_off"
  bool present = false;
};

// Knowledge of other files about a store that is about to be opened.
struct KnownStore {
  // Highest sequence number that the other files know; 0 if they know none.
  std::int64_t last_sequence = 0;
  // A file that shows that the store existed; empty if there is none.
  std::string known_by;
  // True to create the store although `known_by` shows that it existed.
  bool accept_damage = false;
};

// Returns DATA_LOSS for a store that is missing although `known` shows that it
// existed. `what` says what is missing.
absl::Status MissingStore(std::string_view what, const KnownStore& known);

// Thread-safe. Calls block. tests/stores/store_contract_test.cc tests every
// store against these comments.
class Store {
 public:
  virtual ~Store() = default;

  // Stores the batch in one transaction. `saved` must be as long as `batch`,
  // and gets the results in the batch's order. Submissions of a batch may have
  // the same id.
  //
  // OK: each submission is durable, or is a duplicate or a conflict of a
  // durable submission. Conflicts are audited. Each kind of store says whether
  // it also keeps the content of a conflict (Saved::conflict_kept); a content
  // that was refused several times under an id is kept once. The sequence
  // numbers of duplicates and conflicts are kept as gaps.
  //
  // An error (see IsTransient): as far as the store can tell, nothing of the
  // batch is stored. `saved` has no meaning, and the store can take batches as
  // before. The outcome may be unknown, so the batch may be saved again: if it
  // was stored after all, its submissions with the same sequence numbers are
  // kStored or kDuplicate, and leave no gaps.
  virtual absl::Status SaveBatch(absl::Span<const Submission> batch,
                                 absl::Span<Saved> saved) = 0;

  // Returns the receipts of a study's submissions, in the order of the ids. The
  // receipt of an id that is not stored is empty. A damaged row gives a damaged
  // receipt (IsDamaged). Does not wait for a SaveBatch in progress.
  virtual absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
  FindReceipts(std::string_view study_id,
               absl::Span<const std::string> submission_ids) = 0;

  // Returns, for each sequence number of a stored submission, the other numbers
  // that callers were told for this submission, in ascending order: the numbers
  // of duplicates, and reported numbers (Submission::reported_sequence). At
  // most kOtherSequencesMax for each. The default returns none.
  static constexpr std::size_t kOtherSequencesMax = 100;
  virtual absl::StatusOr<std::vector<std::vector<std::int64_t>>>
  FindOtherSequences(absl::Span<const std::int64_t> sequences);

  // Returns the highest sequence number that this server has used in the store,
  // gaps included, or that was recorded as assigned, or the number before the
  // server's first (0 for server 0). Sequence numbers continue after it.
  virtual absl::StatusOr<std::int64_t> LastSequence() = 0;

  // Records that the numbers up to `sequence` were assigned to submissions that
  // the store may get later, so that LastSequence continues after them. A
  // number of another server is ignored. Waits for the disk only if the disk
  // hangs: neither for a SaveBatch nor for a sync. The default, for stores
  // without a second place for their numbers (RecordingStore), does nothing.
  virtual void RecordAssigned(std::int64_t /*sequence*/) {}

  // Returns the content of the store after the sequence number `after`: at most
  // `max` (> 0) submissions with at most `max_bytes` of content. The first
  // submission is returned even if it is larger. Does not wait for a SaveBatch
  // in progress. The default, for fakes, returns UNIMPLEMENTED; every kind of
  // store of the configuration can be read.
  virtual absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                         std::size_t max_bytes);

  // Copies the store to the new file `path` while it is in use (sqlite_copy.h).
  // UNIMPLEMENTED if the store is not a local file.
  virtual absl::Status Backup(const std::string& path, const CopyPace& pace);

  // Returns what the store records about the servers that use it, or null if
  // the store records nothing. The store owns the registry.
  virtual ServerRegistry* registry() { return nullptr; }

  // Returns a value that stays the same for as long as the store certainly has
  // everything that it has reported as stored. The value changes before a
  // replaced database is used: once a connection was lost, a standby was
  // promoted, or a file was removed or replaced. A caller may use a remembered
  // result of SaveBatch only while Generation returns the value that it
  // returned before the SaveBatch. A value never returns after the store has
  // got another content.
  //
  // Called for each batch, and for each submission that is answered from
  // memory, also by threads that must not wait. May look at a socket or a
  // directory entry, but does not wait for anything. The default, for stores
  // whose content cannot be replaced, returns 0.
  virtual std::uint32_t Generation() { return 0; }

  // True if the store keeps values that were read from the content (subject,
  // answers and so on). Otherwise submissions may be saved without these
  // members.
  virtual bool keeps_columns() const { return true; }

  // Returns all hazards that the store watches, as far as they are known now.
  // Always returns the same names, in the same order. Does not block.
  virtual std::vector<StoreHazard> Hazards() { return {}; }

  // Returns OK if the store could accept a batch now, as far as can be told
  // without writing a submission: the database answers, accepts writes, and
  // this process has the rights to write. Called about once a second, also
  // while nobody submits, so a Check of a working store costs no sync of a
  // disk. After a failed batch, Check may write until a write succeeds.
  //
  // Returns within kCheckMax, even if the database hangs or another process has
  // it locked. Exceptions are system calls that the kernel does not end, such
  // as a sync of a broken disk; callers therefore need a thread for Check. Does
  // not wait for a call in progress: the result may then be the result of the
  // call before.
  static constexpr absl::Duration kCheckMax = absl::Seconds(5);
  virtual absl::Status Check() = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_STORE_H_

// Where submissions end up. Start here for a new kind of store, then see
// registry.h.

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

namespace sluice {

using Sha256Digest = std::array<std::uint8_t, 32>;

enum class SubmissionKind {
  kQuestionnaireResponse,
  kPatientRecord,
  kAppEvent,
};

// One submission as it arrived. Known by study_id and submission_id, in one
// space for all kinds.
struct ReceivedSubmission {
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  std::int64_t sequence = 0;  // order of arrival; the store's key
  std::string study_id;
  std::string submission_id;
  std::string site_id;
  // The bytes that arrived, and their hash.
  std::string content;
  Sha256Digest content_sha256{};
  absl::Time received_at;
  // When this sending left the device, as its metadata says.
  std::optional<absl::Time> sent_at;
};

// One as it is stored, with what is read out of its content to be asked for.
struct Submission : ReceivedSubmission {
  // Of questionnaire responses and, where it applies, of the other kinds:
  std::string subject;                    // FHIR reference, or the patient's id
  std::string questionnaire;              // canonical url|version
  std::string status;                     // FHIR code, e.g. "completed"
  std::string authored;                   // as sent, with the device's offset
  std::optional<absl::Time> authored_at;  // the instant of it, where it is one
  std::string supersedes_submission_id;
  std::string reason_for_change;
  // A JSON array with an object per answer, in the order of the form:
  // {"link_id": ..., "type": ..., "value": ...}. See forms/answers.h.
  std::string answers_json = "[]";
};

// What the store did with a submission.
struct Saved {
  enum class Result {
    kStored,
    kDuplicate,  // the same kind and content is there under this id
    kConflict,   // something else is there under this id, and stays
  };

  Result result = Result::kStored;
  // Of the submission that is in the store now, the first that came; the time
  // as precise as the store keeps it.
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest content_sha256{};
};

// A stored submission, as far as a receipt tells it.
struct StoredReceipt {
  std::int64_t sequence = 0;
  absl::Time received_at;
  Sha256Digest content_sha256{};
};

// A sequence that no stored submission has, and why: the store saw it, and kept
// the first under its id.
struct Gap {
  std::int64_t sequence = 0;
  bool conflict = false;  // otherwise a duplicate

  bool operator==(const Gap&) const = default;
};

// A part of what is stored, in the order of the sequence.
struct StorePage {
  std::vector<Submission> submissions;
  // Those between the sequence asked for and the last of the submissions; of
  // the last page, all that come after.
  std::vector<Gap> gaps;
  // There is no submission after these.
  bool last = false;
};

// `time` as precise as stores keep it.
absl::Time ToMicroseconds(absl::Time time);

// Whether an error is of the store (away, full, busy, damaged), so that a later
// try of the same may succeed. Any other is of what was to be stored.
bool IsTransient(const absl::Status& status);

// Whether two contents under one id mean the same although their bytes differ
// (another client library may order fields differently). A store may call it
// with a lock held: it must not call the store.
using SameContent = std::function<bool(SubmissionKind kind, std::string_view a,
                                       std::string_view b)>;

// Thread-safe: workers call it at the same time. Calls block.
class Store {
 public:
  virtual ~Store() = default;

  // Stores the batch in one transaction. OK: each submission is durable, or is
  // a duplicate or a conflict of one that is; `saved` (as long as the batch, in
  // its order) says which. A conflict is audited, and the sequences of
  // duplicates and conflicts are kept as gaps. An error (see IsTransient):
  // nothing of the batch was stored, as far as the store can tell, `saved` is
  // of no use, and the store takes batches as before. A batch that was stored
  // all the same is recognised when it comes again: the same submissions with
  // the same sequences are kStored or kDuplicate, and no gaps.
  // Submissions of one batch may have the same id.
  virtual absl::Status SaveBatch(absl::Span<const Submission> batch,
                                 absl::Span<Saved> saved) = 0;

  // The receipts of a study's submissions, in the order of the ids; nothing for
  // one that is not stored. It does not wait for a SaveBatch in progress.
  virtual absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
  FindReceipts(std::string_view study_id,
               absl::Span<const std::string> submission_ids) = 0;

  // The highest sequence that this server has used in the store, gaps included;
  // 0 where there is none. Sequences continue after it.
  virtual absl::StatusOr<std::int64_t> LastSequence() = 0;

  // Returns what is stored after the sequence `after`: at most `max` (> 0)
  // submissions with at most `max_bytes` of content. The first submission is
  // returned however large it is. Does not wait for a SaveBatch in progress.
  // UNIMPLEMENTED if the store cannot be read.
  virtual absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                         std::size_t max_bytes);

  // Whether it keeps what is read from the content (the subject, the answers
  // and so on). To one that does not, submissions may come without it.
  virtual bool keeps_columns() const { return true; }

  // Whether it could take a batch now, as /readyz asks. It does not wait for a
  // SaveBatch in progress.
  virtual absl::Status Check() = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_STORE_H_

// The submissions that a campaign's clients send: new submissions, repetitions,
// and different contents under known ids.

#ifndef SLUICE_TESTS_CRASH_SUBMISSION_SOURCE_H_
#define SLUICE_TESTS_CRASH_SUBMISSION_SOURCE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/uuid.h"
#include "loadgen/sample_forms.h"
#include "stores/store.h"
#include "tests/crash/ledger.h"

namespace sluice {

struct OutgoingSubmission {
  LedgerKey key;
  SubmissionKind kind = SubmissionKind::kQuestionnaireResponse;
  // The stored bytes: a serialized SubmitRequest, PatientRecord or AppEvent.
  std::string content;
  Sha256Digest sha256{};
};
using Outgoing = std::shared_ptr<const OutgoingSubmission>;

// Thread-safe.
class SubmissionSource {
 public:
  SubmissionSource(std::string study_id, std::uint64_t seed);

  // Returns the study of all submissions.
  const std::string& study_id() const { return form_.study_id; }

  // Returns the next submission to send.
  Outgoing Next(SubmissionKind kind);

  // Queues an unanswered submission to be sent again unchanged.
  void SendAgain(Outgoing unanswered);

 private:
  struct OfKind {
    std::vector<Outgoing> known;  // a sample of sent submissions
    std::deque<Outgoing> unanswered;
  };

  Outgoing New(SubmissionKind kind, std::string id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(const Outgoing& submission, std::vector<Outgoing>& known)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string NewId() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Outgoing& Pick(const std::vector<Outgoing>& known)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const FormOptions form_;

  absl::Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  UuidGenerator ids_ ABSL_GUARDED_BY(mutex_);
  std::array<OfKind, 3> kinds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SUBMISSION_SOURCE_H_

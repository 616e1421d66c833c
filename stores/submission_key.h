// Identifies a submission in tables in memory, without keeping its ids.

#ifndef SLUICE_STORES_SUBMISSION_KEY_H_
#define SLUICE_STORES_SUBMISSION_KEY_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "stores/store.h"

namespace sluice {

// A hash of a submission's kind, study and id, with a seed that callers cannot
// know.
struct SubmissionKey {
  static SubmissionKey Of(SubmissionKind kind, std::string_view study_id,
                          std::string_view submission_id);
  static SubmissionKey Of(const ReceivedSubmission& submission) {
    return Of(submission.kind, submission.study_id, submission.submission_id);
  }

  std::array<std::uint64_t, 2> hash{};

  bool operator==(const SubmissionKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const SubmissionKey& key) {
    return H::combine(std::move(state), key.hash[0]);
  }
};

}  // namespace sluice

#endif  // SLUICE_STORES_SUBMISSION_KEY_H_

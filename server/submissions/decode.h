// Reads out of a submission's bytes what the store keeps beside them.

#ifndef SLUICE_SERVER_SUBMISSIONS_DECODE_H_
#define SLUICE_SERVER_SUBMISSIONS_DECODE_H_

#include "stores/store.h"

namespace sluice {

// Fills, by the submission's kind, subject, questionnaire, status,
// times, answers and what it corrects, from `content`, which has passed the
// structure check. Throws std::invalid_argument where its response, record or
// event does not parse, or a request has no response.
void Decode(Submission* submission);

// Whether two contents of a kind mean the same; see SameContent in store.h.
bool SameContentOfKind(SubmissionKind kind, std::string_view a,
                       std::string_view b);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_DECODE_H_

// Decodes the values that the store keeps in columns, besides the submission's
// bytes.

#ifndef SLUICE_SERVER_SUBMISSIONS_DECODE_H_
#define SLUICE_SERVER_SUBMISSIONS_DECODE_H_

#include "stores/store.h"

namespace sluice {

// Fills the decoded fields of `submission` from its content: subject,
// questionnaire, status, times, answers, and the id of the submission that it
// corrects, as far as the kind has them. The content must have passed the
// structure check. Throws std::invalid_argument if the response, record or
// event does not parse, or if the request has no response.
void Decode(Submission* submission);

// True if two contents of a kind mean the same; see SameContent in store.h.
bool SameContentOfKind(SubmissionKind kind, std::string_view a,
                       std::string_view b);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_DECODE_H_

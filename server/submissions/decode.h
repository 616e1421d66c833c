// Decodes the values that the store keeps in columns, besides the submission's
// bytes.

#ifndef SLUICE_SERVER_SUBMISSIONS_DECODE_H_
#define SLUICE_SERVER_SUBMISSIONS_DECODE_H_

#include "stores/store.h"

namespace sluice {

// Fills the decoded fields of `submission` from its content: subject,
// questionnaire, status, times, answers, and the id of the submission that it
// corrects, as far as the kind has them. The content must have passed the wire
// check (forms/wire_check.h), or the check of an older version, which allowed
// repeated fields. The values are the values that protobuf's parser reads, but
// no message is built: decoding needs no memory beside the decoded fields.
//
// Throws std::invalid_argument if a field that is read is malformed, if the
// request has no response, or if its answers exceed the limits of AnswerRows.
void Decode(Submission* submission);

// True if two contents of a kind mean the same; see SameContent in store.h.
bool SameContentOfKind(SubmissionKind kind, std::string_view a,
                       std::string_view b);

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_DECODE_H_

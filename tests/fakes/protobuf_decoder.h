// A decoder that parses contents into protobuf's messages: the reference for
// the decoder of the server, which reads the wire format.

#ifndef SLUICE_TESTS_FAKES_PROTOBUF_DECODER_H_
#define SLUICE_TESTS_FAKES_PROTOBUF_DECODER_H_

#include <optional>
#include <string>
#include <string_view>

#include "sluice/v1/questionnaire_response.pb.h"
#include "stores/store.h"

namespace sluice {

// Returns the rows that AnswerRows must write for `response`.
std::string AnswersByProtobuf(const v1::QuestionnaireResponse& response);

// Returns the submission with this content and its decoded fields. Returns
// nothing if the content does not parse, or is a request without a response.
std::optional<Submission> DecodedByProtobuf(SubmissionKind kind,
                                            std::string_view content);

// Returns all decoded fields as one text, for comparisons.
std::string DecodedFields(const Submission& submission);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PROTOBUF_DECODER_H_

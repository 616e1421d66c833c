// Formats quarantine entries as a table for people, or as JSON with one object
// per line.

#ifndef SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_
#define SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_

#include <cstdint>
#include <string>

#include "sluice/v1/admin.pb.h"

namespace sluice {

// All results end with a newline. Texts from the server are safe for a
// terminal.

std::string QuarantineTableHeader();
std::string QuarantineTableLine(const v1::QuarantinedSubmission& entry);
std::string QuarantineJsonLine(const v1::QuarantinedSubmission& entry);

// Returns one field per line, followed by the FHIR JSON of a questionnaire
// response.
std::string ShownText(const v1::GetQuarantinedResponse& shown);
// Returns an object with the content in base64, and the FHIR JSON of a
// questionnaire response as `fhir`.
std::string ShownJsonLine(const v1::GetQuarantinedResponse& shown);

// Returns one line for each sequence number: RETRIED, UNKNOWN or LEFT.
std::string RetryText(const v1::RetryQuarantinedResponse& answer, bool json);

// Returns the line of a sequence number that was discarded.
std::string DiscardText(std::int64_t sequence, bool json);

std::string DiscardedTableHeader();
std::string DiscardedTableLine(const v1::DiscardedSubmission& record);
std::string DiscardedJsonLine(const v1::DiscardedSubmission& record);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_

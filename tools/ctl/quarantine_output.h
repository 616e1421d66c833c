// The quarantine as a table for people, or as JSON, an object per line.

#ifndef SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_
#define SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_

#include <string>

#include "sluice/v1/admin.pb.h"

namespace sluice {

// Each ends with a line end. Texts of others are safe for a terminal.

std::string QuarantineTableHeader();
std::string QuarantineTableLine(const v1::QuarantinedSubmission& entry);
std::string QuarantineJsonLine(const v1::QuarantinedSubmission& entry);

// A field a line; below, the content of a questionnaire response as FHIR JSON.
std::string ShownText(const v1::GetQuarantinedResponse& shown);
// With the content in base64, and that of a questionnaire response as `fhir`.
std::string ShownJsonLine(const v1::GetQuarantinedResponse& shown);

// A line for each sequence: RETRIED, UNKNOWN or LEFT.
std::string RetryText(const v1::RetryQuarantinedResponse& answer, bool json);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_QUARANTINE_OUTPUT_H_

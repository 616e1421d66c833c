// Writes the proto as FHIR R4 QuestionnaireResponse JSON: the reverse of
// forms/fhir_json.h.

#ifndef SLUICE_FORMS_FHIR_JSON_WRITER_H_
#define SLUICE_FORMS_FHIR_JSON_WRITER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {

// Metadata that the server, not the sender, recorded about a submission.
struct FhirProvenance {
  std::int64_t sequence = 0;  // left out if 0
  std::optional<absl::Time> received_at = {};

  // Set for a submission in quarantine.
  struct Quarantine {
    std::string reason;
    int tries = 0;
    absl::Time quarantined_at;
  };
  std::optional<Quarantine> quarantine = {};
};

// Returns the resource as valid JSON, on one line without a line end.
// Thread-safe.
//
// - `identifier` is the submission_id. Its system is "urn:sluice:study:" and
//   the percent-encoded study_id. `id` is also the submission_id if FHIR
//   accepts it as an id (IsFhirId); the id is unique within its study.
// - Fields without a FHIR element are extensions, named after the proto's
//   fields: "urn:sluice:study_id", and likewise site_id, sequence (a string,
//   because it has 64 bits), received_at, supersedes_submission_id,
//   reason_for_change, capture and quarantine. `capture` has the extensions
//   device, app_version, started_at and completed_at; `quarantine` has reason,
//   tries and quarantined_at. Empty fields are left out.
// - Values are written as sent, even if FHIR does not allow them (an empty
//   string, a malformed date). Decimals keep their digits.
// - A decimal that is not a JSON number, or is too large for a double, such as
//   1e400, is written as the extension "urn:sluice:decimal_as_sent" of
//   `_valueDecimal`, or of a quantity's `_value`.
//
// ParseFhirJson reads an equal response from the result, except for such
// decimals, a status that the proto does not name, and unknown fields.
std::string ToFhirJson(const v1::SubmitRequest& request,
                       const FhirProvenance& provenance);

// True if FHIR accepts `text` as the id of a resource: 1 to 64 letters, digits,
// hyphens and dots.
bool IsFhirId(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_FORMS_FHIR_JSON_WRITER_H_

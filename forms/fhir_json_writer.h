// The proto back to FHIR R4 QuestionnaireResponse JSON; the reverse of
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

// What is known of a submission beside what its sender wrote.
struct FhirProvenance {
  std::int64_t sequence = 0;  // 0: left out
  std::optional<absl::Time> received_at = {};

  // Of a submission in quarantine.
  struct Quarantine {
    std::string reason;
    int tries = 0;
    absl::Time quarantined_at;
  };
  std::optional<Quarantine> quarantine = {};
};

// The resource, on one line without a line end; always valid JSON.
//
// - `identifier` is the submission_id, its system "urn:sluice:study:" and the
//   study_id, percent-encoded. `id` is the submission_id as well where FHIR
//   takes it for one (IsFhirId); it is unique within its study.
// - What FHIR has no element for are extensions, by the name of the field in
//   the proto: "urn:sluice:study_id", and site_id, sequence (a string: it has
//   64 bits), received_at, supersedes_submission_id, reason_for_change, capture
//   and quarantine, the last two with the extensions device, app_version,
//   started_at, completed_at, and reason, tries, quarantined_at. Those that are
//   empty are left out.
// - Values are as sent, also where FHIR would not take them (an empty string, a
//   date that is none). Decimals keep their digits. One that is no number at
//   all cannot stand in JSON as a decimal: it becomes the extension
//   "urn:sluice:decimal_as_sent" of `_valueDecimal`, or of a quantity's
//   `_value`.
//
// So ParseFhirJson reads an equal response out of it, but for such decimals.
std::string ToFhirJson(const v1::SubmitRequest& request,
                       const FhirProvenance& provenance);

// Whether FHIR takes it for the id of a resource: 1 to 64 letters, digits, -
// and dots.
bool IsFhirId(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_FORMS_FHIR_JSON_WRITER_H_

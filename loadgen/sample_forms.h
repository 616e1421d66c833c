// Answers to PHQ-9 and GAD-7 as a patient might give them in the evening.
//
// The forms and their codes are LOINC's: https://loinc.org/44249-1 (PHQ-9) and
// https://loinc.org/69737-5 (GAD-7). Subjects, sites and answers are made up.

#ifndef SLUICE_LOADGEN_SAMPLE_FORMS_H_
#define SLUICE_LOADGEN_SAMPLE_FORMS_H_

#include <cstddef>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {

struct FormOptions {
  std::string study_id = "STUDY-001";
  // Answers in a response; 0: as many as the form has. Beyond those, the form's
  // questions come again under other link ids, as a diary of several days has
  // them.
  int answers = 0;
  // A note in free text fills the request up to about so many bytes.
  std::size_t bytes_min = 0;
  // Answers are given within the hour that follows.
  absl::Time evening;
};

// A request with all but the submission_id. Who answers, which form and what
// follows from `random`.
v1::SubmitRequest SampleSubmission(const FormOptions& options,
                                   std::mt19937_64& random);

// All but the record_id. `bytes_min` fills the record's data.
v1::PatientRecord SamplePatientRecord(const FormOptions& options,
                                      std::mt19937_64& random);

// All but the event_id.
v1::AppEvent SampleEvent(const FormOptions& options, std::mt19937_64& random);

// One of a few sites.
std::string SampleSite(std::mt19937_64& random);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_SAMPLE_FORMS_H_

// Made-up answers to the questionnaires PHQ-9 and GAD-7, as patients might give
// them in the evening.
//
// The forms and their codes are LOINC's: https://loinc.org/44249-1 (PHQ-9) and
// https://loinc.org/69737-5 (GAD-7). Subjects, sites and answers are random.

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
  // Number of answers in a response; 0: as many as the form has questions. With
  // more answers, the questions repeat under other link ids, like a diary of
  // several days.
  int answers = 0;
  // Approximate minimum size of a request. A note in free text fills a request
  // up to this size.
  std::size_t bytes_min = 0;
  // Answers are given within the hour after this time.
  absl::Time evening;
};

// Returns a request without a submission_id. `random` determines subject, form
// and answers.
v1::SubmitRequest SampleSubmission(const FormOptions& options,
                                   std::mt19937_64& random);

// Returns a record without a record_id, with `bytes_min` of data.
v1::PatientRecord SamplePatientRecord(const FormOptions& options,
                                      std::mt19937_64& random);

// Returns an event without an event_id.
v1::AppEvent SampleEvent(const FormOptions& options, std::mt19937_64& random);

// Returns one of a few sites.
std::string SampleSite(std::mt19937_64& random);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_SAMPLE_FORMS_H_

#include "loadgen/sample_forms.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

constexpr absl::string_view kLoinc = "http://loinc.org";
constexpr int kSites = 12;
constexpr int kSubjects = 4000;

struct Question {
  absl::string_view code;
  absl::string_view text;
};

struct Choice {
  absl::string_view code;
  absl::string_view display;
};

struct Form {
  absl::string_view questionnaire;
  std::span<const Question> questions;
  Question score;
};

constexpr std::array<Choice, 4> kFrequencies = {{
    {"LA6568-5", "Not at all"},
    {"LA6569-3", "Several days"},
    {"LA6570-1", "More than half the days"},
    {"LA6571-9", "Nearly every day"},
}};

constexpr std::array<Question, 9> kPhq9Questions = {{
    {"44250-9", "Little interest or pleasure in doing things"},
    {"44255-8", "Feeling down, depressed, or hopeless"},
    {"44259-0", "Trouble falling or staying asleep, or sleeping too much"},
    {"44254-1", "Feeling tired or having little energy"},
    {"44251-7", "Poor appetite or overeating"},
    {"44258-2", "Feeling bad about yourself"},
    {"44252-5", "Trouble concentrating on things"},
    {"44253-3", "Moving or speaking slowly, or being restless"},
    {"44260-8", "Thoughts that you would be better off dead"},
}};

constexpr std::array<Question, 7> kGad7Questions = {{
    {"69725-0", "Feeling nervous, anxious or on edge"},
    {"68509-9", "Not being able to stop or control worrying"},
    {"69733-4", "Worrying too much about different things"},
    {"69734-2", "Trouble relaxing"},
    {"69735-9", "Being so restless that it is hard to sit still"},
    {"69689-8", "Becoming easily annoyed or irritable"},
    {"69736-7", "Feeling afraid as if something awful might happen"},
}};

const std::array<Form, 2> kForms = {{
    {"http://loinc.org/q/44249-1|2.72",
     kPhq9Questions,
     {"44261-6", "Patient Health Questionnaire 9 item total score"}},
    {"http://loinc.org/q/69737-5|2.72",
     kGad7Questions,
     {"70274-6", "Generalized anxiety disorder 7 item total score"}},
}};

constexpr absl::string_view kNote =
    "Slept badly again, woke up twice during the night and needed a rest in "
    "the "
    "afternoon. The walk in the park went better than last week. ";

int Pick(std::mt19937_64& random, int count) {
  return static_cast<int>(random() % static_cast<std::uint64_t>(count));
}

std::string SampleSubject(std::mt19937_64& random) {
  return absl::StrFormat("Patient/S%05d", Pick(random, kSubjects));
}

// Returns the frequency of a symptom, at most one step from `burden`, so that
// the answers of one person resemble each other.
std::size_t PickFrequency(std::mt19937_64& random, int burden) {
  const int choice = burden + Pick(random, 3) - 1;
  return static_cast<std::size_t>(std::clamp(choice, 0, 3));
}

std::string Note(std::size_t bytes) {
  std::string note;
  note.reserve(bytes);
  while (note.size() < bytes) {
    absl::StrAppend(&note, kNote.substr(0, bytes - note.size()));
  }
  return note;
}

void AddTotalScore(const Question& question, int score,
                   v1::QuestionnaireResponse& response) {
  auto* item = response.add_item();
  item->set_link_id(absl::StrCat("/", question.code));
  item->set_text(std::string(question.text));
  auto* quantity = item->add_answer()->mutable_quantity();
  quantity->set_value(absl::StrCat(score));
  quantity->set_unit("{score}");
}

// Adds `answers` answers. The last is the total score.
void AddAnswers(const Form& form, int answers, std::mt19937_64& random,
                v1::QuestionnaireResponse& response) {
  const int burden = Pick(random, 3);
  const int questions = static_cast<int>(form.questions.size());
  int score = 0;
  for (int i = 0; i < answers - 1; ++i) {
    const Question& question =
        form.questions[static_cast<std::size_t>(i % questions)];
    const std::size_t frequency = PickFrequency(random, burden);
    score += static_cast<int>(frequency);
    auto* item = response.add_item();
    item->set_link_id(absl::StrCat("/", question.code));
    if (i >= questions) {
      absl::StrAppend(item->mutable_link_id(), ".", i / questions);
    }
    item->set_text(std::string(question.text));
    auto* coding = item->add_answer()->mutable_coding();
    coding->set_system(std::string(kLoinc));
    coding->set_code(std::string(kFrequencies[frequency].code));
    coding->set_display(std::string(kFrequencies[frequency].display));
  }
  AddTotalScore(form.score, score, response);
}

void FillWithNote(std::size_t bytes_min, v1::SubmitRequest& request) {
  constexpr std::size_t kIdAndItem =
      64;  // approximate size of the id and of the note's item
  const std::size_t size = request.ByteSizeLong() + kIdAndItem;
  if (size >= bytes_min) return;
  auto* item = request.mutable_response()->add_item();
  item->set_link_id("note");
  item->add_answer()->set_string(Note(bytes_min - size));
}

}  // namespace

std::string SampleSite(std::mt19937_64& random) {
  return absl::StrFormat("SITE-%02d", 1 + Pick(random, kSites));
}

v1::SubmitRequest SampleSubmission(const FormOptions& options,
                                   std::mt19937_64& random) {
  const Form& form =
      kForms[static_cast<std::size_t>(Pick(random, kForms.size()))];
  const absl::Time completed =
      options.evening + absl::Seconds(Pick(random, 3600));
  const absl::TimeZone zone = absl::FixedTimeZone(3600 * (Pick(random, 3) - 1));

  v1::SubmitRequest request;
  request.set_study_id(options.study_id);
  request.set_site_id(SampleSite(random));

  auto& response = *request.mutable_response();
  response.set_questionnaire(std::string(form.questionnaire));
  response.set_status(v1::QuestionnaireResponse::COMPLETED);
  response.mutable_subject()->set_reference(SampleSubject(random));
  *response.mutable_source() = response.subject();
  response.set_authored(
      absl::FormatTime("%Y-%m-%dT%H:%M:%S%Ez", completed, zone));
  AddAnswers(form,
             options.answers > 0 ? options.answers
                                 : static_cast<int>(form.questions.size()) + 1,
             random, response);

  auto& capture = *request.mutable_capture();
  capture.set_device("handset");
  capture.set_app_version("4.2.0");
  capture.mutable_completed_at()->set_seconds(absl::ToUnixSeconds(completed));
  capture.mutable_started_at()->set_seconds(absl::ToUnixSeconds(completed) -
                                            60 - Pick(random, 240));

  FillWithNote(options.bytes_min, request);
  return request;
}

v1::PatientRecord SamplePatientRecord(const FormOptions& options,
                                      std::mt19937_64& random) {
  v1::PatientRecord record;
  record.set_patient_id(SampleSubject(random));
  std::string data = absl::StrFormat(
      R"({"resourceType":"Patient","gender":"%s","birthDate":"%d-%02d-%02d"})",
      Pick(random, 2) == 0 ? "female" : "male", 1940 + Pick(random, 60),
      1 + Pick(random, 12), 1 + Pick(random, 28));
  // White space at the end keeps the text valid JSON.
  data.resize(std::max(data.size(), options.bytes_min), ' ');
  record.set_data(data);
  return record;
}

v1::AppEvent SampleEvent(const FormOptions& options, std::mt19937_64& random) {
  static constexpr std::array<absl::string_view, 4> kNames = {
      "diary_opened", "reminder_shown", "form_completed", "sync_started"};
  v1::AppEvent event;
  event.set_name(
      std::string(kNames[static_cast<std::size_t>(Pick(random, 4))]));
  event.mutable_occurred_at()->set_seconds(
      absl::ToUnixSeconds(options.evening) + Pick(random, 3600));
  (*event.mutable_attributes())["app_version"] = "4.2.0";
  if (options.bytes_min > 0) {
    (*event.mutable_attributes())["trace"] = Note(options.bytes_min);
  }
  return event;
}

}  // namespace sluice

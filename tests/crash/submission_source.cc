#include "tests/crash/submission_source.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/sha256.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

// Percentage of submissions that repeat a known submission, or reuse its id
// with different content.
constexpr std::uint64_t kAgainPercent = 10;
constexpr std::uint64_t kOtherContentPercent = 5;

// Limits of remembered submissions. Beyond these limits, known submissions are
// replaced at random, and unanswered submissions are dropped.
constexpr std::size_t kKnownMax = 4096;
constexpr std::size_t kUnansweredMax = 4096;

std::string SampleContent(SubmissionKind kind, const FormOptions& form,
                          std::string id, std::mt19937_64& random) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse: {
      v1::SubmitRequest request = SampleSubmission(form, random);
      request.set_submission_id(std::move(id));
      return request.SerializeAsString();
    }
    case SubmissionKind::kPatientRecord: {
      v1::PatientRecord record = SamplePatientRecord(form, random);
      record.set_record_id(std::move(id));
      return record.SerializeAsString();
    }
    case SubmissionKind::kAppEvent: {
      v1::AppEvent event = SampleEvent(form, random);
      event.set_event_id(std::move(id));
      return event.SerializeAsString();
    }
  }
  return "";
}

}  // namespace

SubmissionSource::SubmissionSource(std::string study_id, std::uint64_t seed)
    : form_({.study_id = std::move(study_id),
             .evening = absl::Now() - absl::Hours(1)}),
      random_(seed),
      ids_(UuidVersion::kTimeOrdered, seed) {}

Outgoing SubmissionSource::Next(SubmissionKind kind) {
  absl::MutexLock lock(&mutex_);
  OfKind& of_kind = kinds_[static_cast<std::size_t>(kind)];
  if (!of_kind.unanswered.empty() && random_() % 2 == 0) {
    Outgoing next = std::move(of_kind.unanswered.front());
    of_kind.unanswered.pop_front();
    return next;
  }
  const std::uint64_t percent = random_() % 100;
  if (!of_kind.known.empty() && percent < kAgainPercent) {
    return Pick(of_kind.known);
  }
  if (!of_kind.known.empty() &&
      percent < kAgainPercent + kOtherContentPercent) {
    return New(kind, Pick(of_kind.known)->key.submission_id);
  }
  Outgoing next = New(kind, NewId());
  Remember(next, of_kind.known);
  return next;
}

void SubmissionSource::SendAgain(Outgoing unanswered) {
  absl::MutexLock lock(&mutex_);
  OfKind& of_kind = kinds_[static_cast<std::size_t>(unanswered->kind)];
  if (of_kind.unanswered.size() >= kUnansweredMax) return;
  of_kind.unanswered.push_back(std::move(unanswered));
}

Outgoing SubmissionSource::New(SubmissionKind kind, std::string id) {
  auto made = std::make_shared<OutgoingSubmission>();
  made->key = {.study_id = form_.study_id, .submission_id = id};
  made->kind = kind;
  made->content = SampleContent(kind, form_, std::move(id), random_);
  made->sha256 = Sha256(made->content);
  return made;
}

void SubmissionSource::Remember(const Outgoing& submission,
                                std::vector<Outgoing>& known) {
  if (known.size() < kKnownMax) {
    known.push_back(submission);
  } else {
    known[random_() % known.size()] = submission;
  }
}

std::string SubmissionSource::NewId() {
  return std::string(View(ids_.Next(absl::Now())));
}

const Outgoing& SubmissionSource::Pick(const std::vector<Outgoing>& known) {
  return known[random_() % known.size()];
}

}  // namespace sluice

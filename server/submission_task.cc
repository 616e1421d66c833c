#include "server/submission_task.h"

#include <utility>

#include "forms/content.h"
#include "pool/worker_pool.h"

namespace sluice {

SubmissionTask::SubmissionTask(const MethodContext& method_context,
                               SubmissionOwner* owner, std::size_t entry,
                               Parking parking)
    : method_(method_context), owner_(owner), entry_(entry), parking_(parking) {
  method = Index(method_context.method);
  promised = method_context.config.ack == Ack::kQueued;
}

bool SubmissionTask::Arrive() {
  identity_ = {method_.method, submission.study_id, submission.submission_id};
  if (promised) {
    submission.content_sha256 = Sha256(submission.content);
    queued_ = Answer::Of(Answer::Kind::kQueued);
    queued_.received_at = submission.received_at;
    queued_.content_sha256 = submission.content_sha256;
  }
  if (promised || parking_ == Parking::kTold) {
    listener = this;
    notice_ = shared_from_this();
  }
  in_pool_ = shared_from_this();
  const Admission admission = method_.pool->Arrive(this, *method_.policy);
  switch (admission.kind) {
    case Admission::Kind::kParked:
      return true;
    case Admission::Kind::kAdmitted:
      notice_.reset();
      if (promised) AnswerQueued(admission.sequence);
      return false;
    case Admission::Kind::kRefused:
    case Admission::Kind::kDropped:
      notice_.reset();
      in_pool_.reset();
      owner_->OnAnswer(entry_, Answer::TurnedAway(admission));
      return false;
  }
  return false;
}

bool SubmissionTask::Leave() {
  if (!method_.pool->Leave(this)) return false;
  const auto self = std::move(in_pool_);
  StopWaiting();
  return true;
}

bool SubmissionTask::PassOver() const {
  return !promised && owner_->CallerGone();
}

void SubmissionTask::SetSaved(const Saved& saved) {
  switch (saved.result) {
    case Saved::Result::kStored:
      outcome = Outcome::kStored;
      answer_ = Answer::Of(Answer::Kind::kStored);
      break;
    case Saved::Result::kDuplicate:
      outcome = Outcome::kDuplicate;
      answer_ = Answer::Of(Answer::Kind::kDuplicate);
      break;
    case Saved::Result::kConflict:
      outcome = Outcome::kConflict;
      answer_ = Answer::Of(Answer::Kind::kConflict);
      break;
  }
  answer_.sequence = saved.sequence;
  answer_.received_at = saved.received_at;
  answer_.content_sha256 = saved.content_sha256;
}

void SubmissionTask::SetUnavailable() {
  outcome = Outcome::kUnavailable;
  answer_ = Answer::Unavailable();
}

void SubmissionTask::SetFailed(std::string error_id) {
  outcome = Outcome::kFailed;
  answer_ = Answer::Failed(std::move(error_id));
}

void SubmissionTask::SetPassedOver() {
  outcome = Outcome::kAbandoned;
  answer_ = Answer::Of(Answer::Kind::kCancelled);
}

void SubmissionTask::OnAdmitted(std::int64_t admitted_as) {
  const auto self = std::move(notice_);
  if (parking_ == Parking::kTold) owner_->OnUnparked();
  if (promised) AnswerQueued(admitted_as);
}

void SubmissionTask::OnEnded(Ending ending, Duration retry_delay) {
  const auto self = std::move(in_pool_);
  const bool was_admitted = sequence != 0;
  StopWaiting();
  if (was_admitted) method_.leftovers->Add(identity_);
  if (was_admitted && promised) return;
  owner_->OnAnswer(entry_, Answer::Ended(ending, retry_delay));
}

void SubmissionTask::OnDone() {
  const auto self = std::move(in_pool_);
  if (!promised) owner_->OnAnswer(entry_, answer_);
}

void SubmissionTask::AnswerQueued(std::int64_t admitted_as) {
  queued_.sequence = admitted_as;
  owner_->OnAnswer(entry_, queued_);
}

// For a task that left the waiting room other than into the queue: no notice
// will come. One that was admitted has had its notice, or has it under way.
void SubmissionTask::StopWaiting() {
  if (sequence != 0 || notice_ == nullptr) return;
  notice_.reset();
  if (parking_ == Parking::kTold) owner_->OnUnparked();
}

}  // namespace sluice

#include "server/submission_task.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "forms/content.h"
#include "pool/worker_pool.h"
#include "server/intake.h"
#include "server/journal_writer.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// One that followed another whose own caller gave up is asked to come again.
constexpr Duration kComeAgain = std::chrono::milliseconds(50);

StoredReceipt ReceiptOf(const Answer& answer) {
  return {.sequence = answer.sequence,
          .received_at = answer.received_at,
          .content_sha256 = answer.content_sha256};
}

// The id of a record may be the patient's: it is known by its hash instead.
Leftover IdentityOf(Method method, const Submission& submission) {
  std::string id = submission.submission_id;
  if (submission.kind == SubmissionKind::kPatientRecord) {
    const absl::string_view hash(
        reinterpret_cast<const char*>(submission.content_sha256.data()),
        submission.content_sha256.size());
    id = absl::StrCat("sha256:", absl::BytesToHexString(hash));
  }
  return {method, submission.study_id, std::move(id)};
}

// What one is told that shared the fate of another. That may be of another
// method, one that loses.
Answer ForFollower(const Answer& leader, bool may_be_dropped) {
  switch (leader.kind) {
    case Answer::Kind::kStored:
    case Answer::Kind::kDuplicate:
      return Answer::Duplicate(ReceiptOf(leader));
    case Answer::Kind::kRefused:
      return Answer::Refused(leader.reason,
                             absl::ToChronoNanoseconds(leader.retry_delay));
    case Answer::Kind::kDropped:
      return may_be_dropped
                 ? leader
                 : Answer::Refused(RefusalReason::kQueueFull, kComeAgain);
    case Answer::Kind::kDeadline:
    case Answer::Kind::kCancelled:
      return Answer::Refused(RefusalReason::kWaitOver, kComeAgain);
    default:
      return leader;
  }
}

}  // namespace

SubmissionTask::SubmissionTask(const MethodContext& method_context,
                               std::shared_ptr<const MethodSettings> settings,
                               SubmissionOwner* owner, std::size_t entry,
                               Parking parking)
    : method_(method_context),
      settings_(std::move(settings)),
      owner_(owner),
      owners_entry_(entry),
      parking_(parking),
      journal_(settings_->config.ack == Ack::kQueued ? method_context.journal
                                                     : nullptr),
      answer_errand_(this),
      unparked_errand_(this) {
  method = Index(method_context.method);
  priority = settings_->config.priority;
  promised = settings_->config.ack == Ack::kQueued;
  needs_commit = journal_ != nullptr;
  droppable = settings_->droppable;
}

SubmissionTask::SubmissionTask(const MethodContext& method_context,
                               JournalWriter* journal,
                               JournalEntry from_journal)
    : method_(method_context),
      owner_(nullptr),
      owners_entry_(0),
      parking_(Parking::kSilent),
      entry_(std::move(from_journal)),
      journal_(journal),
      answer_errand_(this),
      unparked_errand_(this) {
  method = Index(method_context.method);
  const auto settings = method_.settings->Get();
  priority = settings->config.priority;
  lane = LaneOf(settings->fair_by, {}, submission().study_id,
                submission().site_id);
  promised = true;
  sequence = submission().sequence;
  bytes = submission().content.size();
  order_key = OrderKey(submission());
  identity_ = IdentityOf(method_.method, submission());
  key_ = SubmissionKey::Of(submission());
}

void SubmissionTask::SetLane(const Sender& sender) {
  lane = LaneOf(settings_->fair_by, sender, submission().study_id,
                submission().site_id);
}

void SubmissionTask::Restore(WorkerPool* pool) {
  in_pool_ = shared_from_this();
  method_.recent->Restore(key_, in_pool_,
                          {.sequence = sequence,
                           .received_at = submission().received_at,
                           .content_sha256 = submission().content_sha256});
  pool->Restore(this);
}

bool SubmissionTask::Arrive() {
  key_ = SubmissionKey::Of(submission());
  submission().content_sha256 = Sha256(submission().content);
  identity_ = IdentityOf(method_.method, submission());
  if (promised) {
    order_key = OrderKey(submission());
    queued_ = Answer::Of(Answer::Kind::kQueued);
    queued_.received_at = submission().received_at;
    queued_.content_sha256 = submission().content_sha256;
  }
  arrived_.store(true, std::memory_order_release);
  return LeadsOrIsAlone() && Offer();
}

bool SubmissionTask::LeadsOrIsAlone() {
  StoredReceipt known;
  switch (method_.recent->Arrive(
      key_, shared_from_this(), submission().content_sha256,
      /*durably=*/!promised || in_journal(), &known)) {
    case RecentIds::Arrival::kFirst:
    case RecentIds::Arrival::kOther:
      return true;
    case RecentIds::Arrival::kJoined:
      return false;
    case RecentIds::Arrival::kTooMany:
      method_.pool->CountShared(method,
                                {.kind = Admission::Kind::kRefused,
                                 .reason = RefusalReason::kWaitingRoomFull});
      answer_ = Answer::Refused(RefusalReason::kWaitingRoomFull, kComeAgain);
      break;
    case RecentIds::Arrival::kQueued:
      // Not yet DUPLICATE: the store may know of one that came still earlier.
      method_.pool->CountShared(method, Outcome::kDuplicate);
      answer_ = Answer::Queued(known);
      break;
    case RecentIds::Arrival::kKnown:
      method_.pool->CountShared(method, Outcome::kDuplicate);
      answer_ = Answer::Duplicate(known);
      break;
  }
  PostAnswer(&answer_);
  return false;
}

bool SubmissionTask::Offer() {
  if (promised || parking_ == Parking::kTold) {
    listener = this;
    notice_ = shared_from_this();
  }
  in_pool_ = shared_from_this();
  const auto self = in_pool_;
  const Admission admission = method_.pool->Arrive(this, *settings_->policy);
  switch (admission.kind) {
    case Admission::Kind::kParked:
      return true;
    case Admission::Kind::kAdmitted:
      notice_.reset();
      if (journal_ != nullptr) {
        journal_->Add(self);
      } else if (promised) {
        queued_.sequence = admission.sequence;
        AnswerQueued();
      }
      return false;
    case Admission::Kind::kRefused:
    case Admission::Kind::kDropped:
      notice_.reset();
      in_pool_.reset();
      answer_ = Answer::TurnedAway(admission);
      End(/*owner_waits=*/true, std::nullopt);
      return false;
  }
  return false;
}

bool SubmissionTask::Leave() {
  if (!arrived_.load(std::memory_order_acquire)) return false;
  switch (method_.recent->Leave(key_, this)) {
    case RecentIds::Leaving::kFollowed:
      method_.pool->CountSharedLeft(method);
      return true;
    case RecentIds::Leaving::kLeads:
      return false;
    case RecentIds::Leaving::kAlone:
      break;
  }
  if (!method_.pool->Leave(this)) return false;
  const auto self = std::move(in_pool_);
  StopWaiting();
  answer_ = Answer::Of(Answer::Kind::kCancelled);
  End(/*owner_waits=*/false, std::nullopt);
  return true;
}

bool SubmissionTask::PassOver() const {
  return !promised && owner_->CallerGone() &&
         method_.recent->Leave(key_, this) != RecentIds::Leaving::kLeads;
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

bool SubmissionTask::Quarantine(const std::string& reason, int tries) {
  if (journal_ == nullptr) return false;
  const absl::Status status =
      journal_->Quarantine(entry_.position, reason, tries);
  if (!status.ok()) {
    spdlog::warn("journal failed: quarantine status={}", status.ToString());
    return false;
  }
  spdlog::warn("quarantined: sequence={} reason={}", sequence, reason);
  outcome = Outcome::kQuarantined;
  answer_ = Answer::Queued({.sequence = sequence,
                            .received_at = submission().received_at,
                            .content_sha256 = submission().content_sha256});
  return true;
}

JournalEntry* SubmissionTask::ToJournal() {
  submission().sequence = sequence;
  entry_.method = std::string(MethodName(method_.method));
  return &entry_;
}

void SubmissionTask::OnCommitted() {
  queued_.sequence = sequence;
  AnswerQueued();
}

void SubmissionTask::OnCommitFailed() {
  const auto self = std::move(in_pool_);
  answer_ = Answer::Unavailable();
  End(/*owner_waits=*/true, std::nullopt);
}

void SubmissionTask::OnShared(const Answer& answer) {
  answer_ = ForFollower(answer, settings_->loses);
  CountShared(answer_);
  PostAnswer(&answer_);
}

void SubmissionTask::CountShared(const Answer& answer) {
  WorkerPool* pool = method_.pool;
  switch (answer.kind) {
    case Answer::Kind::kRefused:
      return pool->CountShared(
          method, {.kind = Admission::Kind::kRefused, .reason = answer.reason});
    case Answer::Kind::kDropped:
      return pool->CountShared(method, {.kind = Admission::Kind::kDropped});
    case Answer::Kind::kQueued:
    case Answer::Kind::kDuplicate:
      return pool->CountShared(method, Outcome::kDuplicate);
    case Answer::Kind::kConflict:
      return pool->CountShared(method, Outcome::kConflict);
    default:
      return pool->CountShared(method, Outcome::kFailed);
  }
}

void SubmissionTask::OnAdmitted(std::int64_t admitted_as) {
  const auto self = std::move(notice_);
  if (journal_ != nullptr) {
    journal_->Add(self);
  } else if (promised) {
    queued_.sequence = admitted_as;
    AnswerQueued();
  }
  // What the owner offers next comes behind this one.
  if (parking_ == Parking::kTold) PostUnparked();
}

void SubmissionTask::OnEnded(Ending ending, Duration retry_delay) {
  const auto self = std::move(in_pool_);
  const bool was_admitted = sequence != 0;
  StopWaiting();
  if (was_admitted && ending == Ending::kDraining) {
    if (in_journal()) {
      method_.leftovers->AddJournaled();
    } else {
      method_.leftovers->Add(identity_);
    }
  }
  answer_ = Answer::Ended(ending, retry_delay);
  End(/*owner_waits=*/!(was_admitted && promised), std::nullopt);
}

void SubmissionTask::OnDone() {
  const auto self = std::move(in_pool_);
  const bool stored =
      outcome == Outcome::kStored || outcome == Outcome::kDuplicate;
  // What failed stays in the journal for another start.
  if (in_journal() && stored) journal_->MarkDone(entry_.position);
  // Not of one in quarantine, which may have had the same before, under another
  // number.
  std::optional<StoredReceipt> kept;
  if (stored) kept = ReceiptOf(answer_);
  End(/*owner_waits=*/!promised, kept);
}

void SubmissionTask::AnswerQueued() {
  const auto followers = method_.recent->Acknowledge(
      key_, this, ReceiptOf(queued_), /*durable=*/in_journal());
  PostAnswer(&queued_);
  for (const auto& follower : followers) follower->OnShared(queued_);
}

void SubmissionTask::End(bool owner_waits,
                         const std::optional<StoredReceipt>& stored) {
  const auto followers = method_.recent->End(key_, this, stored);
  if (owner_waits) PostAnswer(&answer_);
  for (const auto& follower : followers) follower->OnShared(answer_);
}

void SubmissionTask::PostAnswer(const Answer* answer) {
  told_ = answer;
  telling_answer_ = shared_from_this();
  owner_->loop()->Post(&answer_errand_);
}

void SubmissionTask::PostUnparked() {
  telling_unparked_ = shared_from_this();
  owner_->loop()->Post(&unparked_errand_);
}

void SubmissionTask::TellAnswer() {
  const auto self = std::move(telling_answer_);
  owner_->OnAnswer(owners_entry_, *told_);
}

void SubmissionTask::TellUnparked() {
  const auto self = std::move(telling_unparked_);
  owner_->OnUnparked();
}

// For a task that left the waiting room other than into the queue: no notice
// will come. One that was admitted has had its notice, or has it under way.
void SubmissionTask::StopWaiting() {
  if (sequence != 0 || notice_ == nullptr) return;
  notice_.reset();
  if (parking_ == Parking::kTold) PostUnparked();
}

}  // namespace sluice

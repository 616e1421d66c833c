#include "server/submissions/submission_task.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "forms/content.h"
#include "pool/worker_pool.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/order_key.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// One that followed another whose own caller gave up is asked to come again.
constexpr Duration kComeAgain = std::chrono::milliseconds(50);

// What one is told that shared the fate of another. That may be of another
// method, one that loses.
Answer ForFollower(const Answer& leader, bool may_be_dropped) {
  switch (leader.kind) {
    case Answer::Kind::kStored:
    case Answer::Kind::kDuplicate:
      return Answer::Duplicate(leader.kept);
    case Answer::Kind::kRefused:
      return Answer::Refused(leader.reason,
                             absl::ToChronoNanoseconds(leader.retry_delay));
    case Answer::Kind::kDropped:
      return may_be_dropped
                 ? leader
                 : Answer::Refused(TaskResult::kQueueFull, kComeAgain);
    case Answer::Kind::kDeadline:
    case Answer::Kind::kCancelled:
      return Answer::Refused(TaskResult::kWaitOver, kComeAgain);
    default:
      return leader;
  }
}

// Texts with more room than that are not kept: few need it.
constexpr std::size_t kRoomMaxBytes = 4096;

ReceivedSubmission EmptyWithRoom() {
  return FreeList<ReceivedSubmission>::Instance().Take().value_or(
      ReceivedSubmission());
}

// Nothing but the room of its texts is left for another.
void KeepRoom(ReceivedSubmission* submission) {
  ReceivedSubmission empty;
  for (std::string ReceivedSubmission::*const text :
       {&ReceivedSubmission::study_id, &ReceivedSubmission::submission_id,
        &ReceivedSubmission::site_id, &ReceivedSubmission::content}) {
    std::string& room = submission->*text;
    if (room.capacity() > kRoomMaxBytes) continue;
    room.clear();
    empty.*text = std::move(room);
  }
  FreeList<ReceivedSubmission>::Instance().Give(std::move(empty));
}

}  // namespace

SubmissionTask::SubmissionTask(const MethodContext& method_context,
                               std::shared_ptr<const MethodSettings> settings,
                               SubmissionOwner* owner, std::size_t entry,
                               Parking parking)
    : method_(method_context),
      settings_(std::move(settings)),
      owner_(owner),
      owners_entry_(static_cast<std::uint32_t>(entry)),
      parking_(parking),
      journal_(settings_->config.ack == Ack::kQueued ? method_context.journal
                                                     : nullptr),
      submission_(EmptyWithRoom()) {
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
      journal_(journal),
      journal_position_(from_journal.position),
      submission_(std::move(from_journal.submission)) {
  method = Index(method_context.method);
  const auto settings = method_.settings->Get();
  priority = settings->config.priority;
  lane =
      LaneOf(settings->fair_by, {}, submission_.study_id, submission_.site_id);
  promised = true;
  sequence = submission_.sequence;
  bytes = submission_.content.size();
  order_key = OrderKey(submission_);
  key = SubmissionKey::Of(submission_);
}

SubmissionTask::~SubmissionTask() { KeepRoom(&submission_); }

void SubmissionTask::SetLane(const Sender& sender) {
  lane = LaneOf(settings_->fair_by, sender, submission_.study_id,
                submission_.site_id);
}

void SubmissionTask::Restore(WorkerPool* pool) {
  in_pool_ = shared_from_this();
  method_.recent->Restore(in_pool_);
  pool->Restore(this);
}

bool SubmissionTask::Arrive() {
  key = SubmissionKey::Of(submission_);
  submission_.content_sha256 = Sha256(submission_.content);
  if (promised) order_key = OrderKey(submission_);
  arrived_.store(true, std::memory_order_release);
  return LeadsOrIsAlone() && Offer();
}

bool SubmissionTask::LeadsOrIsAlone() {
  StoredReceipt known;
  switch (method_.recent->Arrive(
      shared_from_this(), /*durably=*/!promised || in_journal(), &known)) {
    case RecentIds::Arrival::kFirst:
    case RecentIds::Arrival::kOther:
      return true;
    case RecentIds::Arrival::kJoined:
      return false;
    case RecentIds::Arrival::kTooMany:
      method_.pool->CountArrival(method, TaskResult::kWaitingRoomFull);
      answer_ = Answer::Refused(TaskResult::kWaitingRoomFull, kComeAgain);
      break;
    case RecentIds::Arrival::kQueued:
      // Not yet DUPLICATE: the store may know of one that came still earlier.
      method_.pool->CountArrival(method, TaskResult::kDuplicate);
      answer_ = Answer::Queued(known);
      break;
    case RecentIds::Arrival::kKnown:
      method_.pool->CountArrival(method, TaskResult::kDuplicate);
      answer_ = Answer::Duplicate(known);
      break;
  }
  PostAnswer(Told::kEnd);
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
        AnswerQueued();
      }
      return false;
    case Admission::Kind::kEnded:
      notice_.reset();
      in_pool_.reset();
      answer_ = Answer::Ended(admission.result, admission.retry_delay);
      End(/*owner_waits=*/true, std::nullopt);
      return false;
  }
  return false;
}

bool SubmissionTask::Leave() {
  if (!arrived_.load(std::memory_order_acquire)) return false;
  switch (method_.recent->Leave(this)) {
    case RecentIds::Leaving::kFollowed:
      method_.pool->CountArrival(method, TaskResult::kCancelled);
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
         method_.recent->Leave(this) != RecentIds::Leaving::kLeads;
}

Leftover SubmissionTask::Identity() const {
  Leftover identity{method_.method, submission_.study_id,
                    submission_.submission_id};
  // The id of a record may be the patient's: it is known by its hash instead.
  if (submission_.kind == SubmissionKind::kPatientRecord) {
    const absl::string_view hash(
        reinterpret_cast<const char*>(submission_.content_sha256.data()),
        submission_.content_sha256.size());
    identity.submission_id =
        absl::StrCat("sha256:", absl::BytesToHexString(hash));
  }
  return identity;
}

StoredReceipt SubmissionTask::OwnReceipt() const {
  return {.sequence = sequence,
          .received_at = submission_.received_at,
          .content_sha256 = submission_.content_sha256};
}

void SubmissionTask::LendSubmission(Submission* lent) {
  std::string content = std::exchange(submission_.content, std::string());
  // The ids stay: others may read them.
  static_cast<ReceivedSubmission&>(*lent) = submission_;
  lent->sequence = sequence;
  lent->content = std::move(content);
}

void SubmissionTask::TakeBack(std::string content) {
  // A quiet stream holds its last task for as long as it likes.
  if (again || content.capacity() <= kRoomMaxBytes) {
    submission_.content = std::move(content);
  }
}

void SubmissionTask::SetSaved(const Saved& saved) {
  const StoredReceipt kept = {.sequence = saved.sequence,
                              .received_at = saved.received_at,
                              .content_sha256 = saved.content_sha256};
  switch (saved.result) {
    case Saved::Result::kStored:
      result = TaskResult::kStored;
      answer_ = Answer::Stored(kept);
      break;
    case Saved::Result::kDuplicate:
      result = TaskResult::kDuplicate;
      answer_ = Answer::Duplicate(kept);
      break;
    case Saved::Result::kConflict:
      result = TaskResult::kConflict;
      answer_ = Answer::Of(Answer::Kind::kConflict);
      break;
  }
}

void SubmissionTask::SetUnavailable() {
  result = TaskResult::kStoreUnavailable;
  answer_ = Answer::Unavailable();
}

void SubmissionTask::SetFailed(const std::string& error_id) {
  result = TaskResult::kFailed;
  answer_ = Answer::Failed(error_id);
}

void SubmissionTask::SetPassedOver() {
  result = TaskResult::kCancelled;
  answer_ = Answer::Of(Answer::Kind::kCancelled);
}

bool SubmissionTask::Quarantine(const std::string& reason, int tries) {
  if (journal_ == nullptr) return false;
  const absl::Status status =
      journal_->Quarantine(journal_position_, reason, tries);
  if (!status.ok()) {
    spdlog::warn("journal failed: quarantine status={}", status.ToString());
    return false;
  }
  spdlog::warn("quarantined: sequence={} reason={}", sequence, reason);
  result = TaskResult::kQuarantined;
  answer_ = Answer::Queued(OwnReceipt());
  return true;
}

NewJournalEntry SubmissionTask::ToJournal() {
  submission_.sequence = sequence;
  return {MethodName(method_.method), &submission_};
}

void SubmissionTask::OnCommitted(std::int64_t position) {
  journal_position_ = position;
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
  PostAnswer(Told::kEnd);
}

void SubmissionTask::CountShared(const Answer& answer) {
  WorkerPool* pool = method_.pool;
  switch (answer.kind) {
    case Answer::Kind::kRefused:
      return pool->CountArrival(method, answer.reason);
    case Answer::Kind::kDropped:
      return pool->CountArrival(method, TaskResult::kDropped);
    case Answer::Kind::kQueued:
    case Answer::Kind::kDuplicate:
      return pool->CountArrival(method, TaskResult::kDuplicate);
    case Answer::Kind::kConflict:
      return pool->CountArrival(method, TaskResult::kConflict);
    default:
      return pool->CountArrival(method, TaskResult::kFailed);
  }
}

void SubmissionTask::OnAdmitted(std::int64_t /*admitted_as*/) {
  const auto self = std::move(notice_);
  if (journal_ != nullptr) {
    journal_->Add(self);
  } else if (promised) {
    AnswerQueued();
  }
  // What the owner offers next comes behind this one.
  TellUnparked();
}

void SubmissionTask::OnEnded(TaskResult end, Duration retry_delay) {
  const auto self = std::move(in_pool_);
  const bool was_admitted = sequence != 0;
  StopWaiting();
  if (was_admitted && end == TaskResult::kDraining) {
    if (in_journal()) {
      method_.leftovers->AddJournaled();
    } else {
      method_.leftovers->Add(Identity());
    }
  }
  answer_ = Answer::Ended(end, retry_delay);
  End(/*owner_waits=*/!(was_admitted && promised), std::nullopt);
}

void SubmissionTask::OnDone() {
  const auto self = std::move(in_pool_);
  const bool stored =
      result == TaskResult::kStored || result == TaskResult::kDuplicate;
  // What failed stays in the journal for another start.
  if (in_journal() && stored) journal_->MarkDone(journal_position_);
  // Not of one in quarantine, which may have had the same before, under another
  // number.
  std::optional<StoredReceipt> kept;
  if (stored) kept = answer_.kept;
  End(/*owner_waits=*/!promised, kept);
}

void SubmissionTask::AnswerQueued() {
  const auto followers =
      method_.recent->Acknowledge(this, /*durable=*/in_journal());
  PostAnswer(Told::kQueued);
  const Answer queued = Answer::Queued(OwnReceipt());
  for (const auto& follower : followers) follower->OnShared(queued);
}

void SubmissionTask::End(bool owner_waits,
                         const std::optional<StoredReceipt>& stored) {
  const auto followers = method_.recent->End(this, stored);
  if (owner_waits) PostAnswer(Told::kEnd);
  for (const auto& follower : followers) follower->OnShared(answer_);
}

void SubmissionTask::PostAnswer(Told told) {
  told_ = told;
  telling_answer_ = shared_from_this();
  owner_->loop()->Post(this);
}

void SubmissionTask::TellUnparked() {
  if (parking_ == Parking::kTold) owner_->PostUnparked();
}

void SubmissionTask::OnLoop() {
  const auto self = std::move(telling_answer_);
  owner_->OnAnswer(
      owners_entry_, submission_.submission_id,
      told_ == Told::kQueued ? Answer::Queued(OwnReceipt()) : answer_);
}

// For a task that left the waiting room other than into the queue: no notice
// will come. One that was admitted has had its notice, or has it under way.
void SubmissionTask::StopWaiting() {
  if (sequence != 0 || notice_ == nullptr) return;
  notice_.reset();
  TellUnparked();
}

}  // namespace sluice

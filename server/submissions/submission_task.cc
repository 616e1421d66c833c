#include "server/submissions/submission_task.h"

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "pool/worker_pool.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/order_key.h"
#include "server/submissions/task_failure.h"

namespace sluice {
namespace {

using Stage = SubmissionTask::Stage;

constexpr unsigned Bit(Stage stage) {
  return 1u << static_cast<unsigned>(stage);
}

// For each stage: the stages that may follow. See the diagram in the header.
constexpr std::array<unsigned, SubmissionTask::kStages> kMayFollow = {
    /*kNew*/ Bit(Stage::kFollowing) | Bit(Stage::kInPool) | Bit(Stage::kEnded),
    /*kFollowing*/ Bit(Stage::kEnded),
    /*kInPool*/ Bit(Stage::kCommitting) | Bit(Stage::kInWork) |
        Bit(Stage::kEnded),
    /*kCommitting*/ Bit(Stage::kInPool) | Bit(Stage::kEnded),
    /*kInWork*/ Bit(Stage::kAgain) | Bit(Stage::kWorked) | Bit(Stage::kEnded),
    /*kAgain*/ Bit(Stage::kInPool) | Bit(Stage::kEnded),
    /*kWorked*/ Bit(Stage::kEnded),
    /*kEnded*/ 0,
};

// Strings with more capacity are freed, not kept for the next submission,
// because few submissions are that large.
constexpr std::size_t kKeptCapacityMax = 4096;

ReceivedSubmission EmptySubmission() {
  return FreeList<ReceivedSubmission>::Instance().Take().value_or(
      ReceivedSubmission());
}

// Empties the submission, but keeps the memory of its strings for another
// submission.
void KeepMemory(ReceivedSubmission* submission) {
  ReceivedSubmission empty;
  for (std::string ReceivedSubmission::*const text :
       {&ReceivedSubmission::study_id, &ReceivedSubmission::submission_id,
        &ReceivedSubmission::site_id, &ReceivedSubmission::content}) {
    std::string& used = submission->*text;
    if (used.capacity() > kKeptCapacityMax) continue;
    used.clear();
    empty.*text = std::move(used);
  }
  FreeList<ReceivedSubmission>::Instance().Give(std::move(empty));
}

TaskResult ResultOf(Saved::Result saved) {
  switch (saved) {
    case Saved::Result::kStored:
      return TaskResult::kStored;
    case Saved::Result::kDuplicate:
      return TaskResult::kDuplicate;
    case Saved::Result::kConflict:
      return TaskResult::kConflict;
    case Saved::Result::kSequenceTaken:
      break;  // the processor saves the submission again
  }
  SLUICE_DCHECK(false);
  return TaskResult::kFailed;
}

// Returns the result under which a follower with this answer is counted.
TaskResult FollowersResult(const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::kRefused:
      return answer.reason;
    case Answer::Kind::kDropped:
      return TaskResult::kDropped;
    case Answer::Kind::kQueued:
    case Answer::Kind::kDuplicate:
      return TaskResult::kDuplicate;
    case Answer::Kind::kConflict:
      return TaskResult::kConflict;
    default:
      return TaskResult::kFailed;
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
      owners_entry_(static_cast<std::uint32_t>(entry)),
      parking_(parking),
      journal_(settings_->config.ack == Ack::kQueued ? method_context.journal
                                                     : nullptr),
      submission_(EmptySubmission()) {
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
      stage_(Stage::kInPool),
      owners_answer_(OwnersAnswer::kNone),
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
  recent_id_.key = SubmissionKey::Of(submission_);
}

SubmissionTask::~SubmissionTask() {
  SLUICE_DCHECK(
      owner_ == nullptr || stage() == Stage::kNew ||
      (stage() == Stage::kEnded && owners_answer_ != OwnersAnswer::kDue));
  KeepMemory(&submission_);
}

bool SubmissionTask::MayMove(Stage from, Stage to) {
  return (kMayFollow[static_cast<std::size_t>(from)] & Bit(to)) != 0;
}

void SubmissionTask::MoveTo(Stage to) {
  // Relaxed on purpose: a stronger order would prevent ThreadSanitizer from
  // noticing that a party touches the task without owning it.
  if constexpr (kChecks) {
    const Stage from = stage_.exchange(to, std::memory_order_relaxed);
    SLUICE_DCHECK(MayMove(from, to));
  } else {
    stage_.store(to, std::memory_order_relaxed);
  }
}

void SubmissionTask::SetSender(const Sender& sender) {
  SLUICE_DCHECK(stage() == Stage::kNew);
  // Compute the key before RecentIds has the task. A follower loses its
  // content, and the key is computed from the content.
  if (promised) order_key = OrderKey(submission_, sender.site);
  lane = LaneOf(settings_->fair_by, sender, submission_.study_id,
                submission_.site_id);
}

bool SubmissionTask::Restore(WorkerPool* pool) {
  SLUICE_DCHECK(owner_ == nullptr && promised && pool_hold_ == nullptr);
  const auto self = shared_from_this();
  pool_hold_ = self;
  method_.recent->Restore(self);
  if (pool->Restore(this)) return true;
  pool_hold_.reset();
  OnEnded(TaskResult::kDraining, {});
  return false;
}

bool SubmissionTask::Arrive() {
  SLUICE_DCHECK(owner_->loop()->InLoopThread());
  SLUICE_DCHECK(stage() == Stage::kNew);
  recent_id_.key = SubmissionKey::Of(submission_);
  submission_.content_sha256 = Sha256(submission_.content);
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
      // Do not touch the task: the leader may have ended by now, and this task
      // with it.
      return false;
    case RecentIds::Arrival::kTooMany:
      answer_ = Answer::TooManyFollowers();
      break;
    case RecentIds::Arrival::kQueued:
      // Do not answer DUPLICATE: the leader is not stored yet, and the store
      // may know an earlier submission whose receipt counts.
      answer_ = Answer::Queued(known);
      break;
    case RecentIds::Arrival::kKnown:
      answer_ = Answer::Duplicate(known);
      break;
    case RecentIds::Arrival::kConflict:
      answer_ = Answer::Of(Answer::Kind::kConflict);
      break;
  }
  method_.pool->CountArrival(method, FollowersResult(answer_));
  MoveTo(Stage::kEnded);
  PostAnswer(OwnersAnswer::kFinal);
  return false;
}

std::optional<TaskResult> SubmissionTask::RefusalOfPromise() const {
  if (journal_ == nullptr) return std::nullopt;
  return journal_->RefusalOfPromise(submission_.study_id);
}

bool SubmissionTask::Refuse(TaskResult reason) {
  method_.pool->CountArrival(method, reason);
  MoveTo(Stage::kEnded);
  answer_ = Answer::NotPromised(reason);
  End(/*owner_waits=*/true, {});
  return false;
}

bool SubmissionTask::Offer() {
  if (const auto refusal = RefusalOfPromise()) return Refuse(*refusal);
  const auto self = shared_from_this();
  // Set the members before the pool has the task. The pool may admit the task,
  // call the listener, process the task and return it, all before
  // WorkerPool::Arrive returns.
  if (promised || parking_ == Parking::kTold) {
    listener = &admission_notice_;
    admission_notice_.hold = self;
  }
  pool_hold_ = self;
  MoveTo(Stage::kInPool);
  const Admission admission = method_.pool->Arrive(this, *settings_->policy);
  switch (admission.kind) {
    case Admission::Kind::kParked:
      return true;
    case Admission::Kind::kAdmitted:
      // The task was never parked, so the notice of admission will not come.
      admission_notice_.hold.reset();
      AfterAdmission();
      return false;
    case Admission::Kind::kEnded:
      admission_notice_.hold.reset();
      pool_hold_.reset();
      MoveTo(Stage::kEnded);
      answer_ = Answer::Ended(admission.result, admission.retry_delay);
      End(/*owner_waits=*/true, {});
      return false;
  }
  return false;
}

void SubmissionTask::AfterAdmission() {
  if (journal_ != nullptr) {
    // The Gate keeps the task from workers until WorkerPool::Committed.
    MoveTo(Stage::kCommitting);
    journal_->Add(shared_from_this());
  } else if (promised) {
    // A worker may have the task by now, or may have ended it. Touch nothing
    // but the owner's answer.
    Acknowledge();
  }
}

bool SubmissionTask::Leave() {
  SLUICE_DCHECK(owner_->loop()->InLoopThread());
  SLUICE_DCHECK(stage() != Stage::kNew);
  switch (method_.recent->Leave(this)) {
    case RecentIds::Leaving::kFollowed:
      MoveTo(Stage::kEnded);
      owners_answer_ = OwnersAnswer::kNone;
      method_.pool->CountArrival(method, TaskResult::kCancelled);
      return true;
    case RecentIds::Leaving::kLeads:
      // The callers of the followers still wait for this task's result.
      return false;
    case RecentIds::Leaving::kAlone:
      break;
  }
  if (!method_.pool->Leave(this)) return false;
  const auto self = std::move(pool_hold_);
  MoveTo(Stage::kEnded);
  owners_answer_ = OwnersAnswer::kNone;
  DropNotice();
  // The answer of followers that have joined since RecentIds was asked.
  answer_ = Answer::Of(Answer::Kind::kCancelled);
  End(/*owner_waits=*/false, {});
  return true;
}

Leftover SubmissionTask::Identity() const {
  Leftover identity{method_.method, submission_.study_id,
                    submission_.submission_id};
  // The id of a patient record may be the patient's id, so report its hash
  // instead.
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
  SLUICE_DCHECK(admitted());
  return {.sequence = sequence,
          .received_at = submission_.received_at,
          .content_sha256 = submission_.content_sha256};
}

void SubmissionTask::BeginWork(std::uint32_t generation) {
  SLUICE_DCHECK(admitted());
  MoveTo(Stage::kInWork);
  recent_id_.generation = generation;
}

bool SubmissionTask::ShouldSkip() const {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  return !promised && owner_->CallerCancelled() &&
         method_.recent->Leave(this) != RecentIds::Leaving::kLeads;
}

void SubmissionTask::MoveOut(Submission* submission) {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  std::string content = std::exchange(submission_.content, std::string());
  static_cast<ReceivedSubmission&>(*submission) = submission_;
  submission->content = std::move(content);
  SetSequences(submission);
}

void SubmissionTask::Renumber(std::int64_t new_sequence,
                              Submission* submission) {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  new_sequence_ = new_sequence;
  SetSequences(submission);
}

void SubmissionTask::SetSequences(Submission* submission) const {
  submission->sequence = new_sequence_ == 0 ? sequence : new_sequence_;
  // A caller that waits for the result was not told the first number.
  submission->reported_sequence = new_sequence_ != 0 && promised ? sequence : 0;
}

void SubmissionTask::ReturnContent(std::string content) {
  const bool all = stage() == Stage::kAgain;
  // A stream holds its last task until the next message arrives, so a task that
  // has ended must not keep a large content.
  if (all || content.capacity() <= kKeptCapacityMax) {
    submission_.content = std::move(content);
  }
  // Must be last: from here on the pool owns the task.
  if (all) MoveTo(Stage::kInPool);
}

void SubmissionTask::SetResult(TaskResult worked_as, Answer answer) {
  MoveTo(Stage::kWorked);
  result = worked_as;
  answer_ = std::move(answer);
}

void SubmissionTask::SetSaved(const Saved& saved) {
  SetResult(ResultOf(saved.result), Answer::FromStore(saved));
}

void SubmissionTask::SetUnavailable() {
  SLUICE_DCHECK(!promised);
  SetResult(TaskResult::kStoreUnavailable, Answer::Unavailable());
}

void SubmissionTask::SetFailed(const std::string& error_id) {
  SetResult(TaskResult::kFailed, Answer::Failed(error_id));
}

void SubmissionTask::SetSkipped() {
  SLUICE_DCHECK(!promised);
  SetResult(TaskResult::kCancelled, Answer::Of(Answer::Kind::kCancelled));
}

void SubmissionTask::SetAgain(TimePoint at) {
  SLUICE_DCHECK(promised);
  MoveTo(Stage::kAgain);
  again = true;
  again_at = at;
}

void SubmissionTask::SetQuarantined() {
  SLUICE_DCHECK(in_journal() && stage() == Stage::kInWork);
  SetResult(TaskResult::kQuarantined, Answer::Queued(OwnReceipt()));
}

int SubmissionTask::CountFailedQuarantine() {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  return ++failed_quarantines_;
}

int SubmissionTask::CountLoneTry() {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  return ++lone_tries_;
}

SubmissionTask::UnclearTries SubmissionTask::CountUnclearTry(TimePoint now) {
  SLUICE_DCHECK(stage() == Stage::kInWork);
  if (unclear_tries_++ == 0) first_unclear_try_ = now;
  return {.count = unclear_tries_, .since_first = now - first_unclear_try_};
}

NewJournalEntry SubmissionTask::ToJournal() {
  SLUICE_DCHECK(stage() == Stage::kCommitting && admitted());
  submission_.sequence = sequence;
  return {MethodName(method_.method), &submission_};
}

void SubmissionTask::OnCommitted(std::int64_t position) {
  // Must be first: once the owner is answered, it may free the call, and
  // RecentIds may give the receipt to others.
  journal_position_ = position;
  MoveTo(Stage::kInPool);
  Acknowledge();
}

void SubmissionTask::OnCommitFailed() {
  const auto self = std::move(pool_hold_);
  MoveTo(Stage::kEnded);
  answer_ = Answer::Unavailable();
  // The owner still waits: nothing is promised before the entry is durable.
  End(/*owner_waits=*/true, {});
}

void SubmissionTask::Follow() {
  MoveTo(Stage::kFollowing);
  // Free the memory: assigning an empty string would keep it.
  std::string().swap(submission_.content);
}

void SubmissionTask::OnShared(const Answer& leaders_answer) {
  MoveTo(Stage::kEnded);
  answer_ = Answer::ForFollower(leaders_answer, settings_->loses);
  method_.pool->CountArrival(method, FollowersResult(answer_));
  PostAnswer(OwnersAnswer::kFinal);
}

void SubmissionTask::AdmissionNotice::OnAdmitted(std::int64_t /*sequence*/) {
  SLUICE_DCHECK(hold != nullptr);
  const auto task = std::move(hold);
  task->OnAdmissionNotice();
}

void SubmissionTask::OnAdmissionNotice() {
  AfterAdmission();
  // Must be last: the owner may offer its next submission, which must come
  // behind this submission in the journal, too.
  TellUnparked();
}

void SubmissionTask::OnEnded(TaskResult end, Duration retry_delay) {
  const auto self = std::move(pool_hold_);
  MoveTo(Stage::kEnded);
  DropNotice();
  if (admitted() && end == TaskResult::kDraining) {
    if (in_journal()) {
      method_.leftovers->AddJournaled(1);
    } else {
      method_.leftovers->Add(Identity());
    }
  }
  answer_ = Answer::Ended(end, retry_delay);
  // The owner's answer of an admitted, promised task is the acknowledgement,
  // which another thread may be posting at this moment.
  End(/*owner_waits=*/!(admitted() && promised), {});
}

void SubmissionTask::OnDone() {
  const auto self = std::move(pool_hold_);
  if (stage() != Stage::kWorked) {
    // The processor threw an exception, e.g. because memory ran out. The pool
    // has failed the whole batch (WorkerPool::Process).
    SLUICE_DCHECK(result == TaskResult::kFailed);
    answer_ = Answer::Failed(LogBatchFailure());
  }
  MoveTo(Stage::kEnded);
  const bool stored =
      result == TaskResult::kStored || result == TaskResult::kDuplicate;
  const bool conflict = result == TaskResult::kConflict;
  // An entry that ends as a conflict is kept by the store
  // (SubmissionProcessor::SetSaved). An entry of a batch that failed as a whole
  // stays in the journal, and is tried again after the next start.
  if (in_journal() && (stored || conflict)) {
    journal_->MarkDone(journal_position_);
  }
  // Do not remember a quarantined submission: the store may have another
  // submission with the same id, under another sequence number.
  RecentIds::Outcome outcome = {.conflict = conflict};
  if (stored) outcome.stored = answer_.kept;
  End(/*owner_waits=*/!promised, outcome);
}

void SubmissionTask::Acknowledge() {
  const auto followers =
      method_.recent->Acknowledge(this, /*durable=*/in_journal());
  PostAnswer(OwnersAnswer::kQueued);
  const Answer queued = Answer::Queued(OwnReceipt());
  for (const auto& follower : followers) follower->OnShared(queued);
}

void SubmissionTask::End(bool owner_waits, const RecentIds::Outcome& outcome) {
  // Tell RecentIds first: an answered caller may send the submission again at
  // once, and must not become a follower of a task that has ended.
  const auto followers = method_.recent->End(this, outcome);
  if (owner_waits) PostAnswer(OwnersAnswer::kFinal);
  for (const auto& follower : followers) follower->OnShared(answer_);
}

void SubmissionTask::PostAnswer(OwnersAnswer answer) {
  SLUICE_DCHECK(owners_answer_ == OwnersAnswer::kDue);
  owners_answer_ = answer;
  answer_post_.hold = shared_from_this();
  owner_->loop()->Post(&answer_post_);
}

void SubmissionTask::AnswerPost::OnLoop() {
  if (!waited && hold->HoldsRefusal()) {
    waited = true;
    // Free the memory while the refusal waits.
    std::string().swap(hold->submission_.content);
    return;
  }
  const auto task = std::move(hold);
  task->DeliverAnswer();
}

bool SubmissionTask::HoldsRefusal() {
  if (settings_->fair_by == FairBy::kNone) return false;
  CompletionLoop* const loop = owner_->loop();
  // Another thread may own `answer_` after an acknowledgement, see below.
  const bool queued = owners_answer_ == OwnersAnswer::kQueued;
  if (!queued && answer_.turned_away()) {
    return loop->HoldRefusal(lane, deadline, &answer_post_);
  }
  if (queued || answer_.ok()) loop->CountServed(lane);
  return false;
}

void SubmissionTask::DeliverAnswer() {
  // An acknowledged task may be in work or ended by now, so another thread owns
  // `answer_`. The receipt is constant.
  owner_->OnAnswer(owners_entry_, submission_.submission_id,
                   owners_answer_ == OwnersAnswer::kQueued
                       ? Answer::Queued(OwnReceipt())
                       : answer_);
}

void SubmissionTask::TellUnparked() {
  if (parking_ == Parking::kTold) owner_->PostUnparked();
}

void SubmissionTask::DropNotice() {
  // An admitted task has received its notice, or another thread is delivering
  // it.
  if (admitted() || admission_notice_.hold == nullptr) return;
  admission_notice_.hold.reset();
  TellUnparked();
}

}  // namespace sluice

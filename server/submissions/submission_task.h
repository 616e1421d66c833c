// One submission on its way through a pool to the store.
//
// With `ack: stored` the owner is answered when the store has answered. With
// `ack: queued` the owner is answered when the task is admitted, or, on a pool
// with a journal, when the journal has the entry; the task then continues
// without its owner.
//
// A submission whose id and content equal those of a submission on its way, the
// leader, is not offered to the pool. It follows the leader, and is answered
// together with the leader (recent_ids.h).
//
// The stages of a task. In each stage one party owns the task. Only the owner
// may touch the task and move it to the next stage:
//
//   stage        owner                what moves the task on
//   -----------  -------------------  ---------------------------------------
//   kNew         the call's loop      Arrive
//   kFollowing   RecentIds            OnShared: the leader was acknowledged or
//                                     has ended; Leave
//   kInPool      the pool             admitted with a journal; a worker begins;
//                                     refused; OnEnded; Leave
//   kCommitting  the journal writer   OnCommitted, OnCommitFailed
//   kInWork      a worker             SetSaved, SetFailed, ..., SetAgain
//   kAgain       the same worker      ReturnContent
//   kWorked      the same worker      OnDone
//   kEnded       nobody               -
//
//            Arrive                     the leader ends, Leave
//     kNew --------------> kFollowing ------------------------------> kEnded
//      |  \ known already, or too many followers                      ^ ^ ^ ^
//      |   \----------------------------------------------------------/ | | |
//      | Arrive         refused, OnEnded, Leave                         | | |
//      +--------> kInPool ----------------------------------------------/ | |
//                 | ^  ^ |  admitted, needs a commit        OnCommitFailed| |
//                 | |  | +--------> kCommitting --------------------------/ |
//                 | |  |  OnCommitted   |                                   |
//                 | |  +----------------+                                   |
//       BeginWork | | ReturnContent                                         |
//                 | +-------------- kAgain                                  |
//                 v    SetAgain      ^                                      |
//               kInWork -------------/                                      |
//                 |  SetSaved, SetFailed, ...          OnDone               |
//                 +--------------------------> kWorked ---------------------/
//
// If the processor throws, the pool fails the whole batch: its tasks go from
// kInPool, kInWork or kAgain to kEnded by OnDone. A task that had its result
// already keeps its answer, but is counted as failed.
//
// In stage kInPool the task is parked, queued or deferred. Only the Gate knows
// which, because it moves the task under the pool's lock, and a worker may have
// ended the task before anybody else learns that it was admitted. An entry that
// is restored from a journal starts in kInPool.
//
// All transitions go through MoveTo, which checks them if assertions are on.
// The check is deliberately not synchronised: the locks of the pool, the
// journal writer and RecentIds pass the task from owner to owner, and
// ThreadSanitizer reports a party that touches the task out of turn.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "pool/task.h"
#include "server/submissions/answer.h"
#include "server/submissions/free_list.h"
#include "server/submissions/leftovers.h"
#include "server/submissions/method_context.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/sender.h"
#include "server/submissions/submission_owner.h"
#include "server/transport/completion_loop.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// Always held by shared_ptrs. The call, the journal writer and RecentIds hold
// the task while they refer to it. In addition the task holds itself once for
// each party that will call back:
//
//   hold                    party                     from, until
//   ----------------------  ------------------------  ------------------------
//   pool_hold_              the pool                  Arrive or Restore, until
//                                                     the pool returns the task
//   admission_notice_.hold  the pool, which tells a   Arrive, until told or
//                           parked task that it was   until it is known that no
//                           admitted                  notice will come
//   answer_post_.hold       the loop of the owner     the post, until the owner
//                                                     has its answer
//
// The holds are separate because a worker may be done with a task before its
// notice or its acknowledgement has been delivered.
class SubmissionTask final
    : public Task,
      public std::enable_shared_from_this<SubmissionTask> {
 public:
  // kTold: the owner's OnUnparked is called when a parked submission moves on.
  enum class Parking { kSilent, kTold };

  enum class Stage : std::uint8_t {
    kNew,
    kFollowing,
    kInPool,
    kCommitting,
    kInWork,
    kAgain,
    kWorked,
    kEnded,
  };
  static constexpr std::size_t kStages = 8;

  // `settings` are the settings of the call. `entry` tells the owner which of
  // its submissions is answered. `method` and `owner` must live until the task
  // is answered.
  SubmissionTask(const MethodContext& method,
                 std::shared_ptr<const MethodSettings> settings,
                 SubmissionOwner* owner, std::size_t entry, Parking parking);

  // Creates a task for an entry of a journal, which was replayed at the start
  // or released from quarantine. The task has no owner. Call Restore next.
  SubmissionTask(const MethodContext& method, JournalWriter* journal,
                 JournalEntry from_journal);

  ~SubmissionTask() override;

  // True if the diagram above has a transition from `from` to `to`.
  static bool MayMove(Stage from, Stage to);
  // Returns the present stage. Another thread may change it at any time.
  Stage stage() const { return stage_.load(std::memory_order_relaxed); }

  // Returns the submission, for the call to fill in during stage kNew.
  ReceivedSubmission* NewSubmission() {
    SLUICE_DCHECK(stage() == Stage::kNew);
    return &submission_;
  }
  // Returns the submission. The ids, the digest and the times are constant
  // after Arrive. The sequence number and the content belong to the owner of
  // the stage.
  const ReceivedSubmission& submission() const { return submission_; }
  // Returns the part that RecentIds uses to find the task. The key is constant
  // after Arrive.
  RecentId& recent_id() { return recent_id_; }
  const RecentId& recent_id() const { return recent_id_; }

  // ---- For the call, on the thread of the owner's loop ----

  // Sets the lane and the order key. Must be called after the submission was
  // read and before Arrive.
  void SetSender(const Sender& sender);

  // Offers the submission to the method's pool. Returns true if it is parked;
  // OnUnparked is then called later if it was requested. Call once.
  bool Arrive();

  // To be called after Arrive when the caller has cancelled or disconnected.
  // Returns true if the task was parked, queued or following, and nobody was
  // promised anything; the owner then gets no answer.
  bool Leave();

  // ---- For server/replay.h ----

  // Puts an entry of a journal into its pool. Returns false, and ends the task,
  // if the pool is closed. Call once, from any thread.
  bool Restore(WorkerPool* pool);

  // ---- For any thread ----

  // Returns the ids that identify the submission in the report of a drain.
  // Valid after Arrive.
  Leftover Identity() const;
  bool in_journal() const { return journal_ != nullptr; }
  // Returns the writer of the journal that has the task's entry, or null.
  JournalWriter* journal() const { return journal_; }
  // True once the Gate has admitted the task. The Gate sets the sequence number
  // under the pool's lock, before anybody learns of the admission.
  bool admitted() const { return sequence != 0; }

  // Returns the task's own receipt. The task must be admitted.
  StoredReceipt OwnReceipt() const;

  // ---- For the worker ----

  // Returns the position of the task's entry. The task must be in a journal.
  std::int64_t journal_position() const {
    SLUICE_DCHECK(in_journal() && stage() == Stage::kInWork);
    return journal_position_;
  }
  // Marks the task as taken by a worker: kInPool -> kInWork. The result of the
  // task will belong to this generation of the store (Store::Generation).
  void BeginWork(std::uint32_t generation);
  // True if the worker should skip the task, because nobody waits for it and
  // nobody was promised anything.
  bool ShouldSkip() const;

  // Fills `submission` with the data to store. Moves the content out, and
  // copies the ids, which other threads may read at the same time.
  void MoveOut(Submission* submission);
  // Sets the number under which the task is stored, because the store has
  // another submission with the task's own number: in `submission`, and each
  // time that the task is processed again. The caller of an acknowledged task
  // was told the task's own number, which becomes the reported number.
  void Renumber(std::int64_t new_sequence, Submission* submission);
  // Returns the number of the last Renumber; 0 if there was none.
  std::int64_t new_sequence() const {
    SLUICE_DCHECK(stage() == Stage::kInWork);
    return new_sequence_;
  }
  // Gives back the content that was moved out. Call after one of the functions
  // below. A task that must be processed again gets all of its content. Any
  // other task keeps only the memory, if it is small.
  void ReturnContent(std::string content);

  // Sets the result of the task. Each time that the task is processed, exactly
  // one of these functions must be called. SetAgain lets the task be processed
  // again, not before `at`; only a promised task may be processed again.
  void SetSaved(const Saved& saved);
  void SetUnavailable();
  void SetFailed(const std::string& error_id);
  void SetSkipped();
  void SetAgain(TimePoint at = {});
  // Sets the result of a task whose entry the journal has quarantined.
  void SetQuarantined();

  // Counts a failed attempt to quarantine the entry. Returns the count.
  int CountFailedQuarantine();
  // Counts a failure to store this submission alone although the store was
  // available. Returns the count.
  int CountLoneTry();
  // Counts an unclear error (IsUnclear) of the store for this submission.
  // Returns the count and the time since the first unclear error.
  struct UnclearTries {
    int count;
    Duration since_first;
  };
  UnclearTries CountUnclearTry(TimePoint now);

  // ---- For the journal writer ----

  NewJournalEntry ToJournal();
  // Acknowledges the task, because its entry is durable. The writer then passes
  // the task to the pool's workers (WorkerPool::Committed).
  void OnCommitted(std::int64_t position);
  // Fails the task, because its entry is not durable. The pool has returned the
  // task.
  void OnCommitFailed();

  // ---- For RecentIds, and for the task's leader ----

  // Makes the task a follower: kNew -> kFollowing. Frees the content, which
  // equals the leader's.
  void Follow();
  // Ends a follower with the leader's answer. Called once for each follower.
  void OnShared(const Answer& leaders_answer);

  // ---- For the pool ----

  void OnEnded(TaskResult end, Duration retry_delay) override;
  void OnDone() override;

 private:
  // Receives the pool's notice that a parked task was admitted.
  struct AdmissionNotice final : public AdmissionListener {
    void OnAdmitted(std::int64_t sequence) override;
    std::shared_ptr<SubmissionTask> hold;
  };
  // Delivers the answer on the owner's loop.
  struct AnswerPost final : public LoopTask {
    void OnLoop() override;
    std::shared_ptr<SubmissionTask> hold;
    // True if the answer is a refusal that had to wait (refusal_pace.h).
    bool waited = false;
  };

  // The one answer that the owner gets.
  enum class OwnersAnswer : std::uint8_t {
    kDue,
    kQueued,  // the acknowledgement was posted
    kFinal,   // `answer_` was posted
    kNone,    // no answer: the caller cancelled, or there is no owner
  };

  void MoveTo(Stage to);

  // Registers the task with RecentIds. Returns true if the task must be offered
  // to the pool. Otherwise it follows another task or has been answered.
  bool LeadsOrIsAlone();
  // Returns the reason why the task may not be acknowledged from its journal
  // now; nothing if there is no reason, or if no journal would acknowledge it.
  std::optional<TaskResult> RefusalOfPromise() const;
  // Refuses a new task. Returns false, because the task is not parked.
  bool Refuse(TaskResult reason);
  // Offers the task to the pool. Returns true if it is parked.
  bool Offer();
  // Continues with an admitted task: commits or acknowledges it.
  void AfterAdmission();
  void OnAdmissionNotice();
  // Answers QUEUED to the owner, and to any followers that may get this answer.
  void Acknowledge();
  // Ends the task with `answer_`: answers the owner if `owner_waits`, and all
  // followers. RecentIds remembers the outcome.
  void End(bool owner_waits, const RecentIds::Outcome& outcome);
  // Posts the owner's one answer to its loop.
  void PostAnswer(OwnersAnswer answer);
  void DeliverAnswer();
  // Returns true if the answer is a refusal that waits (refusal_pace.h). Then
  // `answer_post_` runs again.
  bool HoldsRefusal();
  void TellUnparked();
  // Drops the notice of a parked task that the pool returns without admission.
  void DropNotice();
  // Sets the sequence numbers under which the task is stored.
  void SetSequences(Submission* submission) const;
  // Sets the pool's result and the answer, once each time that the task is
  // processed.
  void SetResult(TaskResult result, Answer answer);

  const MethodContext& method_;
  // Null for an entry of a journal; `owner_` is then null, too.
  const std::shared_ptr<const MethodSettings> settings_;
  SubmissionOwner* const owner_;
  const std::uint32_t owners_entry_;
  int lone_tries_ = 0;
  int failed_quarantines_ = 0;
  int unclear_tries_ = 0;
  TimePoint first_unclear_try_{};
  const Parking parking_;
  std::atomic<Stage> stage_{Stage::kNew};
  OwnersAnswer owners_answer_ = OwnersAnswer::kDue;
  // Null unless the task is promised and its pool has a journal.
  JournalWriter* const journal_;
  std::int64_t journal_position_ = 0;
  std::int64_t new_sequence_ = 0;
  ReceivedSubmission submission_;
  RecentId recent_id_;
  // The final answer for the owner and the followers.
  Answer answer_;
  std::shared_ptr<SubmissionTask> pool_hold_;
  AdmissionNotice admission_notice_;
  AnswerPost answer_post_;
};

// Creates a task in memory from the free list. The arguments are passed to the
// constructor.
template <typename... Arguments>
std::shared_ptr<SubmissionTask> MakeSubmissionTask(Arguments&&... arguments) {
  return std::allocate_shared<SubmissionTask>(
      FreeListAllocator<SubmissionTask>(),
      std::forward<Arguments>(arguments)...);
}

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_

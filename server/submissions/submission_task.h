// One submission on its way through a pool to the store.
//
// With `ack: stored` the owner is answered when the store has answered. With
// `ack: queued` the owner is answered when the task is admitted, or, on a pool
// with a journal, when the journal has the entry; the task then continues
// without its owner.
//
// A submission with the id and the content of one that is on its way is not
// offered to the pool. It follows that one, its leader, and is answered
// together with it (recent_ids.h).
//
// The stages of a task. Each stage has one owner, which alone may touch the
// task and move it on:
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
// All transitions go through MoveTo, which checks them where assertions are on.
// The check is not synchronised on purpose: the locks of the pool, the journal
// writer and RecentIds pass the task from owner to owner, and ThreadSanitizer
// reports a party that touches the task out of turn.

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

// Always held by shared_ptrs. Whoever refers to the task holds it: the call,
// the journal writer, RecentIds. In addition the task holds itself once for
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

  // `settings` are those that the call took. `entry` tells the owner which of
  // its submissions is answered. `method` and `owner` must outlive the task's
  // answer.
  SubmissionTask(const MethodContext& method,
                 std::shared_ptr<const MethodSettings> settings,
                 SubmissionOwner* owner, std::size_t entry, Parking parking);

  // An entry of a journal: replayed at the start, or released from quarantine.
  // Nobody waits for it. Restore follows.
  SubmissionTask(const MethodContext& method, JournalWriter* journal,
                 JournalEntry from_journal);

  ~SubmissionTask() override;

  // True if a transition from one stage to another is part of the picture
  // above.
  static bool MayMove(Stage from, Stage to);
  // The present stage. Another thread may move the task on at any time.
  Stage stage() const { return stage_.load(std::memory_order_relaxed); }

  // The submission, for the call to fill in stage kNew.
  ReceivedSubmission* NewSubmission() {
    SLUICE_DCHECK(stage() == Stage::kNew);
    return &submission_;
  }
  // The ids, the digest and the times are constant from Arrive on. The sequence
  // and the content belong to the owner of the stage.
  const ReceivedSubmission& submission() const { return submission_; }
  // How RecentIds finds the task. The key is constant from Arrive on.
  RecentId& recent_id() { return recent_id_; }
  const RecentId& recent_id() const { return recent_id_; }

  // ---- For the call, on the thread of the owner's loop ----

  // Sets the lane. Once the submission has been read, and before Arrive.
  void SetLane(const Sender& sender);

  // Offers the submission to the method's pool. Returns true if it is parked:
  // then OnUnparked is due, if asked for. Call once.
  bool Arrive();

  // The caller has cancelled or disconnected. Returns true if the task was
  // parked, queued or following, and nobody was promised anything: the owner
  // gets no answer then. After Arrive.
  bool Leave();

  // ---- For server/replay.h ----

  // Puts an entry of a journal into its pool. Call once, from any thread.
  void Restore(WorkerPool* pool);

  // ---- For any thread ----

  // Returns the ids by which the report of a drain names the submission. Valid
  // from Arrive on.
  Leftover Identity() const;
  bool in_journal() const { return journal_ != nullptr; }
  // True once the Gate has admitted the task. The Gate sets the sequence number
  // under the pool's lock, before anybody is told.
  bool admitted() const { return sequence != 0; }

  // The task's own receipt. It must be admitted.
  StoredReceipt OwnReceipt() const;

  // ---- For the worker ----

  // The worker has taken the task: kInPool -> kInWork.
  void BeginWork();
  // True if the worker should skip the task: nobody waits for it, and nobody
  // was promised anything.
  bool ShouldSkip() const;

  // Fills `submission` with what is to be stored. Moves the content out, and
  // copies the ids, which others may read at the same time.
  void MoveOut(Submission* submission);
  // Returns the content that was moved out. Call after one of the functions
  // below. A task that is to be worked again gets all of its content. Any other
  // task keeps only the memory, if it is small.
  void ReturnContent(std::string content);

  // Exactly one of these is called each time that the task is worked.
  // SetAgain: store it again later; only for a promised task.
  void SetSaved(const Saved& saved);
  void SetUnavailable();
  void SetFailed(const std::string& error_id);
  void SetSkipped();
  void SetAgain();
  // Quarantines a promised task that cannot be stored. Returns false, and
  // changes nothing, if the task is in no journal or the journal fails. Blocks.
  bool Quarantine(const std::string& reason, int tries);

  // Counts that the store failed when this submission alone was to be stored,
  // although the store was available. Returns the count.
  int CountLoneTry();

  // ---- For the journal writer ----

  NewJournalEntry ToJournal();
  // The entry is durable. Acknowledges it. The writer then passes the task to
  // the pool's workers (WorkerPool::Committed).
  void OnCommitted(std::int64_t position);
  // The entry is not durable, and the pool has returned the task.
  void OnCommitFailed();

  // ---- For RecentIds, and for the task that this one follows ----

  // The task has become a follower: kNew -> kFollowing. Frees the content,
  // which equals the leader's.
  void Follow();
  // `leaders_answer` is what the leader was told. Called once for each
  // follower.
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
  };

  // The one answer of the owner.
  enum class OwnersAnswer : std::uint8_t {
    kDue,
    kQueued,  // posted: the acknowledgement
    kFinal,   // posted: `answer_`
    kNone,    // the caller has left, or there never was one
  };

  void MoveTo(Stage to);

  // Registers the task with RecentIds. Returns true if the task is to be
  // offered to the pool. Otherwise it follows another task or has been
  // answered.
  bool LeadsOrIsAlone();
  // Offers the task to the pool. Returns true if it is parked.
  bool Offer();
  // Continues with a task that the pool has admitted: commits or acknowledges
  // it.
  void AfterAdmission();
  void OnAdmissionNotice();
  // Tells the owner, and any followers that may be told, that it is queued.
  void Acknowledge();
  // Ends the task with `answer_`: tells the owner if `owner_waits`, and all
  // followers. RecentIds remembers `stored`.
  void End(bool owner_waits, const std::optional<StoredReceipt>& stored);
  // Posts the owner's one answer to its loop.
  void PostAnswer(OwnersAnswer answer);
  void DeliverAnswer();
  void TellUnparked();
  // Drops the notice of a parked task that the pool returns without admission.
  void DropNotice();
  // Sets the pool's result and the answer, once for each time of work.
  void SetResult(TaskResult result, Answer answer);

  const MethodContext& method_;
  // Null for an entry of a journal, as `owner_` is.
  const std::shared_ptr<const MethodSettings> settings_;
  SubmissionOwner* const owner_;
  const std::uint32_t owners_entry_;
  int lone_tries_ = 0;
  const Parking parking_;
  std::atomic<Stage> stage_{Stage::kNew};
  OwnersAnswer owners_answer_ = OwnersAnswer::kDue;
  // Null unless the task is promised and its pool has a journal.
  JournalWriter* const journal_;
  std::int64_t journal_position_ = 0;
  ReceivedSubmission submission_;
  RecentId recent_id_;
  // How the task ended, as the owner and the followers are told.
  Answer answer_;
  std::shared_ptr<SubmissionTask> pool_hold_;
  AdmissionNotice admission_notice_;
  AnswerPost answer_post_;
};

// Makes a task in memory of the free list. Arguments are those of a
// constructor.
template <typename... Arguments>
std::shared_ptr<SubmissionTask> MakeSubmissionTask(Arguments&&... arguments) {
  return std::allocate_shared<SubmissionTask>(
      FreeListAllocator<SubmissionTask>(),
      std::forward<Arguments>(arguments)...);
}

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_

// One submission on its way through a pool to the store.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// With `ack: stored` the owner is answered when the store has spoken. With
// `ack: queued` it is answered at admission, on a pool with a journal once the
// journal has it, and the task goes on alone.
//
// One that is the same as another on its way is not queued: it follows that
// one, and whoever ends that one answers it too (RecentIds).
//
// Always held by a shared_ptr; the pool counts as one holder.
class SubmissionTask final
    : public Task,
      public AdmissionListener,
      public LoopTask,
      public RecentId,
      public std::enable_shared_from_this<SubmissionTask> {
 public:
  // Whether the owner is told (OnUnparked) when a parked submission moves on.
  enum class Parking { kSilent, kTold };

  // `settings` are those of its call. `entry` tells the owner which of its
  // submissions this is.
  SubmissionTask(const MethodContext& method,
                 std::shared_ptr<const MethodSettings> settings,
                 SubmissionOwner* owner, std::size_t entry, Parking parking);

  // One that a journal has kept, and that nobody waits for.
  SubmissionTask(const MethodContext& method, JournalWriter* journal,
                 JournalEntry from_journal);

  ~SubmissionTask() override;

  // From Arrive on constant, but for what the journal's writer and the worker
  // may change: the sequence and the content.
  ReceivedSubmission& submission() { return submission_; }

  // Who sends it, once the submission is read.
  void SetLane(const Sender& sender);

  // Offers the submission to the method's pool; on the owner's loop. True: it
  // is parked. Only once.
  bool Arrive();

  // Puts one that a journal has kept into its pool.
  void Restore(WorkerPool* pool);

  // The caller has gone; on the owner's loop. True: the task was parked or
  // queued or followed another, nothing was promised, and the owner is not
  // answered for it any more.
  bool Leave();

  // Whether a worker should pass over it: nobody waits for it, and nobody was
  // promised anything.
  bool PassOver() const;

  // For the report of a drain, also while a worker has the submission.
  Leftover Identity() const;
  bool in_journal() const { return journal_ != nullptr; }

  // Its own receipt, once it is admitted.
  StoredReceipt OwnReceipt() const;

  // For the worker: makes it what is to be stored. The content is lent, and
  // comes back, once it is set what became of it: to be stored again, or for
  // its room where that is small.
  void LendSubmission(Submission* lent);
  void TakeBack(std::string content);

  // What became of it; one of these, by the worker, before OnDone. SetAgain is
  // for one that is promised: it is not done.
  void SetSaved(const Saved& saved);
  void SetUnavailable();
  void SetFailed(const std::string& error_id);
  void SetPassedOver();
  void SetAgain() { again = true; }

  // Says that the store failed when only this one was to be stored, and was
  // there all the same. Returns how often it did.
  int CountLoneTry() { return ++lone_tries_; }

  // Sets apart one that is promised and cannot be stored. False: it is in no
  // journal, or the journal cannot; then nothing has happened.
  bool Quarantine(const std::string& reason, int tries);

  // By the journal's writer.
  NewJournalEntry ToJournal();
  void OnCommitted(std::int64_t position);
  void OnCommitFailed();

  // By the one that this one follows: `answer` is what that one was told.
  void OnShared(const Answer& answer);
  // Before it follows: its content is the other's.
  void DropContent() { std::string().swap(submission_.content); }

  void OnAdmitted(std::int64_t admitted_as) override;
  void OnEnded(TaskResult end, Duration retry_delay) override;
  void OnDone() override;
  // The owner is told its answer.
  void OnLoop() override;

 private:
  // Whether it is to be offered to the pool; otherwise it follows another, or
  // is answered.
  bool LeadsOrIsAlone();
  bool Offer();
  void AnswerQueued();
  // It has ended with `answer_`: tells the owner, unless that has had its
  // answer, and those that follow.
  void End(bool owner_waits, const std::optional<StoredReceipt>& stored);
  // What the owner is to be told.
  enum class Told : std::uint8_t { kQueued, kEnd };
  void PostAnswer(Told told);
  void TellUnparked();
  void StopWaiting();
  void CountShared(const Answer& answer);

  const MethodContext& method_;
  const std::shared_ptr<const MethodSettings> settings_;  // null as the owner
  SubmissionOwner* const owner_;  // null for one from a journal
  const std::uint32_t owners_entry_;
  int lone_tries_ = 0;
  const Parking parking_;
  std::atomic<bool> arrived_{false};
  Told told_ = Told::kEnd;
  JournalWriter* const journal_;  // null unless promised, and in a journal
  std::int64_t journal_position_ = 0;
  ReceivedSubmission submission_;
  Answer answer_;  // told at the end
  // The pool's hold on the task, and that of the notice that it left the
  // waiting room: a worker may be done with the task before the notice is
  // delivered.
  std::shared_ptr<SubmissionTask> in_pool_;
  std::shared_ptr<SubmissionTask> notice_;
  // Keeps the task alive while it is posted to the owner's loop.
  std::shared_ptr<SubmissionTask> telling_answer_;
};

// Arguments are those of a constructor.
template <typename... Arguments>
std::shared_ptr<SubmissionTask> MakeSubmissionTask(Arguments&&... arguments) {
  return std::allocate_shared<SubmissionTask>(
      FreeListAllocator<SubmissionTask>(),
      std::forward<Arguments>(arguments)...);
}

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_TASK_H_

// One submission on its way through a pool to the store.

#ifndef SLUICE_SERVER_SUBMISSION_TASK_H_
#define SLUICE_SERVER_SUBMISSION_TASK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "pool/task.h"
#include "server/answer.h"
#include "server/leftovers.h"
#include "server/method_context.h"
#include "stores/store.h"

namespace sluice {

// The call that a submission came with; its members are called from any thread.
// It must live until it has been answered and, where Arrive said "parked" and
// it asked to be told, until OnUnparked.
class SubmissionOwner {
 public:
  virtual ~SubmissionOwner() = default;

  // Whether nobody waits for answers any more.
  virtual bool CallerGone() const = 0;
  // The submission is parked no more: it is in the queue, or answered next.
  virtual void OnUnparked() {}
  // The answer, exactly once.
  virtual void OnAnswer(std::size_t entry, const Answer& answer) = 0;
};

// With `ack: queued` the owner is answered at admission and the task goes on
// alone; otherwise the owner is answered when the store has spoken.
//
// Always held by a shared_ptr; the pool counts as one holder.
class SubmissionTask final
    : public Task,
      public AdmissionListener,
      public std::enable_shared_from_this<SubmissionTask> {
 public:
  // Whether the owner is told (OnUnparked) when a parked submission moves on.
  enum class Parking { kSilent, kTold };

  // `entry` tells the owner which of its submissions this is.
  SubmissionTask(const MethodContext& method, SubmissionOwner* owner,
                 std::size_t entry, Parking parking);

  // Offers the submission to the method's pool. It may be answered before this
  // returns, also by another thread. True: it is parked. Only once.
  bool Arrive();

  // The caller has gone. True: the task was parked or queued, nothing was
  // promised, and the owner is not answered for it any more.
  bool Leave();

  // Whether a worker should pass over it: nobody waits for it, and nobody was
  // promised anything.
  bool PassOver() const;

  // For the report of a drain, also while a worker has the submission.
  const Leftover& identity() const { return identity_; }

  // What became of it; one of these, by the worker, before OnDone.
  void SetSaved(const Saved& saved);
  void SetUnavailable();
  void SetFailed(std::string error_id);
  void SetPassedOver();

  void OnAdmitted(std::int64_t admitted_as) override;
  void OnEnded(Ending ending, Duration retry_delay) override;
  void OnDone() override;

  // Of the worker, from Arrive on.
  Submission submission;

 private:
  void AnswerQueued(std::int64_t admitted_as);
  void StopWaiting();

  const MethodContext& method_;
  SubmissionOwner* const owner_;
  const std::size_t entry_;
  const Parking parking_;
  // Copied from the submission at Arrive, for others than the worker.
  Leftover identity_;
  // Told at admission; of a promised task.
  Answer queued_;
  // Told at the end.
  Answer answer_;
  // The pool's hold on the task, and that of the notice that it left the
  // waiting room: a worker may be done with the task before the notice is
  // delivered.
  std::shared_ptr<SubmissionTask> in_pool_;
  std::shared_ptr<SubmissionTask> notice_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSION_TASK_H_

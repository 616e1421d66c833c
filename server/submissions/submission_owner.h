// The interface between a submission and the call that carries it.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

#include <cstddef>
#include <string_view>

#include "server/submissions/answer.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// The call that carries a submission. It must live until OnAnswer, unless
// SubmissionTask::Leave returned true. If the task was parked and the owner
// requested OnUnparked, the owner must also live until OnUnparked.
class SubmissionOwner {
 public:
  virtual ~SubmissionOwner() = default;

  // True if the caller has cancelled or disconnected, so that nobody waits for
  // an answer. Thread-safe.
  virtual bool CallerCancelled() const = 0;
  // Returns the loop of the call, which never changes. Thread-safe.
  virtual CompletionLoop* loop() const = 0;

  // Called when the submission is no longer parked: it is queued, or it has
  // ended. Called on the loop's thread, never within Arrive.
  virtual void OnUnparked() {}
  // Receives the answer of submission `entry`. Called exactly once for each
  // task, on the loop's thread, never within Arrive.
  virtual void OnAnswer(std::size_t entry, std::string_view submission_id,
                        const Answer& answer) = 0;

  // Posts OnUnparked to the loop. SubmissionTask calls it once for each Arrive
  // that returned true. Thread-safe.
  void PostUnparked() { loop()->Post(&unparked_); }

 private:
  MemberLoopTask<SubmissionOwner, &SubmissionOwner::OnUnparked> unparked_{this};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

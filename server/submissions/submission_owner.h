// The call that a submission came with, as the submission sees it.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

#include <cstddef>
#include <string_view>

#include "server/submissions/answer.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// The call that a submission came with. It must live until OnAnswer, unless
// SubmissionTask::Leave returned true. If the task was parked and the owner
// asked to be told, it must also live until OnUnparked.
class SubmissionOwner {
 public:
  virtual ~SubmissionOwner() = default;

  // True if the caller has cancelled or disconnected, so that nobody waits for
  // an answer. Thread-safe.
  virtual bool CallerGone() const = 0;
  // The loop of the call. Thread-safe, and constant.
  virtual CompletionLoop* loop() const = 0;

  // The submission is no longer parked: it is queued, or it has ended. Called
  // on the loop's thread, never within Arrive.
  virtual void OnUnparked() {}
  // The answer of submission `entry`. Called exactly once for each task, on the
  // loop's thread, never within Arrive.
  virtual void OnAnswer(std::size_t entry, std::string_view submission_id,
                        const Answer& answer) = 0;

  // Posts OnUnparked to the loop. For SubmissionTask: once for each Arrive that
  // returned true. Thread-safe.
  void PostUnparked() { loop()->Post(&unparked_); }

 private:
  MemberLoopTask<SubmissionOwner, &SubmissionOwner::OnUnparked> unparked_{this};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

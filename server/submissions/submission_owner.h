// The call that a submission came with, as the submission sees it.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

#include <cstddef>
#include <string_view>

#include "server/submissions/answer.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// The call that a submission came with. It must live until it has been answered
// and, where Arrive said "parked" and it asked to be told, until OnUnparked.
class SubmissionOwner {
 public:
  virtual ~SubmissionOwner() = default;

  // Whether nobody waits for answers any more. Called from any thread.
  virtual bool CallerGone() const = 0;
  // On whose thread the others are called, and never within Arrive.
  virtual CompletionLoop* loop() const = 0;
  // The submission is parked no more: it is in the queue, or answered.
  virtual void OnUnparked() {}
  // Has OnUnparked called on the loop; from any thread, once for each Arrive
  // that said so.
  void PostUnparked() { loop()->Post(&unparked_); }
  // The answer, exactly once.
  virtual void OnAnswer(std::size_t entry, std::string_view submission_id,
                        const Answer& answer) = 0;

 private:
  MemberLoopTask<SubmissionOwner, &SubmissionOwner::OnUnparked> unparked_{this};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_OWNER_H_

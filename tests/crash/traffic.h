// The clients of one round: threads call every method at the same time, as fast
// as answers arrive.
//
// The load generator (loadgen/) is not enough here: it only counts answers. The
// audit needs each submission recorded before it is sent, and the receipt of
// each submission afterwards.

#ifndef SLUICE_TESTS_CRASH_TRAFFIC_H_
#define SLUICE_TESTS_CRASH_TRAFFIC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/crash/ledger.h"
#include "tests/crash/submission_source.h"

namespace sluice {

// Number of threads that call each method.
struct Callers {
  int submit = 8;
  int stream = 2;
  int import = 2;
  int events = 2;
  // Time that a thread waits after each answer.
  absl::Duration pause = absl::ZeroDuration();
};

// Must be used by one thread.
class Traffic {
 public:
  // Starts to call the server at 127.0.0.1:`port`. `ledger` and `source` must
  // outlive this object.
  Traffic(int port, int round, const Callers& callers, Ledger& ledger,
          SubmissionSource& source);
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic();

  // Stops all callers. Waits for outstanding answers, which come quickly if the
  // server is dead. Unanswered submissions are sent again in a later round.
  void Stop();

  // Number of acknowledgements that these callers have received.
  std::int64_t acknowledged() const { return acknowledged_; }

 private:
  // Unanswered submissions of a stream, by id.
  using Open = absl::flat_hash_map<std::string, Outgoing>;
  using Stream =
      grpc::ClientReaderWriterInterface<v1::SubmitRequest, v1::Receipt>;

  void CallSubmit();
  void CallStream();
  template <typename Request, typename Response, typename AddEntry>
  void CallBulk(absl::string_view method, SubmissionKind kind, AddEntry add,
                grpc::Status (v1::Ingestion::Stub::*call)(grpc::ClientContext*,
                                                          const Request&,
                                                          Response*));

  // Records a submission in the ledger. Must be called before it is sent.
  void NoteSent(const Outgoing& submission);
  // Records an answer. Returns false if the submission was refused.
  bool Answered(const Outgoing& submission, absl::string_view method,
                const v1::Receipt& receipt);
  // Records that the call ended with an error.
  void Failed(const Outgoing& submission, absl::string_view method,
              const grpc::Status& status);

  // Sends until kStreamOpenMax submissions are unanswered. Returns false if the
  // stream is broken.
  bool FillStream(Stream& stream, Open& open);
  bool ReadReceipt(Stream& stream, Open& open);

  // Waits a moment after an answer that was an error or a refusal.
  void PauseAfterError();
  void PauseAfterAnswer();
  bool stopped() const { return stop_.HasBeenNotified(); }

  const int round_;
  const absl::Duration pause_;
  Ledger& ledger_;
  SubmissionSource& source_;
  const std::unique_ptr<v1::Ingestion::Stub> stub_;

  std::atomic<std::int64_t> acknowledged_ = 0;
  absl::Notification stop_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_TRAFFIC_H_

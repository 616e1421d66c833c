// The clients of one round: callers of every method, at the same time, as fast
// as answers come.

#ifndef SLUICE_TESTS_CRASH_TRAFFIC_H_
#define SLUICE_TESTS_CRASH_TRAFFIC_H_

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/crash/ledger.h"
#include "tests/crash/submission_source.h"

namespace sluice {

// How many threads call each method.
struct Callers {
  int submit = 8;
  int stream = 2;
  int import = 2;
  int events = 2;
};

// Used by one thread.
class Traffic {
 public:
  // Begins to call the server at 127.0.0.1:`port`. `ledger` and `source` must
  // outlive it.
  Traffic(int port, int round, const Callers& callers, Ledger& ledger,
          SubmissionSource& source);
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic();

  // Ends all callers. Quick where the server is dead; otherwise it waits for
  // the answers that are due. What had no answer is sent again in another
  // round.
  void Stop();

 private:
  // Of a stream: submissions that have no receipt yet, by id.
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

  // In the ledger; before it is sent.
  void NoteSent(const Outgoing& submission);
  void Answered(const Outgoing& submission, absl::string_view method,
                const v1::Receipt& receipt);
  // The call ended with an error.
  void Failed(const Outgoing& submission, absl::string_view method,
              const grpc::Status& status);

  // Sends until so many are open; false where the stream is broken.
  bool FillStream(Stream& stream, Open& open);
  bool ReadReceipt(Stream& stream, Open& open);

  // Lets a moment pass before the next try; false: it is time to end.
  bool Pause();
  bool stopped() const { return stop_.HasBeenNotified(); }

  const int round_;
  Ledger& ledger_;
  SubmissionSource& source_;
  const std::unique_ptr<v1::Ingestion::Stub> stub_;

  absl::Notification stop_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_TRAFFIC_H_

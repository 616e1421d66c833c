// An Ingestion service for tests of its clients. Tests choose its answers.

#ifndef SLUICE_TESTS_FAKES_FAKE_INGESTION_H_
#define SLUICE_TESTS_FAKES_FAKE_INGESTION_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "sluice/v1/ingestion.grpc.pb.h"

namespace sluice {

// The status and details of a refused call.
struct Refusal {
  grpc::StatusCode code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  std::string message = "the queue is full";
  std::string reason = "QUEUE_FULL";
  // Delay in RetryInfo. Empty: no RetryInfo.
  std::optional<absl::Duration> retry_delay = {};
  // Value of the trailer grpc-retry-pushback-ms, which need not be a number.
  // Empty: no trailer.
  std::optional<std::string> pushback = {};
  // Field and description of each violation in BadRequest.
  std::vector<std::pair<std::string, std::string>> field_violations = {};
};

// Keeps submissions by study and id. Answers STORED, or DUPLICATE for a known
// id. Thread-safe. Serves on a free port from construction on.
class FakeIngestion final : private v1::Ingestion::Service {
 public:
  FakeIngestion();
  // Calls Release.
  ~FakeIngestion() override;

  // Returns the host and port, such as "127.0.0.1:50051".
  std::string target() const;

  // Stops serving at once: calls end and connections are closed. Start serves
  // again on the same port, with the kept submissions.
  void Stop();
  void Start();

  // Refuses the next call of Submit. Several refusals apply to the next calls
  // in order.
  void RefuseNext(const Refusal& refusal);
  // Answers every submission, record and event with `disposition` instead of
  // STORED.
  void AnswerWith(v1::Receipt::Disposition disposition);

  // Blocks calls, and messages of streams, until Release.
  void Hold();
  void Release();
  // Number of blocked calls and messages.
  int held() const;
  // Waits until `count` calls and messages are blocked. Returns false after
  // kPatience.
  bool AwaitHeld(int count) const;

  // Returns the submissions that arrived by Submit and SubmitStream, including
  // refused submissions.
  std::vector<v1::SubmitRequest> submissions() const;
  // Returns the value of one metadata key for each call of Submit so far; empty
  // if the call did not have the key.
  std::vector<std::string> submit_metadata(const std::string& name) const;
  // Returns, for each call of Submit, the time left until its deadline when it
  // arrived; infinite if it had no deadline.
  std::vector<absl::Duration> submit_time_left() const;

 private:
  using Metadata = std::multimap<std::string, std::string>;

  grpc::Status Submit(grpc::ServerContext* context,
                      const v1::SubmitRequest* request,
                      v1::Receipt* receipt) override;
  grpc::Status SubmitStream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::Receipt, v1::SubmitRequest>* stream)
      override;
  grpc::Status ImportPatients(grpc::ServerContext* context,
                              const v1::ImportPatientsRequest* request,
                              v1::ImportPatientsResponse* response) override;
  grpc::Status RecordEvents(grpc::ServerContext* context,
                            const v1::RecordEventsRequest* request,
                            v1::RecordEventsResponse* response) override;
  grpc::Status GetReceipts(grpc::ServerContext* context,
                           const v1::GetReceiptsRequest* request,
                           v1::GetReceiptsResponse* response) override;

  void WaitWhileHeld();
  v1::Receipt Take(const std::string& study_id, const std::string& id,
                   const std::string& content);

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mutex_;
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  int held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Refusal> refusals_ ABSL_GUARDED_BY(mutex_);
  v1::Receipt::Disposition disposition_ ABSL_GUARDED_BY(mutex_) =
      v1::Receipt::STORED;
  std::map<std::pair<std::string, std::string>, v1::Receipt> kept_
      ABSL_GUARDED_BY(mutex_);
  std::vector<v1::SubmitRequest> submissions_ ABSL_GUARDED_BY(mutex_);
  std::vector<Metadata> submit_metadata_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> submit_time_left_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_INGESTION_H_

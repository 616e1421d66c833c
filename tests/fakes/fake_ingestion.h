// An Ingestion service that does as the test says, for tests of its clients.

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

// How a call is refused.
struct Refusal {
  grpc::StatusCode code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  std::string message = "the queue is full";
  std::string reason = "QUEUE_FULL";
  // In RetryInfo; nothing: left out.
  std::optional<absl::Duration> retry_delay = {};
  // In grpc-retry-pushback-ms, as it stands; nothing: left out.
  std::optional<std::string> pushback = {};
  // In BadRequest: field and description.
  std::vector<std::pair<std::string, std::string>> field_violations = {};
};

// Keeps submissions by study and id, and gives STORED, or DUPLICATE where it
// has the id. Thread-safe; serves on a port of its own from construction on.
class FakeIngestion final : private v1::Ingestion::Service {
 public:
  FakeIngestion();
  // Releases what is held.
  ~FakeIngestion() override;

  // "127.0.0.1:" and the port.
  std::string target() const;

  // Goes away at once: calls end, connections close. Start serves again on the
  // same port; what was kept stays.
  void Stop();
  void Start();

  // The next calls of Submit end so, one after the other, before others are
  // answered.
  void RefuseNext(const Refusal& refusal);
  // Every submission, record and event is answered so, instead of STORED.
  void AnswerWith(v1::Receipt::Disposition disposition);

  // From now on calls, and messages of streams, wait for Release.
  void Hold();
  void Release();
  // Calls and messages that are waiting.
  int held() const;
  // Blocks until so many are; false: that took longer than a working program
  // needs.
  bool AwaitHeld(int count) const;

  // What has arrived by Submit and SubmitStream, refused or not.
  std::vector<v1::SubmitRequest> submissions() const;
  // Calls of Submit so far, and one metadata value of each ("" where it had
  // none).
  std::vector<std::string> submit_metadata(const std::string& name) const;
  // How long each call of Submit had left when it came; infinite: no deadline.
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

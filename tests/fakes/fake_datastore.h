// A Datastore in memory. Tests choose its answers. It does not parse contents:
// if the bytes differ, it answers DIFFERS.

#ifndef SLUICE_TESTS_FAKES_FAKE_DATASTORE_H_
#define SLUICE_TESTS_FAKES_FAKE_DATASTORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "sluice/v1/datastore.grpc.pb.h"

namespace sluice {

// Thread-safe. Serves on a free port from construction on, with gRPC's default
// limits.
class FakeDatastore final : private v1::Datastore::Service {
 public:
  // The way in which a call ends. With OK, the call is processed normally.
  struct Ending {
    grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
    // Value of the trailer grpc-retry-pushback-ms. Empty: no trailer.
    std::optional<std::string> pushback = {};
  };

  explicit FakeDatastore(std::shared_ptr<grpc::ServerCredentials> credentials =
                             grpc::InsecureServerCredentials());
  // Calls Release.
  ~FakeDatastore() override;

  // Returns the host and port, such as "127.0.0.1:50053".
  std::string target() const;

  // Stops serving at once: calls end and connections are closed. Start serves
  // again on the same port, with the stored submissions.
  void Stop();
  void Start();

  // Forgets everything that is stored.
  void Clear();

  // Ends the next call, of any method, with `ending`. Several endings apply to
  // the next calls in order.
  void AnswerNext(const Ending& ending);
  // Blocks each call of SaveBatch, before it stores anything, until Release.
  void Hold();
  void Release();
  // Waits until `count` calls are blocked. Returns false after kPatience.
  bool AwaitHeld(int count) const;

  // Runs `change`, which may change the members below, between calls.
  void Change(absl::FunctionRef<void(FakeDatastore&)> change) {
    absl::MutexLock lock(&mutex_);
    change(*this);
  }

  // Functions that change every answer of a type before it is sent.
  std::function<void(v1::SaveBatchResponse*)> spoil_saved;
  std::function<void(v1::FindReceiptsResponse*)> spoil_found;
  std::function<void(v1::LastSequenceResponse*)> spoil_last;
  std::function<void(v1::ReadResponse*)> spoil_read;
  // If true, only the first DIFFERS of a response has the content of the first
  // submission.
  bool leaves_contents_out = false;

  // Number of SaveBatch calls, including refused calls: the total, and the
  // highest number at one time.
  int saves() const;
  int peak_in_flight() const;
  // Number of submissions in each call of SaveBatch that was not refused.
  std::vector<int> batches() const;
  std::vector<v1::Submission> stored() const;
  // Returns the recorded gaps: true for a conflict, false for a duplicate.
  std::map<std::int64_t, bool> gaps() const;

 private:
  using Key = std::pair<std::string, std::string>;

  grpc::Status SaveBatch(grpc::ServerContext* context,
                         const v1::SaveBatchRequest* request,
                         v1::SaveBatchResponse* response) override;
  grpc::Status FindReceipts(grpc::ServerContext* context,
                            const v1::FindReceiptsRequest* request,
                            v1::FindReceiptsResponse* response) override;
  grpc::Status LastSequence(grpc::ServerContext* context,
                            const v1::LastSequenceRequest* request,
                            v1::LastSequenceResponse* response) override;
  grpc::Status Read(grpc::ServerContext* context,
                    const v1::ReadRequest* request,
                    v1::ReadResponse* response) override;
  grpc::Status Check(grpc::ServerContext* context,
                     const v1::CheckRequest* request,
                     v1::CheckResponse* response) override;

  std::optional<grpc::Status> Refuse(grpc::ServerContext* context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::SaveBatchResponse::Saved Save(const v1::Submission& submission,
                                    v1::SaveBatchRequest::Verdict verdict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitWhileHeld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mutex_;
  std::deque<Ending> endings_ ABSL_GUARDED_BY(mutex_);
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  int held_ ABSL_GUARDED_BY(mutex_) = 0;
  int saves_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int peak_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<int> batches_ ABSL_GUARDED_BY(mutex_);
  std::map<std::int64_t, v1::Submission> stored_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, std::int64_t> by_id_ ABSL_GUARDED_BY(mutex_);
  std::map<std::int64_t, bool> gaps_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_DATASTORE_H_

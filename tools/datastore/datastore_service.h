// The service sluice.v1.Datastore, in front of any store.

#ifndef SLUICE_TOOLS_DATASTORE_DATASTORE_SERVICE_H_
#define SLUICE_TOOLS_DATASTORE_DATASTORE_SERVICE_H_

#include <cstdint>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sluice/v1/datastore.grpc.pb.h"
#include "stores/store.h"

namespace sluice {

struct DatastoreServiceOptions {
  // Delay of each SaveBatch, in addition to the store's own time.
  absl::Duration delay = absl::ZeroDuration();
  // Share of SaveBatch calls, from 0 to 1, that fail with UNAVAILABLE after the
  // delay and store nothing.
  double fail_rate = 0;

  // Source of random numbers in [0, 1), replaceable for tests. Called from all
  // threads.
  std::function<double()> uniform = nullptr;
  // Waits for the given time. By default the calling thread sleeps.
  std::function<void(absl::Duration)> sleep = nullptr;
};

// Counts of SaveBatch calls.
struct DatastoreCounts {
  std::int64_t batches = 0;      // stored batches
  std::int64_t submissions = 0;  // submissions in stored batches
  std::int64_t failed = 0;       // failed calls
  int in_flight = 0;
  int peak_in_flight = 0;
};

// Thread-safe.
class DatastoreService final : public v1::Datastore::Service {
 public:
  // `store` must outlive the service. The service never answers DIFFERS: the
  // store itself compares contents that differ in bytes.
  DatastoreService(Store* store, DatastoreServiceOptions options);

  DatastoreCounts counts() const;

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

 private:
  absl::Status Save(const grpc::ServerContext& context,
                    const v1::SaveBatchRequest& request,
                    v1::SaveBatchResponse* response);
  void Begin();
  void End(const absl::Status& status, int submissions);

  // Constant after construction.
  const DatastoreServiceOptions options_;

  // Thread-safe by itself.
  Store* const store_;

  mutable absl::Mutex mutex_;
  DatastoreCounts counts_ ABSL_GUARDED_BY(mutex_);

  // Held, shared, by every SaveBatch while it stores, so that LastSequence
  // waits for calls that have begun. Otherwise a restarted server could get a
  // last sequence number that a call of its previous run is about to exceed.
  absl::Mutex storing_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_DATASTORE_DATASTORE_SERVICE_H_

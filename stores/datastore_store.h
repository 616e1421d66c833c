// A store behind another gRPC service, the datastore, which owns the database.
// protos/sluice/v1/datastore.proto specifies the service.

#ifndef SLUICE_STORES_DATASTORE_STORE_H_
#define SLUICE_STORES_DATASTORE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "sluice/v1/datastore.grpc.pb.h"
#include "stores/channel_watch.h"
#include "stores/kinds/datastore_kind.h"
#include "stores/store.h"

namespace sluice {

// Limits the number of calls in flight: each call takes a place and gives it
// back. Thread-safe.
class CallPlaces {
 public:
  explicit CallPlaces(std::size_t max) : max_(max), free_(max) {}

  // Waits for a free place. Returns false if none became free within
  // `timeout`.
  bool TakeWithin(absl::Duration timeout);
  void Return();

 private:
  const std::size_t max_;
  absl::Mutex mutex_;
  std::size_t free_ ABSL_GUARDED_BY(mutex_);
};

// Each call has a deadline, within which it is attempted at most four times. A
// broken connection is restored within about a second after the service is
// back. Errors carry the service's status code, but not its message, which
// might quote stored data.
class DatastoreStore final : public Store {
 public:
  // Limit for the bytes of a request, unless a single submission has more. The
  // limit leaves room within gRPC's default limit for a message, 4 MiB.
  static constexpr std::size_t kRequestBytesMax = std::size_t{3} << 20;

  // Creates the store, but does not connect yet. UNAVAILABLE if the
  // certificates cannot be read.
  static absl::StatusOr<std::unique_ptr<DatastoreStore>> Open(
      const DatastoreStoreOptions& options, SameContent same_content);

  // Splits a batch that is too large for one request. Requests are sent one
  // after the other, and each is a transaction. After an error, submissions of
  // earlier requests stay stored, and are recognised when the batch is sent
  // again. If the bytes of a submission differ from the stored submission with
  // the same id, the submission is sent a second time, with the verdict of
  // `same_content`.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  absl::Status Check() override;
  // Changes when the connection to the service is lost, and while a connection
  // is being established.
  std::uint32_t Generation() override { return connection_.Changes(); }

 private:
  DatastoreStore(const DatastoreStoreOptions& options,
                 std::shared_ptr<grpc::Channel> channel,
                 SameContent same_content);

  // Calls `method` of the stub. The call takes one of `places` unless `places`
  // is null.
  template <typename Method, typename Request, typename Response>
  absl::Status Call(absl::string_view name, Method method, CallPlaces* places,
                    absl::Duration timeout, const Request& request,
                    Response* response);

  // Constant after construction.
  const absl::Duration timeout_;
  const SameContent same_content_;

  // Thread-safe by themselves.
  // Declared before the stub, because it outlives all users of the channel.
  ChannelWatch connection_;
  const std::unique_ptr<v1::Datastore::Stub> stub_;
  CallPlaces saves_;
  CallPlaces lookups_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_STORE_H_

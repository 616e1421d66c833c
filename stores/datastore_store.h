// A store behind another gRPC service, which has the database. What that
// service must do is said in protos/sluice/v1/datastore.proto.

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
#include "sluice/v1/datastore.grpc.pb.h"
#include "stores/kinds/datastore_kind.h"
#include "stores/store.h"

namespace sluice {

// Places for calls in flight. Thread-safe.
class CallPlaces {
 public:
  explicit CallPlaces(std::size_t max) : max_(max), free_(max) {}

  // False: there was none until `deadline`.
  bool TakeBy(absl::Time deadline);
  void Return();

 private:
  const std::size_t max_;
  absl::Mutex mutex_;
  std::size_t free_ ABSL_GUARDED_BY(mutex_);
};

// Every call has a deadline, and at most four tries within it. A connection
// that breaks is made again by itself, within about a second of the service
// being back. Errors have the service's status code and words of our own, since
// the service's might quote what is stored.
class DatastoreStore final : public Store {
 public:
  // What one request has at most, as serialized, unless a single submission has
  // more: what leaves room in gRPC's default limit of 4 MiB for a message.
  static constexpr std::size_t kRequestBytesMax = std::size_t{3} << 20;

  // Does not connect yet. UNAVAILABLE where the certificates cannot be read.
  static absl::StatusOr<std::unique_ptr<DatastoreStore>> Open(
      const DatastoreStoreOptions& options, SameContent same_content);

  // Sends a batch that is too large for one request in several, one after the
  // other, each of which is a transaction. After an error those that were
  // answered before it stay stored; they are recognised when the batch comes
  // again. The same goes for submissions whose bytes differ from the first
  // under their id: they are sent a second time, with what `same_content` says.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  absl::Status Check() override;

 private:
  DatastoreStore(const DatastoreStoreOptions& options,
                 std::unique_ptr<v1::Datastore::Stub> stub,
                 SameContent same_content);

  // Calls `method` of the stub, in one of `places` unless that is null.
  template <typename Method, typename Request, typename Response>
  absl::Status Call(absl::string_view name, Method method, CallPlaces* places,
                    absl::Duration timeout, const Request& request,
                    Response* response);

  // Constant after construction.
  const absl::Duration timeout_;
  const SameContent same_content_;

  // With synchronisation of their own.
  const std::unique_ptr<v1::Datastore::Stub> stub_;
  CallPlaces saves_;
  CallPlaces lookups_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_DATASTORE_STORE_H_

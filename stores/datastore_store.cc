#include "stores/datastore_store.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "stores/datastore_batch.h"
#include "stores/datastore_messages.h"

namespace sluice {
namespace {

// gRPC itself retries calls, and obeys the server's pushback. Check is not
// retried, because it asks about the present moment.
//
// maxResponseMessageBytes limits the size of an answer. An answer to SaveBatch
// may contain contents of stored submissions (DIFFERS). An answer to
// FindReceipts has at most 10,000 receipts.
constexpr char kServiceConfig[] = R"({"methodConfig": [{
  "name": [{"service": "sluice.v1.Datastore", "method": "SaveBatch"}],
  "maxResponseMessageBytes": 67108864,
  "retryPolicy": {
    "maxAttempts": 4,
    "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"]
  }}, {
  "name": [{"service": "sluice.v1.Datastore", "method": "FindReceipts"},
           {"service": "sluice.v1.Datastore", "method": "LastSequence"}],
  "maxResponseMessageBytes": 8388608,
  "retryPolicy": {
    "maxAttempts": 4,
    "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"]
  }}, {
  "name": [{"service": "sluice.v1.Datastore", "method": "Read"}],
  "retryPolicy": {
    "maxAttempts": 4,
    "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"]
  }}, {
  "name": [{"service": "sluice.v1.Datastore", "method": "Check"}],
  "maxResponseMessageBytes": 65536
  }]})";

// Limit for requests, and for answers to Read. Read returns submissions of any
// size, so the limit exceeds the largest submission that can be configured
// (512 MiB) together with the values extracted from its content.
constexpr int kMessageBytesMax = 576 << 20;

// Delays before the next attempt to connect, after a connection broke or an
// attempt failed.
constexpr absl::Duration kReconnectFirst = absl::Milliseconds(100);
constexpr absl::Duration kReconnectMax = absl::Seconds(1);
// Limit for an attempt to connect.
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

// A peer that is silent for kKeepaliveTime during a call is pinged. If the peer
// does not answer within kKeepaliveTimeout, the connection is closed. gRPC
// servers with default settings reject more frequent pings.
constexpr absl::Duration kKeepaliveTime = absl::Seconds(30);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(5);

// Deadline of a Check.
constexpr absl::Duration kCheckTimeout = absl::Seconds(1);
static_assert(kCheckTimeout < Store::kCheckMax);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // gRPC does not retry a request that exceeds this buffer.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kMessageBytesMax);
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   Milliseconds(kReconnectFirst));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   Milliseconds(kReconnectMax));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   Milliseconds(kConnectTimeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   Milliseconds(kKeepaliveTimeout));
  // An HTTP proxy of the environment must not receive patient data.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(
    const std::string& root_certs_path) {
  if (root_certs_path.empty()) return grpc::InsecureChannelCredentials();
  std::ifstream file(root_certs_path, std::ios::binary);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs.assign(std::istreambuf_iterator<char>(file), {});
  // If the list of certificates were empty, gRPC would use its own roots.
  if (file.bad() || options.pem_root_certs.empty()) {
    return absl::UnavailableError(
        absl::StrCat(root_certs_path, ": no certificates can be read"));
  }
  return grpc::SslCredentials(options);
}

// gRPC and Abseil use the same codes.
absl::Status ToStatus(absl::string_view name, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("the datastore's ", name, " failed"));
}

// Returns the error for a batch. Errors about the configuration of the
// datastore become UNAVAILABLE, so that they do not count as failures of the
// batch. Only INVALID_ARGUMENT shows that the batch is at fault. Many servers
// answer UNKNOWN to any exception, and a database that is being changed or
// restarted can cause the other codes.
absl::Status ToBatchError(const absl::Status& status) {
  if (!IsTransient(status) &&
      status.code() != absl::StatusCode::kInvalidArgument) {
    return Unclear(status);
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return absl::UnavailableError(absl::StrCat(
          status.message(), ": ", absl::StatusCodeToString(status.code())));
    default:
      return status;
  }
}

absl::Status Malformed(absl::string_view name, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("the datastore's answer to ", name,
                                             " is malformed: ", what));
}

std::int64_t Clamp(std::size_t value) {
  constexpr std::size_t kMax = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(value, kMax));
}

// Returns what is wrong with the page; empty if the page is valid.
absl::string_view FindFault(const StorePage& page, std::int64_t after,
                            std::size_t max) {
  if (page.submissions.size() > max) return "more submissions than asked for";
  if (page.submissions.empty() && !page.last) {
    return "nothing, but not the last";
  }
  std::int64_t before = after;
  for (const Submission& submission : page.submissions) {
    if (submission.sequence <= before) return "submissions are not in order";
    before = submission.sequence;
  }
  before = after;
  for (const Gap& gap : page.gaps) {
    if (gap.sequence <= before) return "gaps are not in order";
    if (gap.first_sequence < 0) return "a gap's first_sequence is negative";
    before = gap.sequence;
  }
  return "";
}

}  // namespace

bool CallPlaces::TakeWithin(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return free_ > 0;
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&free), timeout)) return false;
  --free_;
  return true;
}

void CallPlaces::Return() {
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK_LT(free_, max_);
  ++free_;
}

absl::StatusOr<std::unique_ptr<DatastoreStore>> DatastoreStore::Open(
    const DatastoreStoreOptions& options, SameContent same_content) {
  const auto credentials = Credentials(options.tls_root_certs);
  if (!credentials.ok()) return credentials.status();
  return std::unique_ptr<DatastoreStore>(
      new DatastoreStore(options,
                         grpc::CreateCustomChannel(options.target, *credentials,
                                                   ChannelArguments()),
                         std::move(same_content)));
}

DatastoreStore::DatastoreStore(const DatastoreStoreOptions& options,
                               std::shared_ptr<grpc::Channel> channel,
                               SameContent same_content)
    : timeout_(options.timeout),
      same_content_(std::move(same_content)),
      connection_(channel),
      stub_(v1::Datastore::NewStub(std::move(channel))),
      saves_(options.max_in_flight),
      lookups_(options.max_in_flight) {}

template <typename Method, typename Request, typename Response>
absl::Status DatastoreStore::Call(absl::string_view name, Method method,
                                  CallPlaces* places, absl::Duration timeout,
                                  const Request& request, Response* response) {
  const TimePoint deadline = SystemClock()->Now() + ToMonotonic(timeout);
  if (places != nullptr && !places->TakeWithin(timeout)) {
    return absl::DeadlineExceededError(
        absl::StrCat("no place was free for the datastore's ", name));
  }
  const absl::Cleanup return_place = [places] {
    if (places != nullptr) places->Return();
  };
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_nanos(
      Duration(deadline - SystemClock()->Now()).count(), GPR_TIMESPAN));
  return ToStatus(name, (stub_.get()->*method)(&context, request, response));
}

absl::Status DatastoreStore::SaveBatch(absl::Span<const Submission> batch,
                                       absl::Span<Saved> saved) {
  DatastoreBatch remaining(batch, saved, same_content_);
  while (!remaining.done()) {
    v1::SaveBatchResponse response;
    absl::Status status =
        Call("SaveBatch", &v1::Datastore::Stub::SaveBatch, &saves_, timeout_,
             remaining.NextRequest(kRequestBytesMax), &response);
    if (!status.ok()) return ToBatchError(status);
    status = remaining.Take(response);
    if (!status.ok()) return Malformed("SaveBatch", status.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
DatastoreStore::FindReceipts(std::string_view study_id,
                             absl::Span<const std::string> submission_ids) {
  std::vector<std::optional<StoredReceipt>> receipts;
  if (submission_ids.empty()) return receipts;
  v1::FindReceiptsRequest request;
  request.set_study_id(std::string(study_id));
  for (const std::string& id : submission_ids) request.add_submission_ids(id);
  v1::FindReceiptsResponse response;
  const absl::Status status =
      Call("FindReceipts", &v1::Datastore::Stub::FindReceipts, &lookups_,
           timeout_, request, &response);
  if (!status.ok()) return status;
  if (static_cast<std::size_t>(response.found_size()) !=
      submission_ids.size()) {
    return Malformed("FindReceipts", "there are not as many results as ids");
  }
  receipts.reserve(submission_ids.size());
  for (const auto& found : response.found()) {
    receipts.emplace_back();
    if (!found.has_receipt()) continue;
    const absl::StatusOr<StoredReceipt> receipt = FromMessage(found.receipt());
    if (receipt.ok()) {
      receipts.back() = *receipt;
    } else if (found.receipt().sequence() > 0) {
      // The datastore's row is damaged. That concerns this id only.
      receipts.back() = DamagedReceipt(found.receipt().sequence());
    } else {
      return Malformed("FindReceipts", receipt.status().message());
    }
  }
  return receipts;
}

absl::StatusOr<std::int64_t> DatastoreStore::LastSequence() {
  v1::LastSequenceResponse response;
  const absl::Status status =
      Call("LastSequence", &v1::Datastore::Stub::LastSequence, &lookups_,
           timeout_, v1::LastSequenceRequest(), &response);
  if (!status.ok()) return status;
  if (response.sequence() < 0) {
    return Malformed("LastSequence", "sequence is negative");
  }
  return response.sequence();
}

absl::StatusOr<StorePage> DatastoreStore::Read(std::int64_t after,
                                               std::size_t max,
                                               std::size_t max_bytes) {
  SLUICE_DCHECK_GT(max, 0u);
  v1::ReadRequest request;
  request.set_after(after);
  request.set_max_submissions(Clamp(max));
  request.set_max_bytes(Clamp(max_bytes));
  v1::ReadResponse response;
  const absl::Status status = Call("Read", &v1::Datastore::Stub::Read,
                                   &lookups_, timeout_, request, &response);
  if (!status.ok()) return status;
  StorePage page;
  page.last = response.last();
  for (v1::Submission& message : *response.mutable_submissions()) {
    absl::StatusOr<Submission> submission = FromMessage(std::move(message));
    if (!submission.ok()) {
      return Malformed("Read", submission.status().message());
    }
    page.submissions.push_back(*std::move(submission));
  }
  for (const auto& gap : response.gaps()) {
    page.gaps.push_back({.sequence = gap.sequence(),
                         .conflict = gap.conflict(),
                         .first_sequence = gap.first_sequence()});
  }
  const absl::string_view wrong = FindFault(page, after, max);
  if (!wrong.empty()) return Malformed("Read", wrong);
  return page;
}

absl::Status DatastoreStore::Check() {
  v1::CheckResponse response;
  return Call("Check", &v1::Datastore::Stub::Check, nullptr,
              std::min(timeout_, kCheckTimeout), v1::CheckRequest(), &response);
}

}  // namespace sluice

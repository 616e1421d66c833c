#include "tools/datastore/datastore_service.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "stores/datastore_messages.h"

namespace sluice {
namespace {

double RandomUniform() {
  thread_local absl::BitGen generator;
  return absl::Uniform<double>(generator, 0.0, 1.0);
}

DatastoreServiceOptions WithDefaults(DatastoreServiceOptions options) {
  if (!options.uniform) options.uniform = RandomUniform;
  if (!options.sleep) options.sleep = absl::SleepFor;
  return options;
}

// gRPC and Abseil use the same codes.
grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

v1::SaveBatchResponse::Result ToMessage(Saved::Result result) {
  switch (result) {
    case Saved::Result::kStored:
      return v1::SaveBatchResponse::STORED;
    case Saved::Result::kDuplicate:
      return v1::SaveBatchResponse::DUPLICATE;
    case Saved::Result::kConflict:
      return v1::SaveBatchResponse::CONFLICT;
    case Saved::Result::kSequenceTaken:
      return v1::SaveBatchResponse::SEQUENCE_TAKEN;
  }
  return v1::SaveBatchResponse::RESULT_UNSPECIFIED;
}

}  // namespace

DatastoreService::DatastoreService(Store* store,
                                   DatastoreServiceOptions options)
    : options_(WithDefaults(std::move(options))), store_(store) {}

DatastoreCounts DatastoreService::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

grpc::Status DatastoreService::SaveBatch(grpc::ServerContext* context,
                                         const v1::SaveBatchRequest* request,
                                         v1::SaveBatchResponse* response) {
  Begin();
  const absl::Status status = Save(*context, *request, response);
  End(status, request->submissions_size());
  return ToGrpc(status);
}

absl::Status DatastoreService::Save(const grpc::ServerContext& context,
                                    const v1::SaveBatchRequest& request,
                                    v1::SaveBatchResponse* response) {
  options_.sleep(options_.delay);
  if (options_.uniform() < options_.fail_rate) {
    return absl::UnavailableError("failed as configured (fail_rate)");
  }
  std::vector<Submission> batch;
  for (const v1::Submission& message : request.submissions()) {
    absl::StatusOr<Submission> submission =
        FromMessage(v1::Submission(message));
    if (!submission.ok()) return submission.status();
    batch.push_back(*std::move(submission));
  }
  std::vector<Saved> saved(batch.size());
  {
    absl::ReaderMutexLock lock(&storing_);
    if (context.IsCancelled()) {
      return absl::CancelledError("the caller cancelled");
    }
    const absl::Status status = store_->SaveBatch(batch, absl::MakeSpan(saved));
    if (!status.ok()) return status;
  }
  for (const Saved& one : saved) {
    auto* message = response->add_saved();
    message->set_result(ToMessage(one.result));
    if (one.result == Saved::Result::kSequenceTaken) continue;
    message->set_conflict_kept(one.conflict_kept);
    *message->mutable_first() =
        ToMessage(StoredReceipt{.sequence = one.sequence,
                                .received_at = one.received_at,
                                .content_sha256 = one.content_sha256});
  }
  return absl::OkStatus();
}

grpc::Status DatastoreService::FindReceipts(
    grpc::ServerContext* /*context*/, const v1::FindReceiptsRequest* request,
    v1::FindReceiptsResponse* response) {
  const std::vector<std::string> ids(request->submission_ids().begin(),
                                     request->submission_ids().end());
  const auto receipts = store_->FindReceipts(request->study_id(), ids);
  if (!receipts.ok()) return ToGrpc(receipts.status());
  for (const auto& receipt : *receipts) {
    auto* found = response->add_found();
    if (receipt) *found->mutable_receipt() = ToMessage(*receipt);
  }
  return grpc::Status::OK;
}

grpc::Status DatastoreService::LastSequence(
    grpc::ServerContext* /*context*/,
    const v1::LastSequenceRequest* /*request*/,
    v1::LastSequenceResponse* response) {
  absl::WriterMutexLock lock(&storing_);
  const absl::StatusOr<std::int64_t> last = store_->LastSequence();
  if (!last.ok()) return ToGrpc(last.status());
  response->set_sequence(*last);
  return grpc::Status::OK;
}

grpc::Status DatastoreService::Read(grpc::ServerContext* /*context*/,
                                    const v1::ReadRequest* request,
                                    v1::ReadResponse* response) {
  if (request->after() < 0 || request->max_submissions() < 0 ||
      request->max_bytes() < 0) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                        "numbers must not be negative");
  }
  if (request->max_submissions() == 0) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                        "max_submissions must be at least 1");
  }
  absl::StatusOr<StorePage> page = store_->Read(
      request->after(), static_cast<std::size_t>(request->max_submissions()),
      static_cast<std::size_t>(request->max_bytes()));
  if (!page.ok()) return ToGrpc(page.status());
  for (const Submission& submission : page->submissions) {
    *response->add_submissions() = ToMessage(submission);
  }
  for (const Gap& gap : page->gaps) {
    auto* message = response->add_gaps();
    message->set_sequence(gap.sequence);
    message->set_conflict(gap.conflict);
    message->set_first_sequence(gap.first_sequence);
  }
  response->set_last(page->last);
  return grpc::Status::OK;
}

grpc::Status DatastoreService::Check(grpc::ServerContext* /*context*/,
                                     const v1::CheckRequest* /*request*/,
                                     v1::CheckResponse* /*response*/) {
  return ToGrpc(store_->Check());
}

void DatastoreService::Begin() {
  absl::MutexLock lock(&mutex_);
  counts_.peak_in_flight =
      std::max(counts_.peak_in_flight, ++counts_.in_flight);
}

void DatastoreService::End(const absl::Status& status, int submissions) {
  absl::MutexLock lock(&mutex_);
  --counts_.in_flight;
  if (status.ok()) {
    ++counts_.batches;
    counts_.submissions += submissions;
  } else {
    ++counts_.failed;
  }
}

}  // namespace sluice

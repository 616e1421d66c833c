#include "tests/fakes/fake_ingestion.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

google::rpc::Status Details(const Refusal& refusal) {
  google::rpc::Status details;
  details.set_code(refusal.code);
  details.set_message(refusal.message);
  if (!refusal.reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(refusal.reason);
    info.set_domain("sluice");
    details.add_details()->PackFrom(info);
  }
  if (refusal.retry_delay) {
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(
        absl::ToInt64Nanoseconds(*refusal.retry_delay % absl::Seconds(1))));
    info.mutable_retry_delay()->set_seconds(
        absl::ToInt64Seconds(*refusal.retry_delay));
    details.add_details()->PackFrom(info);
  }
  if (!refusal.field_violations.empty()) {
    google::rpc::BadRequest bad_request;
    for (const auto& [field, description] : refusal.field_violations) {
      auto* violation = bad_request.add_field_violations();
      violation->set_field(field);
      violation->set_description(description);
    }
    details.add_details()->PackFrom(bad_request);
  }
  return details;
}

grpc::Status Refuse(const Refusal& refusal, grpc::ServerContext* context) {
  if (refusal.pushback) {
    context->AddTrailingMetadata("grpc-retry-pushback-ms", *refusal.pushback);
  }
  const google::rpc::Status details = Details(refusal);
  return grpc::Status(
      refusal.code, refusal.message,
      details.details().empty() ? "" : details.SerializeAsString());
}

absl::Duration TimeLeft(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max()
             ? absl::InfiniteDuration()
             : absl::FromChrono(deadline) - absl::Now();
}

}  // namespace

FakeIngestion::FakeIngestion() { Start(); }

FakeIngestion::~FakeIngestion() {
  Release();
  Stop();
}

std::string FakeIngestion::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void FakeIngestion::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeIngestion::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_),
                           grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

void FakeIngestion::RefuseNext(const Refusal& refusal) {
  absl::MutexLock lock(&mutex_);
  refusals_.push_back(refusal);
}

void FakeIngestion::AnswerWith(v1::Receipt::Disposition disposition) {
  absl::MutexLock lock(&mutex_);
  disposition_ = disposition;
}

void FakeIngestion::Hold() {
  absl::MutexLock lock(&mutex_);
  hold_ = true;
}

void FakeIngestion::Release() {
  absl::MutexLock lock(&mutex_);
  hold_ = false;
}

int FakeIngestion::held() const {
  absl::MutexLock lock(&mutex_);
  return held_;
}

bool FakeIngestion::AwaitHeld(int count) const {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return held_ >= count;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
}

std::vector<v1::SubmitRequest> FakeIngestion::submissions() const {
  absl::MutexLock lock(&mutex_);
  return submissions_;
}

std::vector<std::string> FakeIngestion::submit_metadata(
    const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> values;
  for (const Metadata& metadata : submit_metadata_) {
    const auto found = metadata.find(name);
    values.push_back(found == metadata.end() ? "" : found->second);
  }
  return values;
}

std::vector<absl::Duration> FakeIngestion::submit_time_left() const {
  absl::MutexLock lock(&mutex_);
  return submit_time_left_;
}

grpc::Status FakeIngestion::Submit(grpc::ServerContext* context,
                                   const v1::SubmitRequest* request,
                                   v1::Receipt* receipt) {
  {
    absl::MutexLock lock(&mutex_);
    submissions_.push_back(*request);
    submit_time_left_.push_back(TimeLeft(*context));
    Metadata& metadata = submit_metadata_.emplace_back();
    for (const auto& [name, value] : context->client_metadata()) {
      metadata.emplace(std::string(name.data(), name.size()),
                       std::string(value.data(), value.size()));
    }
  }
  WaitWhileHeld();
  std::optional<Refusal> refusal;
  {
    absl::MutexLock lock(&mutex_);
    if (!refusals_.empty()) {
      refusal = refusals_.front();
      refusals_.pop_front();
    }
  }
  if (refusal) return Refuse(*refusal, context);
  *receipt = Take(request->study_id(), request->submission_id(),
                  request->SerializeAsString());
  return grpc::Status::OK;
}

grpc::Status FakeIngestion::SubmitStream(
    grpc::ServerContext* /*context*/,
    grpc::ServerReaderWriter<v1::Receipt, v1::SubmitRequest>* stream) {
  v1::SubmitRequest request;
  while (stream->Read(&request)) {
    {
      absl::MutexLock lock(&mutex_);
      submissions_.push_back(request);
    }
    WaitWhileHeld();
    stream->Write(Take(request.study_id(), request.submission_id(),
                       request.SerializeAsString()));
  }
  return grpc::Status::OK;
}

grpc::Status FakeIngestion::ImportPatients(
    grpc::ServerContext* /*context*/, const v1::ImportPatientsRequest* request,
    v1::ImportPatientsResponse* response) {
  WaitWhileHeld();
  for (const auto& record : request->records()) {
    *response->add_receipts() =
        Take(request->study_id(), record.record_id(), record.data());
  }
  return grpc::Status::OK;
}

grpc::Status FakeIngestion::RecordEvents(grpc::ServerContext* /*context*/,
                                         const v1::RecordEventsRequest* request,
                                         v1::RecordEventsResponse* response) {
  WaitWhileHeld();
  for (const auto& event : request->events()) {
    *response->add_receipts() =
        Take(request->study_id(), event.event_id(), event.name());
  }
  return grpc::Status::OK;
}

grpc::Status FakeIngestion::GetReceipts(grpc::ServerContext* /*context*/,
                                        const v1::GetReceiptsRequest* request,
                                        v1::GetReceiptsResponse* response) {
  WaitWhileHeld();
  absl::MutexLock lock(&mutex_);
  for (const std::string& id : request->submission_ids()) {
    const auto found = kept_.find({request->study_id(), id});
    auto* receipt = response->add_receipts();
    if (found != kept_.end()) {
      *receipt = found->second;
    } else {
      receipt->set_submission_id(id);
      receipt->set_disposition(v1::Receipt::UNKNOWN);
    }
  }
  return grpc::Status::OK;
}

void FakeIngestion::WaitWhileHeld() {
  absl::MutexLock lock(&mutex_);
  const auto released = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !hold_;
  };
  ++held_;
  mutex_.Await(absl::Condition(&released));
  --held_;
}

v1::Receipt FakeIngestion::Take(const std::string& study_id,
                                const std::string& id,
                                const std::string& content) {
  absl::MutexLock lock(&mutex_);
  const auto [kept, is_new] = kept_.try_emplace({study_id, id});
  v1::Receipt& receipt = kept->second;
  if (!is_new) {
    v1::Receipt duplicate = receipt;
    duplicate.set_disposition(v1::Receipt::DUPLICATE);
    return duplicate;
  }
  receipt.set_submission_id(id);
  receipt.set_disposition(disposition_);
  receipt.set_sequence(static_cast<std::int64_t>(kept_.size()));
  receipt.mutable_received_at()->set_seconds(1'772'395'200);
  // This is not a real hash, but it has the right length and differs for
  // different content.
  std::string hash = absl::StrCat(std::hash<std::string>()(content));
  hash.resize(32, '#');
  receipt.set_content_sha256(hash);
  return receipt;
}

}  // namespace sluice

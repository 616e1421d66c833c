#include "tests/fakes/fake_admin.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "grpcpp/grpcpp.h"

namespace sluice {
namespace {

std::string Hash(const std::string& content) {
  const auto digest = Sha256(content);
  return {digest.begin(), digest.end()};
}

}  // namespace

FakeAdmin::FakeAdmin() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeAdmin::~FakeAdmin() {
  server_->Shutdown(std::chrono::system_clock::now());
  // Take the lock for ThreadSanitizer, which does not see that the server's
  // threads have ended.
  const absl::MutexLock lock(&mutex_);
}

std::string FakeAdmin::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void FakeAdmin::AddQuarantined(v1::GetQuarantinedResponse quarantined) {
  absl::MutexLock lock(&mutex_);
  const std::int64_t sequence = quarantined.entry().sequence();
  quarantined_[sequence] = std::move(quarantined);
}

void FakeAdmin::LeaveInQuarantine(const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  left_reason_ = reason;
}

void FakeAdmin::AddExported(v1::ExportedSubmission submission) {
  absl::MutexLock lock(&mutex_);
  *exported_.emplace_back().mutable_submission() = std::move(submission);
}

void FakeAdmin::AddGap(std::int64_t first, std::int64_t last,
                       v1::SequenceGap::Reason reason) {
  absl::MutexLock lock(&mutex_);
  v1::SequenceGap* gap = exported_.emplace_back().mutable_gap();
  gap->set_first(first);
  gap->set_last(last);
  gap->set_reason(reason);
}

void FakeAdmin::AddProgress(std::int64_t sequence, std::int64_t last_sequence) {
  absl::MutexLock lock(&mutex_);
  v1::ExportProgress* progress = exported_.emplace_back().mutable_progress();
  progress->set_sequence(sequence);
  progress->set_last_sequence(last_sequence);
}

void FakeAdmin::EndExportsWith(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  export_status_ = status;
}

std::vector<v1::ExportRequest> FakeAdmin::exports() const {
  absl::MutexLock lock(&mutex_);
  return exports_;
}

std::vector<v1::RetryQuarantinedRequest> FakeAdmin::retries() const {
  absl::MutexLock lock(&mutex_);
  return retries_;
}

grpc::Status FakeAdmin::ListQuarantine(grpc::ServerContext* /*context*/,
                                       const v1::ListQuarantineRequest* request,
                                       v1::ListQuarantineResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (auto next = quarantined_.upper_bound(request->after_sequence());
       next != quarantined_.end(); ++next) {
    const v1::QuarantinedSubmission& entry = next->second.entry();
    if (!request->pool().empty() && entry.pool() != request->pool()) continue;
    if (response->entries_size() == request->page_size()) {
      response->set_more(true);
      break;
    }
    *response->add_entries() = entry;
  }
  return grpc::Status::OK;
}

grpc::Status FakeAdmin::GetQuarantined(grpc::ServerContext* /*context*/,
                                       const v1::GetQuarantinedRequest* request,
                                       v1::GetQuarantinedResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [sequence, quarantined] : quarantined_) {
    const v1::QuarantinedSubmission& entry = quarantined.entry();
    if (sequence == request->sequence() ||
        (entry.study_id() == request->study_id() &&
         entry.submission_id() == request->submission_id())) {
      *response = quarantined;
      return grpc::Status::OK;
    }
  }
  return {grpc::StatusCode::NOT_FOUND, "it is not in quarantine"};
}

grpc::Status FakeAdmin::DiscardQuarantined(
    grpc::ServerContext* /*context*/,
    const v1::DiscardQuarantinedRequest* request,
    v1::DiscardQuarantinedResponse* /*response*/) {
  absl::MutexLock lock(&mutex_);
  const auto node = quarantined_.extract(request->sequence());
  if (node.empty()) {
    return {grpc::StatusCode::NOT_FOUND, "it is not in quarantine"};
  }
  v1::DiscardedSubmission& record = discarded_.emplace_back();
  record.set_number(static_cast<std::int64_t>(discarded_.size()));
  *record.mutable_entry() = node.mapped().entry();
  record.set_reason(request->reason());
  record.set_by(request->by());
  return grpc::Status::OK;
}

grpc::Status FakeAdmin::ListDiscarded(grpc::ServerContext* /*context*/,
                                      const v1::ListDiscardedRequest* request,
                                      v1::ListDiscardedResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::DiscardedSubmission& record : discarded_) {
    if (record.number() <= request->after_number()) continue;
    if (response->records_size() == 1) {
      response->set_more(true);
      break;
    }
    *response->add_records() = record;
  }
  return grpc::Status::OK;
}

grpc::Status FakeAdmin::RetryQuarantined(
    grpc::ServerContext* /*context*/,
    const v1::RetryQuarantinedRequest* request,
    v1::RetryQuarantinedResponse* response) {
  absl::MutexLock lock(&mutex_);
  retries_.push_back(*request);
  std::vector<std::int64_t> sequences(request->sequences().begin(),
                                      request->sequences().end());
  if (request->all()) {
    for (const auto& [sequence, quarantined] : quarantined_) {
      sequences.push_back(sequence);
    }
  }
  for (const std::int64_t sequence : sequences) {
    if (!quarantined_.contains(sequence)) {
      response->add_unknown(sequence);
    } else if (!left_reason_.empty()) {
      response->add_left(sequence);
      response->set_left_reason(left_reason_);
    } else {
      response->add_retried(sequence);
      quarantined_.erase(sequence);
    }
  }
  return grpc::Status::OK;
}

grpc::Status FakeAdmin::Backup(grpc::ServerContext* /*context*/,
                               const v1::BackupRequest* request,
                               v1::BackupResponse* response) {
  if (request->name() == "taken") {
    return {grpc::StatusCode::ALREADY_EXISTS, "/backups/taken exists already"};
  }
  response->set_directory("/backups/" + request->name());
  v1::BackupFile* file = response->add_files();
  file->set_name("journal-clinical.db");
  file->set_key("pools.clinical.queue.path");
  file->set_bytes(81920);
  file = response->add_files();
  file->set_name("journal-clinical.db.state");
  file->set_bytes(8192);
  response->set_has_store(request->name() != "journals");
  return grpc::Status::OK;
}

grpc::Status FakeAdmin::Export(grpc::ServerContext* /*context*/,
                               const v1::ExportRequest* request,
                               grpc::ServerWriter<v1::ExportResponse>* writer) {
  std::vector<v1::ExportResponse> responses;
  grpc::Status status;
  {
    absl::MutexLock lock(&mutex_);
    exports_.push_back(*request);
    responses = exported_;
    status = export_status_;
  }
  for (const v1::ExportResponse& response : responses) {
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  return status;
}

v1::ExportedSubmission ExportedResponse(std::int64_t sequence) {
  v1::SubmitRequest request;
  request.set_study_id("S");
  request.set_site_id("SITE");
  request.set_submission_id(absl::StrCat("id-", sequence));
  v1::QuestionnaireResponse* response = request.mutable_response();
  response->set_questionnaire("http://example.org/q|1");
  response->set_status(v1::QuestionnaireResponse::COMPLETED);
  response->mutable_subject()->set_reference("Patient/1");
  response->set_authored("2026-03-01T20:15:00+01:00");
  auto* item = response->add_item();
  item->set_link_id("pain");
  item->add_answer()->set_decimal("1.10");

  v1::ExportedSubmission submission;
  submission.set_sequence(sequence);
  submission.set_kind(v1::QUESTIONNAIRE_RESPONSE);
  submission.set_study_id(request.study_id());
  submission.set_submission_id(request.submission_id());
  submission.set_site_id(request.site_id());
  submission.mutable_received_at()->set_seconds(1'772'392'500);
  submission.mutable_received_at()->set_nanos(123'456'000);
  submission.set_content(request.SerializeAsString());
  submission.set_content_sha256(Hash(submission.content()));
  return submission;
}

v1::GetQuarantinedResponse QuarantinedResponse(std::int64_t sequence) {
  const v1::ExportedSubmission submission = ExportedResponse(sequence);
  v1::GetQuarantinedResponse quarantined;
  v1::QuarantinedSubmission* entry = quarantined.mutable_entry();
  entry->set_pool("clinical");
  entry->set_sequence(sequence);
  entry->set_study_id(submission.study_id());
  entry->set_submission_id(submission.submission_id());
  entry->set_kind(submission.kind());
  entry->set_method("Submit");
  entry->set_reason("the store says no");
  entry->set_tries(3);
  *entry->mutable_received_at() = submission.received_at();
  entry->mutable_quarantined_at()->set_seconds(1'772'395'200);
  entry->set_content_sha256(submission.content_sha256());
  entry->set_content_bytes(
      static_cast<std::int64_t>(submission.content().size()));
  quarantined.set_site_id(submission.site_id());
  quarantined.set_content(submission.content());
  quarantined.mutable_request()->ParseFromString(submission.content());
  return quarantined;
}

}  // namespace sluice

#include "tests/fakes/fake_datastore.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

v1::StoredReceipt ReceiptOf(const v1::Submission& submission) {
  v1::StoredReceipt receipt;
  receipt.set_sequence(submission.sequence());
  *receipt.mutable_received_at() = submission.received_at();
  receipt.set_content_sha256(submission.content_sha256());
  return receipt;
}

}  // namespace

FakeDatastore::FakeDatastore(
    std::shared_ptr<grpc::ServerCredentials> credentials)
    : credentials_(std::move(credentials)) {
  Start();
}

FakeDatastore::~FakeDatastore() {
  Release();
  Stop();
}

std::string FakeDatastore::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void FakeDatastore::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeDatastore::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_), credentials_,
                           &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

void FakeDatastore::Clear() {
  absl::MutexLock lock(&mutex_);
  stored_.clear();
  by_id_.clear();
  gaps_.clear();
}

void FakeDatastore::AnswerNext(const Ending& ending) {
  absl::MutexLock lock(&mutex_);
  endings_.push_back(ending);
}

void FakeDatastore::Hold() {
  absl::MutexLock lock(&mutex_);
  hold_ = true;
}

void FakeDatastore::Release() {
  absl::MutexLock lock(&mutex_);
  hold_ = false;
}

bool FakeDatastore::AwaitHeld(int count) const {
  absl::MutexLock lock(&mutex_);
  const auto reached = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return held_ >= count;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
}

int FakeDatastore::saves() const {
  absl::MutexLock lock(&mutex_);
  return saves_;
}

int FakeDatastore::peak_in_flight() const {
  absl::MutexLock lock(&mutex_);
  return peak_in_flight_;
}

std::vector<int> FakeDatastore::batches() const {
  absl::MutexLock lock(&mutex_);
  return batches_;
}

std::vector<v1::Submission> FakeDatastore::stored() const {
  absl::MutexLock lock(&mutex_);
  std::vector<v1::Submission> stored;
  for (const auto& [sequence, one] : stored_) stored.push_back(one);
  return stored;
}

std::map<std::int64_t, bool> FakeDatastore::gaps() const {
  absl::MutexLock lock(&mutex_);
  return gaps_;
}

grpc::Status FakeDatastore::SaveBatch(grpc::ServerContext* context,
                                      const v1::SaveBatchRequest* request,
                                      v1::SaveBatchResponse* response) {
  absl::MutexLock lock(&mutex_);
  ++saves_;
  peak_in_flight_ = std::max(peak_in_flight_, ++in_flight_);
  WaitWhileHeld();
  --in_flight_;
  if (const auto refused = Refuse(context)) return *refused;
  batches_.push_back(request->submissions_size());
  bool differed = false;
  for (int i = 0; i < request->submissions_size(); ++i) {
    auto* saved = response->add_saved();
    *saved = Save(request->submissions(i),
                  request->verdicts().empty()
                      ? v1::SaveBatchRequest::VERDICT_UNSPECIFIED
                      : request->verdicts(i));
    if (saved->result() != v1::SaveBatchResponse::DIFFERS) continue;
    if (differed && leaves_contents_out) saved->clear_first_content();
    differed = true;
  }
  if (spoil_saved) spoil_saved(response);
  return grpc::Status::OK;
}

v1::SaveBatchResponse::Saved FakeDatastore::Save(
    const v1::Submission& submission, v1::SaveBatchRequest::Verdict verdict) {
  const auto [entry, is_new] =
      by_id_.emplace(Key(submission.study_id(), submission.submission_id()),
                     submission.sequence());
  v1::Submission& first = stored_[entry->second];
  if (is_new) first = submission;
  v1::SaveBatchResponse::Saved saved;
  *saved.mutable_first() = ReceiptOf(first);
  const bool same_bytes = first.content_sha256() == submission.content_sha256();
  if (first.sequence() == submission.sequence() && same_bytes) {
    saved.set_result(v1::SaveBatchResponse::STORED);
    return saved;
  }
  if (first.kind() != submission.kind() ||
      (!same_bytes && verdict == v1::SaveBatchRequest::ANOTHER)) {
    saved.set_result(v1::SaveBatchResponse::CONFLICT);
  } else if (same_bytes || verdict == v1::SaveBatchRequest::SAME) {
    saved.set_result(v1::SaveBatchResponse::DUPLICATE);
  } else {
    saved.set_result(v1::SaveBatchResponse::DIFFERS);
    saved.set_first_content(first.content());
    return saved;
  }
  gaps_[submission.sequence()] =
      saved.result() == v1::SaveBatchResponse::CONFLICT;
  return saved;
}

grpc::Status FakeDatastore::FindReceipts(grpc::ServerContext* context,
                                         const v1::FindReceiptsRequest* request,
                                         v1::FindReceiptsResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (const auto refused = Refuse(context)) return *refused;
  for (const std::string& id : request->submission_ids()) {
    auto* one = response->add_found();
    const auto found = by_id_.find(Key(request->study_id(), id));
    if (found == by_id_.end()) continue;
    *one->mutable_receipt() = ReceiptOf(stored_[found->second]);
  }
  if (spoil_found) spoil_found(response);
  return grpc::Status::OK;
}

grpc::Status FakeDatastore::LastSequence(
    grpc::ServerContext* context, const v1::LastSequenceRequest* /*request*/,
    v1::LastSequenceResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (const auto refused = Refuse(context)) return *refused;
  std::int64_t last = stored_.empty() ? 0 : stored_.rbegin()->first;
  if (!gaps_.empty()) last = std::max(last, gaps_.rbegin()->first);
  response->set_sequence(last);
  if (spoil_last) spoil_last(response);
  return grpc::Status::OK;
}

grpc::Status FakeDatastore::Read(grpc::ServerContext* context,
                                 const v1::ReadRequest* request,
                                 v1::ReadResponse* response) {
  absl::MutexLock lock(&mutex_);
  if (const auto refused = Refuse(context)) return *refused;
  std::int64_t bytes = 0;
  auto next = stored_.upper_bound(request->after());
  for (; next != stored_.end(); ++next) {
    bytes += static_cast<std::int64_t>(next->second.content().size());
    if (response->submissions_size() >= request->max_submissions() ||
        (bytes > request->max_bytes() && response->submissions_size() > 0)) {
      break;
    }
    *response->add_submissions() = next->second;
  }
  response->set_last(next == stored_.end());
  for (const auto& [sequence, conflict] : gaps_) {
    if (sequence <= request->after()) continue;
    if (!response->last() &&
        sequence > response->submissions().rbegin()->sequence()) {
      break;
    }
    auto* gap = response->add_gaps();
    gap->set_sequence(sequence);
    gap->set_conflict(conflict);
  }
  if (spoil_read) spoil_read(response);
  return grpc::Status::OK;
}

grpc::Status FakeDatastore::Check(grpc::ServerContext* context,
                                  const v1::CheckRequest* /*request*/,
                                  v1::CheckResponse* /*response*/) {
  absl::MutexLock lock(&mutex_);
  return Refuse(context).value_or(grpc::Status::OK);
}

std::optional<grpc::Status> FakeDatastore::Refuse(
    grpc::ServerContext* context) {
  if (endings_.empty()) return std::nullopt;
  const Ending ending = endings_.front();
  endings_.pop_front();
  if (ending.code == grpc::StatusCode::OK) return std::nullopt;
  if (ending.pushback) {
    context->AddTrailingMetadata("grpc-retry-pushback-ms", *ending.pushback);
  }
  return grpc::Status(ending.code, "Patient/secret");
}

void FakeDatastore::WaitWhileHeld() {
  const auto released = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !hold_;
  };
  ++held_;
  mutex_.Await(absl::Condition(&released));
  --held_;
}

}  // namespace sluice

#include "server/admin/admin_service.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/scheduling.h"
#include "server/admin/admin_messages.h"
#include "server/admin/store_export.h"

namespace sluice {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  // Abseil and gRPC use the same numbers for the canonical codes.
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message())};
}

grpc::Status Invalid(const std::string& message) {
  return {grpc::StatusCode::INVALID_ARGUMENT, message};
}

// Returns the number of entries in a page; 0 requests the default.
absl::StatusOr<std::size_t> PageSize(int requested) {
  if (requested < 0 || requested > AdminService::kPageSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size must be 0 to ", AdminService::kPageSizeMax));
  }
  return static_cast<std::size_t>(requested == 0 ? AdminService::kPageSize
                                                 : requested);
}

// A quarantined submission with its pool.
struct Found {
  std::string pool;
  Quarantined quarantined;
};

// Returns the submission with its content, or nullopt if it is not in the
// pool's quarantine.
absl::StatusOr<std::optional<Found>> FindBySequence(AdminBackend& backend,
                                                    const std::string& pool,
                                                    std::int64_t sequence) {
  auto entries = backend.ListQuarantine(pool, sequence - 1, 1,
                                        /*with_content=*/true);
  if (!entries.ok()) return entries.status();
  if (entries->empty() || entries->front().submission.sequence != sequence) {
    return std::nullopt;
  }
  return Found{pool, std::move(entries->front())};
}

absl::StatusOr<std::optional<Found>> FindById(
    AdminBackend& backend, const std::string& pool,
    const v1::GetQuarantinedRequest& request) {
  const std::string& id = request.submission_id();
  auto found = backend.FindQuarantined(pool, request.study_id(), {&id, 1});
  if (!found.ok()) return found.status();
  if (found->empty() || !found->front().has_value()) return std::nullopt;
  return FindBySequence(backend, pool, found->front()->submission.sequence);
}

absl::StatusOr<Found> FindRequested(AdminBackend& backend,
                                    const std::vector<std::string>& pools,
                                    const v1::GetQuarantinedRequest& request) {
  for (const std::string& pool : pools) {
    auto found = request.sequence() > 0
                     ? FindBySequence(backend, pool, request.sequence())
                     : FindById(backend, pool, request);
    if (!found.ok()) return found.status();
    if (found->has_value()) return **std::move(found);
  }
  return absl::NotFoundError("the submission is not in quarantine");
}

// Quarantined sequence numbers, with the pool of each.
using Sequences = std::map<std::int64_t, std::string>;

// Returns the first `max` sequence numbers after `after`, over all `pools`.
absl::StatusOr<Sequences> ListSequences(AdminBackend& backend,
                                        const std::vector<std::string>& pools,
                                        std::int64_t after, std::size_t max) {
  Sequences sequences;
  for (const std::string& pool : pools) {
    const auto entries =
        backend.ListQuarantine(pool, after, max, /*with_content=*/false);
    if (!entries.ok()) return entries.status();
    for (const Quarantined& entry : *entries) {
      sequences.emplace(entry.submission.sequence, pool);
    }
  }
  while (sequences.size() > max) sequences.erase(std::prev(sequences.end()));
  return sequences;
}

absl::StatusOr<Sequences> ListAllSequences(
    AdminBackend& backend, const std::vector<std::string>& pools) {
  constexpr std::size_t kPage = 1000;
  Sequences all;
  for (;;) {
    auto page = ListSequences(backend, pools,
                              all.empty() ? 0 : all.rbegin()->first, kPage);
    if (!page.ok()) return page.status();
    const bool last = page->size() < kPage;
    all.merge(*page);
    if (last) return all;
  }
}

// Retries each submission once, and fills the response. A submission that
// returns to quarantine during the request is not retried again.
class Retry {
 public:
  Retry(AdminBackend& backend, v1::RetryQuarantinedResponse& response)
      : backend_(backend), response_(response) {}

  // Retries the submission in the first of `pools` that has it.
  void Add(const std::vector<std::string>& pools, std::int64_t sequence) {
    for (const std::string& pool : pools) {
      if (!blocked_.ok()) break;
      const absl::Status status = backend_.RetryQuarantined(pool, sequence);
      if (absl::IsNotFound(status)) continue;
      if (status.ok()) return response_.add_retried(sequence);
      if (IsTransient(status)) blocked_ = status;
      return AddLeft(sequence, status);
    }
    if (blocked_.ok()) return response_.add_unknown(sequence);
    AddLeft(sequence, blocked_);
  }

 private:
  void AddLeft(std::int64_t sequence, const absl::Status& why) {
    response_.add_left(sequence);
    if (response_.left_reason().empty()) {
      response_.set_left_reason(std::string(why.message()));
    }
  }

  AdminBackend& backend_;
  v1::RetryQuarantinedResponse& response_;
  // The transient error that made the retries stop.
  absl::Status blocked_;
};

}  // namespace

grpc::Status AdminService::ListQuarantine(
    grpc::ServerContext* /*context*/, const v1::ListQuarantineRequest* request,
    v1::ListQuarantineResponse* response) {
  LetOthersGoFirst();
  if (request->after_sequence() < 0) {
    return Invalid("after_sequence must not be negative");
  }
  const auto page_size = PageSize(request->page_size());
  if (!page_size.ok()) return ToGrpc(page_size.status());
  const std::size_t size = *page_size;
  const auto pools = SelectPools(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  // List one entry more than the page has, to know whether another page
  // follows.
  auto sequences =
      ListSequences(backend_, *pools, request->after_sequence(), size + 1);
  if (!sequences.ok()) return ToGrpc(sequences.status());
  if (sequences->size() > size) {
    response->set_more(true);
    sequences->erase(std::prev(sequences->end()));
  }
  // The entries need the size of each content. Read one content at a time,
  // because the contents of a whole page may exceed the memory.
  for (const auto& [sequence, pool] : *sequences) {
    const auto found = FindBySequence(backend_, pool, sequence);
    if (!found.ok()) return ToGrpc(found.status());
    if (!found->has_value()) continue;  // was retried meanwhile
    *response->add_entries() = ToEntry((*found)->pool, (*found)->quarantined);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::GetQuarantined(
    grpc::ServerContext* /*context*/, const v1::GetQuarantinedRequest* request,
    v1::GetQuarantinedResponse* response) {
  const bool by_sequence = request->sequence() > 0;
  const bool by_id =
      !request->study_id().empty() && !request->submission_id().empty();
  const bool some_id =
      !request->study_id().empty() || !request->submission_id().empty();
  if (by_sequence ? some_id : !by_id) {
    return Invalid("set either sequence, or study_id and submission_id");
  }
  const auto pools = SelectPools(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  auto found = FindRequested(backend_, *pools, *request);
  if (!found.ok()) return ToGrpc(found.status());

  ReceivedSubmission& submission = found->quarantined.submission;
  *response->mutable_entry() = ToEntry(found->pool, found->quarantined);
  response->set_site_id(ValidText(submission.site_id));
  if (submission.kind == SubmissionKind::kQuestionnaireResponse &&
      submission.content.size() <= kParsedBytesMax &&
      !response->mutable_request()->ParseFromString(submission.content)) {
    response->clear_request();
  }
  response->set_content(std::move(submission.content));
  return grpc::Status::OK;
}

grpc::Status AdminService::RetryQuarantined(
    grpc::ServerContext* context, const v1::RetryQuarantinedRequest* request,
    v1::RetryQuarantinedResponse* response) {
  if (request->all() != request->sequences().empty()) {
    return Invalid("set either sequences or all");
  }
  if (request->sequences_size() > kRetriesMax) {
    return Invalid(
        absl::StrCat("sequences must have at most ", kRetriesMax, " entries"));
  }
  const auto pools = SelectPools(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  Retry retry(backend_, *response);
  if (!request->all()) {
    for (const std::int64_t sequence : request->sequences()) {
      if (context->IsCancelled()) return grpc::Status::CANCELLED;
      retry.Add(*pools, sequence);
    }
    return grpc::Status::OK;
  }
  const auto sequences = ListAllSequences(backend_, *pools);
  if (!sequences.ok()) return ToGrpc(sequences.status());
  for (const auto& [sequence, pool] : *sequences) {
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    retry.Add({pool}, sequence);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::DiscardQuarantined(
    grpc::ServerContext* /*context*/,
    const v1::DiscardQuarantinedRequest* request,
    v1::DiscardQuarantinedResponse* /*response*/) {
  if (request->sequence() <= 0) return Invalid("set sequence");
  if (request->reason().empty() || request->reason().size() > kReasonBytesMax) {
    return Invalid(
        absl::StrCat("reason must have 1 to ", kReasonBytesMax, " bytes"));
  }
  if (request->by().empty() || request->by().size() > kNameBytesMax) {
    return Invalid(absl::StrCat("by must have 1 to ", kNameBytesMax, " bytes"));
  }
  const auto pools = SelectPools(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  for (const std::string& pool : *pools) {
    const absl::Status status = backend_.DiscardQuarantined(
        pool, request->sequence(), request->reason(), request->by());
    if (!absl::IsNotFound(status)) return ToGrpc(status);
  }
  return ToGrpc(absl::NotFoundError("the submission is not in quarantine"));
}

grpc::Status AdminService::ListDiscarded(
    grpc::ServerContext* /*context*/, const v1::ListDiscardedRequest* request,
    v1::ListDiscardedResponse* response) {
  if (request->after_number() < 0) {
    return Invalid("after_number must not be negative");
  }
  const auto size = PageSize(request->page_size());
  if (!size.ok()) return ToGrpc(size.status());
  const auto pools = SelectPools(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  if (pools->size() > 1) {
    return Invalid(
        absl::StrCat("set pool to one of: ", absl::StrJoin(*pools, ", ")));
  }
  if (pools->empty()) return grpc::Status::OK;
  const auto records = backend_.ListDiscarded(
      pools->front(), request->after_number(), *size + 1);
  if (!records.ok()) return ToGrpc(records.status());
  for (const Discarded& record : *records) {
    if (response->records_size() == static_cast<int>(*size)) {
      response->set_more(true);
      break;
    }
    *response->add_records() = ToRecord(pools->front(), record);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::Export(
    grpc::ServerContext* context, const v1::ExportRequest* request,
    grpc::ServerWriter<v1::ExportResponse>* writer) {
  LetOthersGoFirst();
  if (request->after_sequence() < 0) {
    return Invalid("after_sequence must not be negative");
  }
  if (!BeginExport()) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("the most exports at a time, ", kExportsMax,
                         ", are already in progress")};
  }
  const absl::Cleanup end = [this] { EndExport(); };
  return ToGrpc(
      ExportStore(backend_, *request, [&](const v1::ExportResponse& response) {
        return !context->IsCancelled() && writer->Write(response);
      }));
}

int AdminService::exports() const {
  absl::MutexLock lock(&mutex_);
  return exports_;
}

absl::StatusOr<std::vector<std::string>> AdminService::SelectPools(
    const std::string& pool) const {
  std::vector<std::string> pools = backend_.QuarantinePools();
  if (pool.empty()) return pools;
  if (std::ranges::find(pools, pool) != pools.end()) {
    return std::vector<std::string>{pool};
  }
  return absl::NotFoundError("no pool of this name has a quarantine");
}

bool AdminService::BeginExport() {
  absl::MutexLock lock(&mutex_);
  if (exports_ == kExportsMax) return false;
  ++exports_;
  return true;
}

void AdminService::EndExport() {
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK_GT(exports_, 0);
  --exports_;
}

}  // namespace sluice

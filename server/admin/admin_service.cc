#include "server/admin/admin_service.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/admin/admin_messages.h"
#include "server/admin/store_export.h"

namespace sluice {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  // Both libraries take their codes from the same list.
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message())};
}

grpc::Status Invalid(const std::string& message) {
  return {grpc::StatusCode::INVALID_ARGUMENT, message};
}

// One in quarantine, with its pool.
struct Found {
  std::string pool;
  Quarantined quarantined;
};

// With its content; nothing where it is not there.
absl::StatusOr<std::optional<Found>> FindBySequence(const PoolQuarantine& pool,
                                                    std::int64_t sequence) {
  auto entries = pool.quarantine->List(sequence - 1, 1, /*with_content=*/true);
  if (!entries.ok()) return entries.status();
  if (entries->empty() || entries->front().submission.sequence != sequence) {
    return std::nullopt;
  }
  return Found{pool.pool, std::move(entries->front())};
}

absl::StatusOr<std::optional<Found>> FindById(
    const PoolQuarantine& pool, const v1::GetQuarantinedRequest& request) {
  const std::string& id = request.submission_id();
  auto found = pool.quarantine->Find(request.study_id(), {&id, 1});
  if (!found.ok()) return found.status();
  if (found->empty() || !found->front().has_value()) return std::nullopt;
  return FindBySequence(pool, found->front()->submission.sequence);
}

absl::StatusOr<Found> FindQuarantined(
    const std::vector<PoolQuarantine>& pools,
    const v1::GetQuarantinedRequest& request) {
  for (const PoolQuarantine& pool : pools) {
    auto found = request.sequence() > 0
                     ? FindBySequence(pool, request.sequence())
                     : FindById(pool, request);
    if (!found.ok()) return found.status();
    if (found->has_value()) return **std::move(found);
  }
  return absl::NotFoundError("it is not in quarantine");
}

// Sequences in quarantine, with the pool of each.
using Sequences = std::map<std::int64_t, const PoolQuarantine*>;

// The first `max` after `after`, over all pools.
absl::StatusOr<Sequences> ListSequences(
    const std::vector<PoolQuarantine>& pools, std::int64_t after,
    std::size_t max) {
  Sequences sequences;
  for (const PoolQuarantine& pool : pools) {
    const auto entries =
        pool.quarantine->List(after, max, /*with_content=*/false);
    if (!entries.ok()) return entries.status();
    for (const Quarantined& entry : *entries) {
      sequences.emplace(entry.submission.sequence, &pool);
    }
  }
  while (sequences.size() > max) sequences.erase(std::prev(sequences.end()));
  return sequences;
}

absl::StatusOr<Sequences> ListAllSequences(
    const std::vector<PoolQuarantine>& pools) {
  constexpr std::size_t kPage = 1000;
  Sequences all;
  for (;;) {
    auto page =
        ListSequences(pools, all.empty() ? 0 : all.rbegin()->first, kPage);
    if (!page.ok()) return page.status();
    const bool last = page->size() < kPage;
    all.merge(*page);
    if (last) return all;
  }
}

// Tries each once: what comes back into quarantine meanwhile stays there.
class Retry {
 public:
  Retry(AdminBackend& backend, v1::RetryQuarantinedResponse& response)
      : backend_(backend), response_(response) {}

  // In the first of the pools that has it.
  void One(const std::vector<PoolQuarantine>& pools, std::int64_t sequence) {
    for (const PoolQuarantine& pool : pools) {
      if (!full_.ok()) break;
      const absl::Status status =
          backend_.RetryQuarantined(pool.pool, sequence);
      if (absl::IsNotFound(status)) continue;
      if (status.ok()) return response_.add_retried(sequence);
      if (IsTransient(status)) full_ = status;
      return Leave(sequence, status);
    }
    if (full_.ok()) return response_.add_unknown(sequence);
    Leave(sequence, full_);
  }

 private:
  void Leave(std::int64_t sequence, const absl::Status& why) {
    response_.add_left(sequence);
    if (response_.left_reason().empty()) {
      response_.set_left_reason(std::string(why.message()));
    }
  }

  AdminBackend& backend_;
  v1::RetryQuarantinedResponse& response_;
  // Why no other can be put back now either.
  absl::Status full_;
};

}  // namespace

grpc::Status AdminService::ListQuarantine(
    grpc::ServerContext* /*context*/, const v1::ListQuarantineRequest* request,
    v1::ListQuarantineResponse* response) {
  if (request->after_sequence() < 0) {
    return Invalid("after_sequence must not be negative");
  }
  if (request->page_size() < 0 || request->page_size() > kPageSizeMax) {
    return Invalid(absl::StrCat("page_size must be 0 to ", kPageSizeMax));
  }
  const auto pools = Quarantines(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  const auto size = static_cast<std::size_t>(
      request->page_size() == 0 ? kPageSize : request->page_size());
  auto sequences = ListSequences(*pools, request->after_sequence(), size + 1);
  if (!sequences.ok()) return ToGrpc(sequences.status());
  if (sequences->size() > size) {
    response->set_more(true);
    sequences->erase(std::prev(sequences->end()));
  }
  // One content at a time, for its size: a thousand may be more than memory.
  for (const auto& [sequence, pool] : *sequences) {
    const auto found = FindBySequence(*pool, sequence);
    if (!found.ok()) return ToGrpc(found.status());
    if (!found->has_value()) continue;  // put back meanwhile
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
    return Invalid("either sequence, or study_id and submission_id");
  }
  const auto pools = Quarantines(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  auto found = FindQuarantined(*pools, *request);
  if (!found.ok()) return ToGrpc(found.status());

  ReceivedSubmission& submission = found->quarantined.submission;
  *response->mutable_entry() = ToEntry(found->pool, found->quarantined);
  response->set_site_id(submission.site_id);
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
    return Invalid("either sequences or all");
  }
  if (request->sequences_size() > kRetriesMax) {
    return Invalid(absl::StrCat("sequences: at most ", kRetriesMax));
  }
  const auto pools = Quarantines(request->pool());
  if (!pools.ok()) return ToGrpc(pools.status());
  Retry retry(backend_, *response);
  if (!request->all()) {
    for (const std::int64_t sequence : request->sequences()) {
      if (context->IsCancelled()) return grpc::Status::CANCELLED;
      retry.One(*pools, sequence);
    }
    return grpc::Status::OK;
  }
  const auto sequences = ListAllSequences(*pools);
  if (!sequences.ok()) return ToGrpc(sequences.status());
  for (const auto& [sequence, pool] : *sequences) {
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    retry.One({*pool}, sequence);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::Export(
    grpc::ServerContext* context, const v1::ExportRequest* request,
    grpc::ServerWriter<v1::ExportResponse>* writer) {
  if (request->after_sequence() < 0) {
    return Invalid("after_sequence must not be negative");
  }
  if (!BeginExport()) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("as many exports as may be at a time, ", kExportsMax,
                         ", are in progress")};
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

absl::StatusOr<std::vector<PoolQuarantine>> AdminService::Quarantines(
    const std::string& pool) const {
  std::vector<PoolQuarantine> quarantines = backend_.quarantines();
  if (pool.empty()) return quarantines;
  std::erase_if(quarantines,
                [&pool](const auto& other) { return other.pool != pool; });
  if (!quarantines.empty()) return quarantines;
  return absl::NotFoundError("there is no such pool with a quarantine");
}

bool AdminService::BeginExport() {
  absl::MutexLock lock(&mutex_);
  if (exports_ == kExportsMax) return false;
  ++exports_;
  return true;
}

void AdminService::EndExport() {
  absl::MutexLock lock(&mutex_);
  --exports_;
}

}  // namespace sluice

#include "server/calls/lookup_call.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/scheduling.h"
#include "server/calls/receipt.h"
#include "server/submissions/task_failure.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Delay until a look-up is repeated that a drain has ended.
constexpr Duration kDrainRetryDelay = std::chrono::seconds(1);

using protozero::pbf_writer;

StoredReceipt ReceiptOf(const Quarantined& found) {
  return {.sequence = found.submission.sequence,
          .received_at = found.submission.received_at,
          .content_sha256 = found.submission.content_sha256};
}

void WriteQuarantined(const Quarantined& found, const std::string& id,
                      pbf_writer* receipt) {
  WriteKept(v1::Receipt::QUARANTINED, ReceiptOf(found), id, receipt);
  WriteIssue("", found.reason, receipt);
}

// Does not write the operator's reason, which is a free text for operators.
void WriteDiscarded(const Discarded& found, const std::string& id,
                    pbf_writer* receipt) {
  WriteKept(v1::Receipt::DISCARDED, ReceiptOf(found.quarantined), id, receipt);
  WriteIssue(
      "",
      absl::StrCat("discarded by an operator; was in quarantine because: ",
                   found.quarantined.reason),
      receipt);
}

// A repetition of a quarantined submission was recorded as discarded. A retry
// may have moved the first submission out of quarantine since the other places
// were searched. Searches these places again, in the direction of a retry, and
// sets the receipt of the first submission.
absl::Status FindFirst(const LookupSources& sources,
                       const Discarded& repetition, const std::string& id,
                       std::optional<StoredReceipt>* acknowledged,
                       std::optional<StoredReceipt>* stored) {
  const ReceivedSubmission& submission = repetition.quarantined.submission;
  const SubmissionKey key = SubmissionKey::Of(submission);
  StoredReceipt moving;
  if (sources.recent->quarantined().Find(key, submission.content_sha256,
                                         &moving)) {
    *acknowledged = moving;
    return absl::OkStatus();
  }
  *acknowledged = sources.recent->FindAcknowledged(key);
  if (acknowledged->has_value()) return absl::OkStatus();
  auto found = sources.store->FindReceipts(submission.study_id, {id});
  if (!found.ok()) return found.status();
  *stored = found->front();
  return absl::OkStatus();
}

// Finds submissions that are not read from a journal yet. If an id occurs
// several times, the first submission counts.
absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindUnread(
    const LookupSources& sources, std::string_view study_id,
    const std::vector<std::string>& ids) {
  std::vector<std::optional<StoredReceipt>> found(ids.size());
  for (Journal* journal : sources.journals) {
    if (journal->unread() == 0) continue;
    absl::flat_hash_map<std::string_view, StoredReceipt> wanted;
    for (const std::string& id : ids) wanted.emplace(id, StoredReceipt());
    const absl::Status status =
        journal->VisitUnread([&](const UnreadEntry& entry) {
          if (entry.study_id != study_id) return;
          const auto it = wanted.find(entry.submission_id);
          if (it == wanted.end() || it->second.sequence != 0) return;
          it->second = entry.receipt;
        });
    if (!status.ok()) return status;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const StoredReceipt& receipt = wanted.at(ids[i]);
      if (receipt.sequence != 0) found[i] = receipt;
    }
  }
  return found;
}

// Returns the other numbers of each stored receipt. Asks the store once, and
// not at all if nothing is stored.
absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
    Store* store, absl::Span<const std::optional<StoredReceipt>> stored) {
  std::vector<std::vector<std::int64_t>> others(stored.size());
  std::vector<std::int64_t> sequences;
  for (const auto& receipt : stored) {
    if (receipt.has_value()) sequences.push_back(receipt->sequence);
  }
  if (sequences.empty()) return others;
  auto found = store->FindOtherSequences(sequences);
  if (!found.ok()) return found.status();
  SLUICE_DCHECK_EQ(found->size(), sequences.size());
  auto next = found->begin();
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (stored[i].has_value()) others[i] = std::move(*next++);
  }
  return others;
}

void WriteDamaged(std::int64_t sequence, const std::string& id,
                  pbf_writer* receipt) {
  receipt->add_string(v1::Receipt::kSubmissionIdFieldNumber, id);
  receipt->add_enum(v1::Receipt::kDispositionFieldNumber, v1::Receipt::STORED);
  receipt->add_int64(v1::Receipt::kSequenceFieldNumber, sequence);
  WriteIssue("", "the row of the submission is damaged in the store", receipt);
}

void WriteUnknown(const std::string& id, pbf_writer* receipt) {
  receipt->add_string(v1::Receipt::kSubmissionIdFieldNumber, id);
  receipt->add_enum(v1::Receipt::kDispositionFieldNumber, v1::Receipt::UNKNOWN);
}

std::optional<StoredReceipt> FindAcknowledged(const RecentIds& recent,
                                              const std::string& study_id,
                                              const std::string& id) {
  for (const auto kind :
       {SubmissionKind::kQuestionnaireResponse, SubmissionKind::kPatientRecord,
        SubmissionKind::kAppEvent}) {
    auto found = recent.FindAcknowledged(SubmissionKey::Of(kind, study_id, id));
    if (found.has_value()) return found;
  }
  return std::nullopt;
}

}  // namespace

void LookupCall::Await(const MethodContext& method, const LookupIntake& intake,
                       RawService* service, CompletionLoop* loop) {
  auto* call = new LookupCall(method, service, loop);
  call->intake_ = &intake;
  call->UnaryCall::Await();
}

void LookupCall::AwaitAnother() { Await(method_, *intake_, service_, loop_); }

void LookupCall::OnRequest() {
  if (RefuseUnread()) return;
  Sending sending;
  if (auto violation = ReadRequest(&sending)) {
    return FinishInvalid(*std::move(violation));
  }
  bytes = request_.Length();
  deadline = DeadlineOf(context_);
  std::string request;
  TakeRequest(&request);
  if (auto violation = intake_->Read(request, &lookup_)) {
    return FinishInvalid(*std::move(violation));
  }
  method = Index(method_.method);
  lane = LaneOf(settings_->fair_by, sending.sender, lookup_.study_id, "");
  const Admission admission = method_.pool->Arrive(this, *settings_->policy);
  if (admission.kind == Admission::Kind::kEnded) {
    FinishWithError(Answer::Ended(admission.result, admission.retry_delay));
  }
}

void LookupCall::Look(const LookupSources& sources, LogPace* log_pace) {
  try {
    const absl::Status status = FindReceipts(sources);
    if (status.ok() && has_unknown_ && *sources.closing) {
      result = TaskResult::kDraining;
      error_ = Answer::Ended(result, kDrainRetryDelay);
      return;
    }
    if (status.ok()) {
      result = TaskResult::kAnswered;
      return;
    }
    if (const std::size_t times = log_pace->Count(sources.clock->Now());
        times > 0) {
      spdlog::warn("store failed: lookup times={} status={}", times,
                   status.ToString());
    }
    result = TaskResult::kStoreUnavailable;
    error_ = Answer::Unavailable();
  } catch (...) {
    result = TaskResult::kFailed;
    error_ = Answer::Failed(LogCurrentException());
  }
}

// Searches the unread entries of the journals first, then the acknowledged
// submissions, the store, the quarantine and the discarded submissions, because
// submissions move in this direction. In another order, a submission could move
// from a place searched late to a place searched before, and be reported as
// unknown.
absl::Status LookupCall::FindReceipts(const LookupSources& sources) {
  const std::vector<std::string>& ids = lookup_.submission_ids;
  auto acknowledged = FindUnread(sources, lookup_.study_id, ids);
  if (!acknowledged.ok()) return acknowledged.status();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto found = FindAcknowledged(*sources.recent, lookup_.study_id, ids[i]);
    if (found.has_value()) (*acknowledged)[i] = found;
  }
  auto stored = sources.store->FindReceipts(lookup_.study_id, ids);
  if (!stored.ok()) return stored.status();
  const auto others = FindOtherSequences(sources.store, *stored);
  if (!others.ok()) return others.status();
  std::vector<std::optional<Quarantined>> quarantined(ids.size());
  std::vector<std::optional<Discarded>> discarded(ids.size());
  for (Journal* journal : sources.journals) {
    auto found = journal->FindQuarantined(lookup_.study_id, ids);
    if (!found.ok()) return found.status();
    auto gone = journal->FindDiscarded(lookup_.study_id, ids);
    if (!gone.ok()) return gone.status();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if ((*found)[i].has_value()) quarantined[i] = std::move((*found)[i]);
      if ((*gone)[i].has_value()) discarded[i] = std::move((*gone)[i]);
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if ((*stored)[i].has_value() || quarantined[i].has_value() ||
        (*acknowledged)[i].has_value() || !discarded[i].has_value() ||
        discarded[i]->by != kDiscardedByServer) {
      continue;
    }
    const absl::Status status = FindFirst(sources, *discarded[i], ids[i],
                                          &(*acknowledged)[i], &(*stored)[i]);
    if (!status.ok()) return status;
  }
  pbf_writer response(response_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    pbf_writer receipt(response, v1::GetReceiptsResponse::kReceiptsFieldNumber);
    if ((*stored)[i].has_value() && IsDamaged(*(*stored)[i])) {
      WriteDamaged((*stored)[i]->sequence, ids[i], &receipt);
    } else if ((*stored)[i].has_value()) {
      WriteKept(v1::Receipt::STORED, *(*stored)[i], ids[i], &receipt);
      WriteOtherSequences((*others)[i], &receipt);
    } else if (quarantined[i].has_value()) {
      WriteQuarantined(*quarantined[i], ids[i], &receipt);
    } else if ((*acknowledged)[i].has_value()) {
      WriteKept(v1::Receipt::QUEUED, *(*acknowledged)[i], ids[i], &receipt);
    } else if (discarded[i].has_value()) {
      WriteDiscarded(*discarded[i], ids[i], &receipt);
    } else {
      has_unknown_ = true;
      WriteUnknown(ids[i], &receipt);
    }
  }
  return absl::OkStatus();
}

void LookupCall::OnEnded(TaskResult end, Duration retry_delay) {
  error_ = Answer::Ended(end, retry_delay);
  loop_->Post(this);
}

void LookupCall::OnDone() {
  // The processor threw an exception before the call had its result.
  if (result == TaskResult::kFailed && !error_.has_value()) {
    error_ = Answer::Failed(LogBatchFailure());
  }
  loop_->Post(this);
}

void LookupCall::OnLoop() {
  if (error_.has_value()) return FinishWithError(*error_);
  FinishWith(response_);
}

void LookupCall::OnCallerLeft() {
  // If Leave returns false, a worker has the task, and OnLoop finishes the
  // call.
  if (method_.pool->Leave(this)) FinishWithError(AnswerToCancelled());
}

StoreState LookupProcessor::Process(std::span<Task* const> batch) {
  // One call may look up thousands of ids, again and again.
  LetOthersGoFirst();
  for (Task* task : batch) {
    static_cast<LookupCall*>(task)->Look(sources_, &log_pace_);
  }
  return StoreState::kUntouched;
}

void LookupProcessor::HandBack(std::span<Task* const> tasks) {
  // Wake each loop once for all answers of the batch.
  const CompletionLoop::PostBatch batch;
  Processor::HandBack(tasks);
}

}  // namespace sluice

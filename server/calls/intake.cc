#include "server/calls/intake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "forms/answers.h"
#include "grpcpp/support/slice.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

constexpr char kSentAtMetadata[] = "sluice-sent-at";

std::optional<Violation> CheckId(std::string_view field, std::string_view id) {
  if (id.size() > kMaxIdBytes) {
    return Violation{std::string(field),
                     absl::StrCat("longer than ", kMaxIdBytes, " bytes")};
  }
  if (id.find('\0') != std::string_view::npos) {
    return Violation{std::string(field), "has U+0000"};
  }
  return std::nullopt;
}

std::optional<Violation> RequireId(std::string_view field,
                                   std::string_view id) {
  if (id.empty()) return Violation{std::string(field), "required"};
  return CheckId(field, id);
}

const google::protobuf::Descriptor* RequestType(Method method) {
  return method == Method::kImportPatients
             ? v1::ImportPatientsRequest::descriptor()
             : v1::RecordEventsRequest::descriptor();
}

const google::protobuf::Descriptor* EntryType(Method method) {
  return method == Method::kImportPatients ? v1::PatientRecord::descriptor()
                                           : v1::AppEvent::descriptor();
}

// ImportPatientsRequest and RecordEventsRequest have the same field numbers.
constexpr int kBulkStudyId = v1::ImportPatientsRequest::kStudyIdFieldNumber;
constexpr int kBulkSiteId = v1::ImportPatientsRequest::kSiteIdFieldNumber;
constexpr int kBulkEntries = v1::ImportPatientsRequest::kRecordsFieldNumber;
static_assert(kBulkStudyId == v1::RecordEventsRequest::kStudyIdFieldNumber);
static_assert(kBulkSiteId == v1::RecordEventsRequest::kSiteIdFieldNumber);
static_assert(kBulkEntries == v1::RecordEventsRequest::kEventsFieldNumber);

std::string_view EntryId(SubmissionKind kind, std::string_view entry) {
  if (kind == SubmissionKind::kAppEvent) {
    return FindLengthDelimited(entry, v1::AppEvent::kEventIdFieldNumber);
  }
  const std::string_view record_id =
      FindLengthDelimited(entry, v1::PatientRecord::kRecordIdFieldNumber);
  if (!record_id.empty()) return record_id;
  return FindLengthDelimited(entry, v1::PatientRecord::kPatientIdFieldNumber);
}

// Returns the id of a malformed submission; empty if the id is not valid.
std::string IdIfAny(std::string_view id) {
  return id.size() <= kMaxIdBytes && IsValidUtf8(id) ? std::string(id) : "";
}

Violation TooMany(std::string field) {
  return {std::move(field), absl::StrCat("more than ", kMaxEntries)};
}

}  // namespace

std::optional<Violation> ReadSending(const grpc::ServerContext& context,
                                     Sending* sending) {
  sending->received_at = absl::Now();
  if (auto violation = ReadSender(context, &sending->sender)) return violation;
  const auto& metadata = context.client_metadata();
  const auto sent_at = metadata.find(kSentAtMetadata);
  if (sent_at == metadata.end()) return std::nullopt;
  sending->sent_at =
      ParseInstant({sent_at->second.data(), sent_at->second.size()});
  if (sending->sent_at.has_value()) return std::nullopt;
  return Violation{kSentAtMetadata, "not an RFC 3339 time"};
}

void Flatten(const grpc::ByteBuffer& buffer, std::string* flat) {
  const auto append = [flat](const grpc::Slice& slice) {
    flat->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  };
  flat->clear();
  if (grpc::Slice slice; buffer.TrySingleSlice(&slice).ok()) {
    return append(slice);
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return;
  flat->reserve(buffer.Length());
  std::ranges::for_each(slices, append);
}

// Every answer takes memory for its row, which repeats the link id of its item.
// Items are counted too, because an export and the comparison of two contents
// under one id need memory for each item.
SubmitIntake::SubmitIntake(const LimitsConfig& limits)
    : checker_(
          v1::SubmitRequest::descriptor(), limits.nesting,
          /*unread_field=*/0,
          {.counted = {v1::QuestionnaireResponse::Item::descriptor(),
                       v1::QuestionnaireResponse::Answer::descriptor()},
           .counted_max = limits.answers,
           .counted_by = "limits.answers",
           .short_text =
               v1::QuestionnaireResponse::Item::descriptor()->FindFieldByNumber(
                   v1::QuestionnaireResponse::Item::kLinkIdFieldNumber),
           .short_text_max_bytes = kMaxLinkIdBytes}) {}

std::optional<Violation> SubmitIntake::Read(
    const Sending& sending, ReceivedSubmission* submission) const {
  using Request = v1::SubmitRequest;
  const std::string_view bytes = submission->content;
  if (auto violation = checker_.Check(bytes)) {
    submission->submission_id =
        IdIfAny(FindLengthDelimited(bytes, Request::kSubmissionIdFieldNumber));
    return violation;
  }
  constexpr std::array<int, 5> kFields = {
      Request::kSubmissionIdFieldNumber, Request::kStudyIdFieldNumber,
      Request::kSiteIdFieldNumber, Request::kResponseFieldNumber,
      Request::kSupersedesSubmissionIdFieldNumber};
  std::array<std::string_view, kFields.size()> found;
  FindLengthDelimited(bytes, kFields, found);
  const auto& [submission_id, study_id, site_id, response, supersedes] = found;
  submission->kind = SubmissionKind::kQuestionnaireResponse;
  submission->submission_id = submission_id;
  submission->study_id = study_id;
  submission->site_id = site_id;
  submission->received_at = sending.received_at;
  submission->sent_at = sending.sent_at;
  if (auto violation = RequireId("submission_id", submission_id)) {
    return violation;
  }
  if (auto violation = RequireId("study_id", study_id)) return violation;
  if (auto violation = CheckId("site_id", site_id)) return violation;
  if (response.data() == nullptr) return Violation{"response", "required"};
  return CheckId("supersedes_submission_id", supersedes);
}

BulkIntake::BulkIntake(Method method, const LimitsConfig& limits)
    : kind_(method == Method::kImportPatients ? SubmissionKind::kPatientRecord
                                              : SubmissionKind::kAppEvent),
      entries_name_(
          RequestType(method)->FindFieldByNumber(kBulkEntries)->name()),
      request_checker_(RequestType(method), limits.nesting, kBulkEntries),
      entry_checker_(EntryType(method), limits.nesting - 1) {}

std::optional<Violation> BulkIntake::Read(std::string_view content,
                                          Request* request) const {
  // Count first: a request may have millions of tiny entries, and a check of
  // all of them would take the loop's time from other callers.
  request->entries = FindRepeated(content, kBulkEntries, kMaxEntries + 1);
  if (request->entries.size() > kMaxEntries) {
    return TooMany(std::string(entries_name_));
  }
  if (auto violation = request_checker_.Check(content)) return violation;
  request->study_id = FindLengthDelimited(content, kBulkStudyId);
  request->site_id = FindLengthDelimited(content, kBulkSiteId);
  if (auto violation = RequireId("study_id", request->study_id)) {
    return violation;
  }
  return CheckId("site_id", request->site_id);
}

std::optional<Violation> BulkIntake::ReadEntry(
    const Request& request, std::size_t index, const Sending& sending,
    ReceivedSubmission* submission) const {
  const std::string_view entry = request.entries[index];
  const auto path = [&](const std::string& field) {
    return absl::StrCat(entries_name_, "[", index, "]",
                        field.empty() ? "" : ".", field);
  };
  const std::string_view id = EntryId(kind_, entry);
  if (auto violation = entry_checker_.Check(entry)) {
    submission->submission_id = IdIfAny(id);
    violation->field = path(violation->field);
    return violation;
  }
  const std::string id_field =
      kind_ == SubmissionKind::kAppEvent ? "event_id" : "record_id";
  if (auto violation = RequireId(path(id_field), id)) return violation;
  submission->kind = kind_;
  submission->study_id = request.study_id;
  submission->site_id = request.site_id;
  submission->submission_id = id;
  submission->content = entry;
  submission->received_at = sending.received_at;
  submission->sent_at = sending.sent_at;
  return std::nullopt;
}

LookupIntake::LookupIntake(const LimitsConfig& limits)
    : checker_(v1::GetReceiptsRequest::descriptor(), limits.nesting) {}

std::optional<Violation> LookupIntake::Read(std::string_view content,
                                            Request* request) const {
  using Proto = v1::GetReceiptsRequest;
  // Count first, as in BulkIntake::Read.
  const auto ids =
      FindRepeated(content, Proto::kSubmissionIdsFieldNumber, kMaxEntries + 1);
  if (ids.size() > kMaxEntries) return TooMany("submission_ids");
  if (auto violation = checker_.Check(content)) return violation;
  request->study_id = FindLengthDelimited(content, Proto::kStudyIdFieldNumber);
  if (auto violation = RequireId("study_id", request->study_id)) {
    return violation;
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (auto violation =
            CheckId(absl::StrCat("submission_ids[", i, "]"), ids[i])) {
      return violation;
    }
    request->submission_ids.emplace_back(ids[i]);
  }
  return std::nullopt;
}

Violation TooLarge(std::size_t bytes, const LimitsConfig& limits) {
  return {"", absl::StrCat("the request has ", bytes,
                           " bytes, more than limits.message_bytes allows (",
                           limits.message_bytes, ")")};
}

}  // namespace sluice

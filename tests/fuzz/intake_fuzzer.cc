// Requests of every method are accepted or rejected. The ids of an accepted
// request are equal to the ids that protobuf reads. No id is too long. Each id,
// and the response, occurs at most once. A rejection names a field, contains no
// value, and reports no invalid id.
//
// Input: a byte that chooses the method, then the request.

#include <initializer_list>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "forms/wire_check.h"
#include "server/calls/intake.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr LimitsConfig kLimits;

void RequireSafe(const Violation& violation) {
  Require(!violation.description.empty(), "a violation is described");
  Require(violation.field.find_first_not_of(
              "abcdefghijklmnopqrstuvwxyz0123456789_.[]") == std::string::npos,
          "a field is a path of names and numbers");
  Require(IsPrintable(violation.description),
          "a description has no control characters");
}

void RequireValidId(const std::string& id) {
  Require(id.size() <= kMaxIdBytes && IsValidUtf8(id),
          "a reported id is valid");
}

void RequireOnce(std::string_view content, std::initializer_list<int> fields) {
  for (const int field : fields) {
    Require(FindRepeated(content, field).size() <= 1, "a field is given once");
  }
}

void FuzzSubmit(std::string_view content) {
  static const SubmitIntake intake(kLimits);
  ReceivedSubmission submission;
  submission.content = content;
  const auto violation = intake.Read({}, &submission);
  if (violation) {
    RequireSafe(*violation);
    return;
  }
  RequireValidId(submission.submission_id);
  v1::SubmitRequest request;
  Require(request.ParseFromString(submission.content), "protobuf parses it");
  Require(request.submission_id() == submission.submission_id &&
              request.study_id() == submission.study_id &&
              request.site_id() == submission.site_id && request.has_response(),
          "a request has the ids that protobuf reads");
  Require(!submission.submission_id.empty() && !submission.study_id.empty(),
          "required ids are there");
  using Request = v1::SubmitRequest;
  RequireOnce(submission.content,
              {Request::kSubmissionIdFieldNumber, Request::kStudyIdFieldNumber,
               Request::kSiteIdFieldNumber, Request::kResponseFieldNumber});
}

std::string IdOf(const v1::PatientRecord& record) {
  return record.record_id().empty() ? record.patient_id() : record.record_id();
}
std::string IdOf(const v1::AppEvent& event) { return event.event_id(); }

template <typename Entry>
void FuzzBulk(const BulkIntake& intake, std::string_view content) {
  BulkIntake::Request request;
  if (const auto violation = intake.Read(content, &request)) {
    return RequireSafe(*violation);
  }
  Require(request.entries.size() <= kMaxEntries, "entries are limited");
  RequireOnce(content, {v1::ImportPatientsRequest::kStudyIdFieldNumber,
                        v1::ImportPatientsRequest::kSiteIdFieldNumber});
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    ReceivedSubmission submission;
    const auto violation = intake.ReadEntry(request, i, {}, &submission);
    RequireValidId(submission.submission_id);
    if (violation) {
      RequireSafe(*violation);
      continue;
    }
    Entry entry;
    Require(entry.ParseFromString(submission.content), "protobuf parses it");
    Require(IdOf(entry) == submission.submission_id,
            "an entry has the id that protobuf reads");
    Require(submission.content == request.entries[i] &&
                submission.study_id == request.study_id,
            "an entry has its bytes and its study");
    // Fields 1 and 2 are record_id and patient_id, or event_id and name.
    RequireOnce(request.entries[i], {1, 2});
  }
}

void FuzzLookup(std::string_view content) {
  static const LookupIntake intake(kLimits);
  LookupIntake::Request request;
  if (const auto violation = intake.Read(content, &request)) {
    return RequireSafe(*violation);
  }
  v1::GetReceiptsRequest parsed;
  Require(parsed.ParseFromString(std::string(content)), "protobuf parses it");
  Require(parsed.study_id() == request.study_id &&
              std::vector<std::string>(parsed.submission_ids().begin(),
                                       parsed.submission_ids().end()) ==
                  request.submission_ids,
          "a lookup has the ids that protobuf reads");
  RequireOnce(content, {v1::GetReceiptsRequest::kStudyIdFieldNumber});
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const BulkIntake patients(Method::kImportPatients, kLimits);
  static const BulkIntake events(Method::kRecordEvents, kLimits);
  InputReader reader(input);
  switch (reader.Below(4)) {
    case 0:
      return FuzzSubmit(reader.Rest());
    case 1:
      return FuzzBulk<v1::PatientRecord>(patients, reader.Rest());
    case 2:
      return FuzzBulk<v1::AppEvent>(events, reader.Rest());
    default:
      return FuzzLookup(reader.Rest());
  }
}

}  // namespace sluice

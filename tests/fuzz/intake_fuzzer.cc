// Requests of every method are accepted or rejected. An accepted request has
// the ids that protobuf reads, and no id is too long. A rejection names a field
// but no value, and reports no invalid id.
//
// Input: a byte that chooses the method, then the request.

#include <string>
#include <vector>

#include "base/utf8.h"
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

#include "tools/ctl/quarantine_output.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/ctl/call.h"
#include "tools/ctl/export_format.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

std::string TimeText(const google::protobuf::Timestamp& timestamp) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", ToTime(timestamp),
                          absl::UTCTimeZone());
}

std::string KindName(v1::SubmissionKind kind) {
  const std::string& name = v1::SubmissionKind_Name(kind);
  return name.empty() ? absl::StrCat(static_cast<int>(kind)) : name;
}

std::string FormatLine(absl::string_view sequence, absl::string_view pool,
                       absl::string_view study, absl::string_view id,
                       absl::string_view method, absl::string_view tries,
                       absl::string_view quarantined_at,
                       absl::string_view reason) {
  return absl::StrFormat("%10s  %-12s  %-12s  %-36s  %-14s  %5s  %-24s  %s\n",
                         sequence, pool, study, id, method, tries,
                         quarantined_at, reason);
}

Json EntryJson(const v1::QuarantinedSubmission& entry) {
  return {{"pool", entry.pool()},
          {"sequence", entry.sequence()},
          {"study_id", entry.study_id()},
          {"submission_id", entry.submission_id()},
          {"kind", KindName(entry.kind())},
          {"method", entry.method()},
          {"reason", entry.reason()},
          {"tries", entry.tries()},
          {"received_at", TimeText(entry.received_at())},
          {"quarantined_at", TimeText(entry.quarantined_at())},
          {"content_sha256", absl::BytesToHexString(entry.content_sha256())},
          {"content_bytes", entry.content_bytes()}};
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ResultLine(std::int64_t sequence, const char* name, bool json) {
  if (json) return Line({{"sequence", sequence}, {"result", name}});
  return absl::StrFormat("%10d  %s\n", sequence, name);
}

void AppendRetries(const google::protobuf::RepeatedField<std::int64_t>& of,
                   const char* name, bool json, std::string& out) {
  for (const std::int64_t sequence : of) {
    out += ResultLine(sequence, name, json);
  }
}

std::string FormatDiscarded(absl::string_view number,
                            absl::string_view sequence, absl::string_view pool,
                            absl::string_view study, absl::string_view id,
                            absl::string_view discarded_at,
                            absl::string_view by, absl::string_view reason) {
  return absl::StrFormat("%6s  %10s  %-12s  %-12s  %-36s  %-24s  %-12s  %s\n",
                         number, sequence, pool, study, id, discarded_at, by,
                         reason);
}

}  // namespace

std::string QuarantineTableHeader() {
  return FormatLine("SEQUENCE", "POOL", "STUDY", "SUBMISSION_ID", "METHOD",
                    "TRIES", "QUARANTINED_AT", "REASON");
}

std::string QuarantineTableLine(const v1::QuarantinedSubmission& entry) {
  return FormatLine(
      absl::StrCat(entry.sequence()), Printable(entry.pool()),
      Printable(entry.study_id()), Printable(entry.submission_id()),
      Printable(entry.method()), absl::StrCat(entry.tries()),
      TimeText(entry.quarantined_at()), Printable(entry.reason()));
}

std::string QuarantineJsonLine(const v1::QuarantinedSubmission& entry) {
  return Line(EntryJson(entry));
}

std::string ShownText(const v1::GetQuarantinedResponse& shown) {
  const v1::QuarantinedSubmission& entry = shown.entry();
  const std::vector<std::pair<absl::string_view, std::string>> fields = {
      {"sequence", absl::StrCat(entry.sequence())},
      {"pool", entry.pool()},
      {"study_id", entry.study_id()},
      {"site_id", shown.site_id()},
      {"submission_id", entry.submission_id()},
      {"kind", KindName(entry.kind())},
      {"method", entry.method()},
      {"reason", entry.reason()},
      {"tries", absl::StrCat(entry.tries())},
      {"received_at", TimeText(entry.received_at())},
      {"quarantined_at", TimeText(entry.quarantined_at())},
      {"sha256", absl::BytesToHexString(entry.content_sha256())},
      {"bytes", absl::StrCat(shown.content().size())}};
  std::string text;
  for (const auto& [name, value] : fields) {
    absl::StrAppendFormat(&text, "%-15s %s\n", name, Printable(value));
  }
  const auto fhir = FormatQuarantined(shown);
  if (fhir.ok()) {
    // Parse and write the text again to escape and indent it. The library
    // does not escape DEL.
    absl::StrAppend(&text, "\n",
                    absl::StrReplaceAll(Json::parse(*fhir).dump(2, ' ', true),
                                        {{"\x7F", "\\u007f"}}),
                    "\n");
  } else {
    absl::StrAppend(&text, "\nThe content is not shown: ",
                    std::string(fhir.status().message()),
                    ". --json has its bytes.\n");
  }
  return text;
}

std::string ShownJsonLine(const v1::GetQuarantinedResponse& shown) {
  Json json = EntryJson(shown.entry());
  json["site_id"] = shown.site_id();
  json["content"] = absl::Base64Escape(shown.content());
  std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto fhir = FormatQuarantined(shown);
  if (fhir.ok()) {
    // Insert the FHIR JSON as text, because the JSON library would change its
    // decimals.
    line.pop_back();
    absl::StrAppend(
        &line, ",\"fhir\":", fhir->substr(0, fhir->find_last_of('}') + 1), "}");
  }
  return line + "\n";
}

std::string RetryText(const v1::RetryQuarantinedResponse& answer, bool json) {
  std::string out;
  AppendRetries(answer.retried(), "RETRIED", json, out);
  AppendRetries(answer.unknown(), "UNKNOWN", json, out);
  AppendRetries(answer.left(), "LEFT", json, out);
  return out;
}

std::string DiscardText(std::int64_t sequence, bool json) {
  return ResultLine(sequence, "DISCARDED", json);
}

std::string DiscardedTableHeader() {
  return FormatDiscarded("NUMBER", "SEQUENCE", "POOL", "STUDY", "SUBMISSION_ID",
                         "DISCARDED_AT", "BY", "REASON");
}

std::string DiscardedTableLine(const v1::DiscardedSubmission& record) {
  const v1::QuarantinedSubmission& entry = record.entry();
  return FormatDiscarded(
      absl::StrCat(record.number()), absl::StrCat(entry.sequence()),
      Printable(entry.pool()), Printable(entry.study_id()),
      Printable(entry.submission_id()), TimeText(record.discarded_at()),
      Printable(record.by()), Printable(record.reason()));
}

std::string DiscardedJsonLine(const v1::DiscardedSubmission& record) {
  Json json = EntryJson(record.entry());
  json["discarded"] = {{"number", record.number()},
                       {"reason", record.reason()},
                       {"by", record.by()},
                       {"at", TimeText(record.discarded_at())}};
  return Line(json);
}

}  // namespace sluice

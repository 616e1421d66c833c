#include "tools/ctl/export.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sequence_series.h"
#include "grpcpp/client_context.h"

namespace sluice {
namespace {

v1::ExportRequest ToRequest(const ExportOptions& options) {
  v1::ExportRequest request;
  request.set_study_id(options.study_id);
  if (options.since.has_value()) {
    auto* since = request.mutable_received_since();
    const std::int64_t seconds = absl::ToUnixSeconds(*options.since);
    since->set_seconds(seconds);
    since->set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(
        *options.since - absl::FromUnixSeconds(seconds))));
  }
  return request;
}

// Returns the exported share of the series, 0 to 1.
double Fraction(const v1::ExportProgress& progress) {
  const std::int64_t last = PlaceInSeries(progress.last_sequence());
  if (last == 0) return 0;
  return static_cast<double>(PlaceInSeries(progress.sequence())) /
         static_cast<double>(last);
}

void AddGap(const v1::SequenceGap& gap, ExportReport& report) {
  report.gaps[gap.reason()] += gap.last() - gap.first() + 1;
  if (gap.reason() != v1::SequenceGap::UNACCOUNTED) return;
  ++report.unaccounted_ranges;
  if (report.unaccounted.size() < ExportReport::kListedMax) {
    report.unaccounted.push_back(gap);
  }
}

// Writes a submission. Returns false to end the export.
bool AddSubmission(const v1::ExportedSubmission& submission,
                   ExportFormat format, const ExportSinks& sinks,
                   ExportReport& report) {
  if (submission.kind() != v1::QUESTIONNAIRE_RESPONSE) {
    ++report.left_out[submission.kind()];
    return true;
  }
  const auto lines = FormatSubmission(format, submission);
  if (!lines.ok()) {
    ++report.damaged_count;
    if (report.damaged.size() < ExportReport::kListedMax) {
      report.damaged.push_back(submission.sequence());
    }
    return true;
  }
  ++report.written;
  return sinks.write(*lines);
}

// Returns the number of unlisted entries, e.g. ", and 3 more".
std::string AndMore(std::int64_t count, std::size_t listed) {
  const auto more = count - static_cast<std::int64_t>(listed);
  return more > 0 ? absl::StrCat(", and ", more, " more") : "";
}

// Returns the number of an enumeration value that this client does not know.
template <typename Enum>
std::string NameOf(const std::string& name, Enum value) {
  return name.empty() ? absl::StrCat(static_cast<int>(value)) : name;
}

std::string DescribeGaps(const ExportReport& report) {
  std::vector<std::string> counts;
  for (const auto& [reason, count] : report.gaps) {
    counts.push_back(absl::StrCat(
        NameOf(v1::SequenceGap::Reason_Name(reason), reason), " ", count));
  }
  return absl::StrCat("note: numbers that are not stored: ",
                      absl::StrJoin(counts, ", "));
}

std::string DescribeUnaccounted(const ExportReport& report) {
  std::vector<std::string> ranges;
  for (const v1::SequenceGap& gap : report.unaccounted) {
    ranges.push_back(RangeText(gap.first(), gap.last()));
  }
  return absl::StrCat(
      "note: UNACCOUNTED: ", absl::StrJoin(ranges, ", "),
      AndMore(report.unaccounted_ranges, report.unaccounted.size()));
}

}  // namespace

ExportReport ExportStored(v1::Admin::StubInterface& admin,
                          const ExportOptions& options,
                          const ExportSinks& sinks) {
  ExportReport report;
  grpc::ClientContext context;
  const auto reader = admin.Export(&context, ToRequest(options));
  bool wanted = sinks.write(ExportHeader(options.format));
  v1::ExportResponse response;
  while (wanted && reader->Read(&response)) {
    if (response.has_gap()) AddGap(response.gap(), report);
    if (response.has_progress()) {
      sinks.progress(Fraction(response.progress()), report.written);
    }
    if (response.has_submission()) {
      wanted =
          AddSubmission(response.submission(), options.format, sinks, report);
    }
  }
  if (!wanted) context.TryCancel();
  report.status = reader->Finish();
  if (!wanted) report.status = grpc::Status::CANCELLED;
  return report;
}

std::vector<std::string> Describe(const ExportReport& report) {
  std::vector<std::string> lines;
  for (const auto& [kind, count] : report.left_out) {
    lines.push_back(
        absl::StrCat("note: left out, since the format is for "
                     "questionnaire responses: ",
                     count, " ", NameOf(v1::SubmissionKind_Name(kind), kind)));
  }
  if (!report.gaps.empty()) lines.push_back(DescribeGaps(report));
  if (!report.unaccounted.empty()) lines.push_back(DescribeUnaccounted(report));
  if (report.damaged_count > 0) {
    lines.push_back(
        absl::StrCat("error: not written, since their content is damaged: ",
                     absl::StrJoin(report.damaged, ", "),
                     AndMore(report.damaged_count, report.damaged.size())));
  }
  return lines;
}

std::string RangeText(std::int64_t first, std::int64_t last) {
  return first == last ? absl::StrCat(first) : absl::StrCat(first, "-", last);
}

absl::StatusOr<absl::Time> ParseSince(const std::string& text) {
  absl::Time time;
  // Check the beginning: Abseil would also parse "infinite-past".
  const bool begins_well =
      !text.empty() &&
      absl::ascii_isdigit(static_cast<unsigned char>(text.front()));
  if (begins_well &&
      (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr) ||
       absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time,
                       nullptr))) {
    return time;
  }
  return absl::InvalidArgumentError(
      "--since must be a day, 2026-03-01, or an instant, "
      "2026-03-01T20:15:00+01:00");
}

}  // namespace sluice

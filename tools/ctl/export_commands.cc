#include "tools/ctl/export_commands.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/progress_bar.h"
#include "tools/ctl/export.h"
#include "tools/ctl/flags.h"
#include "tools/ctl/output_file.h"
#include "tools/ctl/quarantine.h"
#include "tools/ctl/quarantine_commands.h"

namespace sluice {
namespace {

int Failed(const std::string& what) {
  std::cerr << "error: " << what << "\n";
  return EXIT_FAILURE;
}

int OutputFailed(const absl::Status& status) {
  return Failed(absl::StrCat(Printable(absl::GetFlag(FLAGS_output)), ": ",
                             std::string(status.message())));
}

// Commits the output if the export was complete.
int Finish(const grpc::Status& status, OutputFile& output) {
  // If the output failed, the call was ended for that reason.
  if (status.error_code() != grpc::StatusCode::OK &&
      status.error_code() != grpc::StatusCode::CANCELLED) {
    return Failed(ErrorText(DescribeError(status)));
  }
  const absl::Status committed =
      status.ok() ? output.Commit() : output.status();
  if (!committed.ok()) return OutputFailed(committed);
  return status.ok() ? EXIT_SUCCESS : Failed(ErrorText(DescribeError(status)));
}

absl::StatusOr<ExportOptions> ReadExportOptions() {
  ExportOptions options;
  const auto format = ParseExportFormat(absl::GetFlag(FLAGS_format));
  if (!format.ok()) return format.status();
  options.format = *format;
  options.study_id = absl::GetFlag(FLAGS_study);
  if (const std::string since = absl::GetFlag(FLAGS_since); !since.empty()) {
    const auto time = ParseSince(since);
    if (!time.ok()) return time.status();
    options.since = *time;
  }
  return options;
}

// Writes the content of one entry in quarantine: FHIR JSON if the content can
// be read, otherwise the raw bytes.
absl::StatusOr<int> ExportOneQuarantined(const std::string& text) {
  const auto sequence = ParseSequence(text);
  if (!sequence.ok()) return sequence.status();
  v1::GetQuarantinedRequest request;
  request.set_pool(absl::GetFlag(FLAGS_pool));
  request.set_sequence(*sequence);
  auto output = OutputFile::Create(absl::GetFlag(FLAGS_output));
  if (!output.ok()) return OutputFailed(output.status());
  v1::GetQuarantinedResponse response;
  const grpc::Status status =
      GetQuarantined(*ConnectToAdmin(), request, ReadCallOptions(), &response);
  if (status.ok()) {
    const auto fhir = FormatQuarantined(response);
    output->Write(fhir.ok() ? *fhir : response.content());
    if (!fhir.ok()) {
      std::cerr << "note: the raw bytes are written: "
                << fhir.status().message() << "\n";
    }
  }
  return Finish(status, *output);
}

// A progress bar on a terminal would mix with the lines of the export.
bool ShowsProgress() {
  return !absl::GetFlag(FLAGS_output).empty() || isatty(STDOUT_FILENO) == 0;
}

}  // namespace

absl::StatusOr<int> RunExport(const std::vector<std::string>& none) {
  if (absl::Status s = NoArguments(none); !s.ok()) return s;
  const auto options = ReadExportOptions();
  if (!options.ok()) return options.status();
  auto output = OutputFile::Create(absl::GetFlag(FLAGS_output));
  if (!output.ok()) return OutputFailed(output.status());

  ProgressBar bar(STDERR_FILENO);
  const bool shows_progress = ShowsProgress();
  const auto write = [&](absl::string_view lines) {
    return output->Write(lines);
  };
  const auto progress = [&](double fraction, std::int64_t written) {
    if (shows_progress) bar.Show(fraction, absl::StrCat(written, " responses"));
  };
  const ExportReport report = ExportStored(
      *ConnectToAdmin(), *options, {.write = write, .progress = progress});
  bar.Clear();
  const int code = Finish(report.status, *output);
  if (code != EXIT_SUCCESS) return code;
  for (const std::string& line : Describe(report)) std::cerr << line << "\n";
  const bool strict = absl::GetFlag(FLAGS_strict);
  const bool whole =
      report.damaged_count == 0 &&
      (!strict || (report.unaccounted_ranges == 0 &&
                   !report.gaps.contains(v1::SequenceGap::QUARANTINED)));
  return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

absl::StatusOr<int> RunQuarantineExport(const std::vector<std::string>& one) {
  if (absl::GetFlag(FLAGS_format) != "ndjson") {
    return absl::InvalidArgumentError("--format must be ndjson");
  }
  if (one.size() == 1) return ExportOneQuarantined(one.front());
  if (absl::Status s = NoArguments(one); !s.ok()) return s;
  auto output = OutputFile::Create(absl::GetFlag(FLAGS_output));
  if (!output.ok()) return OutputFailed(output.status());
  const QuarantineReport report = ExportQuarantine(
      *ConnectToAdmin(), absl::GetFlag(FLAGS_pool), ReadCallOptions(),
      [&](absl::string_view line) { return output->Write(line); });
  const int code = Finish(report.status, *output);
  if (code != EXIT_SUCCESS) return code;
  if (report.left_out > 0) {
    std::cerr << "note: left out, since the format is for questionnaire "
                 "responses: "
              << report.left_out << "\n";
  }
  if (report.damaged.empty()) return EXIT_SUCCESS;
  return Failed(absl::StrCat(
      "not written, since their content cannot be read: ",
      absl::StrJoin(report.damaged, ", "), " (see quarantine show --json)"));
}

}  // namespace sluice

#include "tools/ctl/submission_commands.h"

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/progress_bar.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/flags.h"
#include "tools/ctl/receipt_output.h"

namespace sluice {
namespace {

absl::Status CheckUsage(const std::vector<std::string>& arguments,
                        const char* what) {
  if (arguments.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("at least one ", what, " is required"));
  }
  if (absl::GetFlag(FLAGS_study).empty()) {
    return absl::InvalidArgumentError("--study is required");
  }
  return absl::OkStatus();
}

ReceiptOutput MakeOutput(const std::vector<std::string>& files) {
  return ReceiptOutput(absl::GetFlag(FLAGS_json)
                           ? ReceiptOutput::Format::kJsonLines
                           : ReceiptOutput::Format::kTable,
                       files, std::cout, std::cerr);
}

}  // namespace

absl::StatusOr<int> RunSubmit(const std::vector<std::string>& files) {
  if (absl::Status s = CheckUsage(files, "FILE"); !s.ok()) return s;
  const SubmitOptions options = {.study_id = absl::GetFlag(FLAGS_study),
                                 .site_id = absl::GetFlag(FLAGS_site),
                                 .call = ReadCallOptions()};
  const auto ingestion = ConnectToIngestion();
  ReceiptOutput output = MakeOutput(files);
  ProgressBar progress(STDERR_FILENO);
  bool all_taken = true;
  for (std::size_t i = 0; i < files.size(); ++i) {
    progress.Show(static_cast<double>(i) / static_cast<double>(files.size()),
                  absl::StrCat(i, " of ", files.size(), " files"));
    const ReceiptRow row = SubmitFile(*ingestion, files[i], options);
    progress.Clear();
    output.Add(row);
    all_taken &= Taken(row);
  }
  return all_taken ? EXIT_SUCCESS : EXIT_FAILURE;
}

absl::StatusOr<int> RunReceipts(
    const std::vector<std::string>& submission_ids) {
  if (absl::Status s = CheckUsage(submission_ids, "SUBMISSION_ID"); !s.ok()) {
    return s;
  }
  const auto ingestion = ConnectToIngestion();
  ReceiptOutput output = MakeOutput({});
  bool all_taken = true;
  FetchReceipts(*ingestion, absl::GetFlag(FLAGS_study), submission_ids,
                ReadCallOptions(), [&](const ReceiptRow& row) {
                  output.Add(row);
                  all_taken &= Taken(row);
                });
  return all_taken ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace sluice

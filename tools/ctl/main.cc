// sluicectl: sends responses to a Sluice server, and asks for receipts.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/receipt_output.h"
#include "tools/flags.h"
#include "tools/progress_bar.h"

ABSL_FLAG(std::string, target, "127.0.0.1:50051", "host:port of the server");
ABSL_FLAG(std::string, study, "", "study_id; required");
ABSL_FLAG(std::string, site, "", "site_id of what is submitted");
ABSL_FLAG(bool, json, false, "a JSON object per line instead of a table");
ABSL_FLAG(int, retries, 5,
          "how often to try again after a refusal, each time after the delay "
          "that the server tells");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(30), "of each attempt");

namespace sluice {
namespace {

constexpr absl::string_view kUsage =
    "usage: sluicectl submit --study=ID [flags] FILE...\n"
    "       sluicectl receipts --study=ID [flags] SUBMISSION_ID...\n"
    "\n"
    "submit sends files of FHIR R4 QuestionnaireResponse JSON. A response "
    "sent\n"
    "again has the same submission_id: the resource's id if it is a UUID, "
    "else\n"
    "one that follows from study and id, or from study and content.\n"
    "receipts asks what became of submissions.\n"
    "\n";

constexpr absl::string_view kExits =
    "\n"
    "exit codes: 0 all are STORED, QUEUED or DUPLICATE; 1 some are not; 2 bad\n"
    "usage\n";

enum class Command { kSubmit, kReceipts };

struct Invocation {
  Command command;
  std::vector<std::string> arguments;  // files or ids
};

absl::StatusOr<Invocation> ReadInvocation(const CommandLine& line) {
  if (line.positional.empty()) {
    return absl::InvalidArgumentError("no command: submit or receipts");
  }
  Invocation invocation;
  const std::string& name = line.positional.front();
  if (name == "submit") {
    invocation.command = Command::kSubmit;
  } else if (name == "receipts") {
    invocation.command = Command::kReceipts;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown command ", name, ": submit or receipts"));
  }
  invocation.arguments.assign(line.positional.begin() + 1,
                              line.positional.end());
  if (invocation.arguments.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, " needs at least one ",
        invocation.command == Command::kSubmit ? "FILE" : "SUBMISSION_ID"));
  }
  if (absl::GetFlag(FLAGS_study).empty()) {
    return absl::InvalidArgumentError("--study is required");
  }
  if (absl::GetFlag(FLAGS_retries) < 0) {
    return absl::InvalidArgumentError("--retries must not be negative");
  }
  if (absl::GetFlag(FLAGS_timeout) <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--timeout must be positive");
  }
  return invocation;
}

CallOptions ReadCallOptions() {
  CallOptions options;
  options.retries = absl::GetFlag(FLAGS_retries);
  options.timeout = std::min(absl::GetFlag(FLAGS_timeout), absl::Hours(24));
  return options;
}

std::unique_ptr<v1::Ingestion::Stub> Connect() {
  constexpr int kAnswerBytesMax = 64 << 20;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kAnswerBytesMax);
  return v1::Ingestion::NewStub(
      grpc::CreateCustomChannel(absl::GetFlag(FLAGS_target),
                                grpc::InsecureChannelCredentials(), arguments));
}

ReceiptOutput MakeOutput(const std::vector<std::string>& files) {
  return ReceiptOutput(absl::GetFlag(FLAGS_json)
                           ? ReceiptOutput::Format::kJsonLines
                           : ReceiptOutput::Format::kTable,
                       files, std::cout, std::cerr);
}

bool Submit(const std::vector<std::string>& files) {
  const SubmitOptions options = {.study_id = absl::GetFlag(FLAGS_study),
                                 .site_id = absl::GetFlag(FLAGS_site),
                                 .call = ReadCallOptions()};
  const auto ingestion = Connect();
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
  return all_taken;
}

bool Receipts(const std::vector<std::string>& submission_ids) {
  const auto ingestion = Connect();
  ReceiptOutput output = MakeOutput({});
  bool all_taken = true;
  FetchReceipts(*ingestion, absl::GetFlag(FLAGS_study), submission_ids,
                ReadCallOptions(), [&](const ReceiptRow& row) {
                  output.Add(row);
                  all_taken &= Taken(row);
                });
  return all_taken;
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << kUsage << DescribeFlags("tools/ctl/main.cc") << kExits;
    return EXIT_SUCCESS;
  }
  const auto invocation = line.ok() ? ReadInvocation(*line) : line.status();
  if (!invocation.ok()) {
    std::cerr << "sluicectl: " << invocation.status().message()
              << " (see --help)\n";
    return kExitUsage;
  }
  const bool all_taken = invocation->command == Command::kSubmit
                             ? Submit(invocation->arguments)
                             : Receipts(invocation->arguments);
  return all_taken ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

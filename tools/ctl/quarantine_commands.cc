#include "tools/ctl/quarantine_commands.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/ctl/flags.h"
#include "tools/ctl/quarantine.h"
#include "tools/ctl/quarantine_output.h"

namespace sluice {
namespace {

int Failed(const grpc::Status& status) {
  std::cerr << "error: " << ErrorText(DescribeError(status)) << "\n";
  return EXIT_FAILURE;
}

// Returns the name that is recorded for this operator. With sudo this is the
// user who called sudo.
std::string OperatorName() {
  if (const std::string by = absl::GetFlag(FLAGS_by); !by.empty()) return by;
  if (const char* sudo = std::getenv("SUDO_USER")) return sudo;
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? absl::StrCat("uid ", getuid()) : user->pw_name;
}

}  // namespace

absl::StatusOr<std::int64_t> ParseSequence(const std::string& text) {
  std::int64_t sequence = 0;
  if (absl::SimpleAtoi(text, &sequence) && sequence > 0) return sequence;
  return absl::InvalidArgumentError("a SEQUENCE must be a positive number");
}

absl::StatusOr<int> RunQuarantineList(const std::vector<std::string>& none) {
  if (absl::Status s = NoArguments(none); !s.ok()) return s;
  const bool json = absl::GetFlag(FLAGS_json);
  if (!json) std::cout << QuarantineTableHeader();
  const grpc::Status status = ListQuarantine(
      *ConnectToAdmin(), absl::GetFlag(FLAGS_pool), ReadCallOptions(),
      [json](const v1::QuarantinedSubmission& entry) {
        std::cout << (json ? QuarantineJsonLine(entry)
                           : QuarantineTableLine(entry));
        return true;
      });
  return status.ok() ? EXIT_SUCCESS : Failed(status);
}

absl::StatusOr<int> RunQuarantineShow(const std::vector<std::string>& one) {
  if (one.size() != 1) {
    return absl::InvalidArgumentError(
        "one SEQUENCE, or --study and one SUBMISSION_ID, is expected");
  }
  v1::GetQuarantinedRequest request;
  request.set_pool(absl::GetFlag(FLAGS_pool));
  if (const std::string study = absl::GetFlag(FLAGS_study); !study.empty()) {
    request.set_study_id(study);
    request.set_submission_id(one.front());
  } else {
    const auto sequence = ParseSequence(one.front());
    if (!sequence.ok()) return sequence.status();
    request.set_sequence(*sequence);
  }
  const auto admin = ConnectToAdmin();
  v1::GetQuarantinedResponse response;
  const grpc::Status status =
      GetQuarantined(*admin, request, ReadCallOptions(), &response);
  if (!status.ok()) return Failed(status);
  std::cout << (absl::GetFlag(FLAGS_json) ? ShownJsonLine(response)
                                          : ShownText(response));
  return EXIT_SUCCESS;
}

absl::StatusOr<int> RunQuarantineRetry(
    const std::vector<std::string>& sequences) {
  if (sequences.empty() != absl::GetFlag(FLAGS_all)) {
    return absl::InvalidArgumentError("either SEQUENCE... or --all");
  }
  std::vector<std::int64_t> numbers;
  for (const std::string& text : sequences) {
    const auto sequence = ParseSequence(text);
    if (!sequence.ok()) return sequence.status();
    numbers.push_back(*sequence);
  }
  v1::RetryQuarantinedResponse answer;
  const grpc::Status status =
      RetryQuarantined(*ConnectToAdmin(), absl::GetFlag(FLAGS_pool), numbers,
                       ReadCallOptions(), &answer);
  std::cout << RetryText(answer, absl::GetFlag(FLAGS_json));
  if (!answer.left().empty()) {
    std::cerr << "note: left in quarantine: " << Printable(answer.left_reason())
              << "\n";
  }
  if (!status.ok()) return Failed(status);
  return answer.unknown().empty() && answer.left().empty() ? EXIT_SUCCESS
                                                           : EXIT_FAILURE;
}

absl::StatusOr<int> RunQuarantineDiscard(const std::vector<std::string>& one) {
  if (one.size() != 1) {
    return absl::InvalidArgumentError("one SEQUENCE is expected");
  }
  const auto sequence = ParseSequence(one.front());
  if (!sequence.ok()) return sequence.status();
  v1::DiscardQuarantinedRequest request;
  request.set_pool(absl::GetFlag(FLAGS_pool));
  request.set_sequence(*sequence);
  request.set_reason(absl::GetFlag(FLAGS_reason));
  request.set_by(OperatorName());
  if (request.reason().empty()) {
    return absl::InvalidArgumentError("--reason must not be empty");
  }
  const grpc::Status status =
      DiscardQuarantined(*ConnectToAdmin(), request, ReadCallOptions());
  if (!status.ok()) return Failed(status);
  std::cout << DiscardText(*sequence, absl::GetFlag(FLAGS_json));
  return EXIT_SUCCESS;
}

absl::StatusOr<int> RunQuarantineDiscarded(
    const std::vector<std::string>& none) {
  if (absl::Status s = NoArguments(none); !s.ok()) return s;
  const bool json = absl::GetFlag(FLAGS_json);
  if (!json) std::cout << DiscardedTableHeader();
  const grpc::Status status =
      ListDiscarded(*ConnectToAdmin(), absl::GetFlag(FLAGS_pool),
                    ReadCallOptions(), [json](const auto& record) {
                      std::cout << (json ? DiscardedJsonLine(record)
                                         : DiscardedTableLine(record));
                    });
  return status.ok() ? EXIT_SUCCESS : Failed(status);
}

}  // namespace sluice

// sluicectl: sends responses to a Sluice server, asks for receipts, looks into
// the quarantine, and exports what is stored.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tools/ctl/export_commands.h"
#include "tools/ctl/flags.h"
#include "tools/ctl/quarantine_commands.h"
#include "tools/ctl/submission_commands.h"
#include "tools/flags.h"

namespace sluice {
namespace {

struct Command {
  const char* name;  // one word, or two
  const char* arguments;
  absl::StatusOr<int> (*run)(const std::vector<std::string>& arguments);
};

constexpr std::array<Command, 7> kCommands = {{
    {"submit", "--study=ID FILE...", RunSubmit},
    {"receipts", "--study=ID SUBMISSION_ID...", RunReceipts},
    {"quarantine list", "[--pool=NAME]", RunQuarantineList},
    {"quarantine show", "SEQUENCE | --study=ID SUBMISSION_ID",
     RunQuarantineShow},
    {"quarantine retry", "SEQUENCE... | --all", RunQuarantineRetry},
    {"quarantine export", "[--output=FILE]", RunQuarantineExport},
    {"export", "[--format=csv] [--since=TIME] [--study=ID] [--output=FILE]",
     RunExport},
}};

constexpr char kMeaning[] =
    "\n"
    "submit sends files of FHIR R4 QuestionnaireResponse JSON. A response "
    "sent\n"
    "again has the same submission_id: the resource's id if it is a UUID, "
    "else\n"
    "one that follows from study and id, or from study and content.\n"
    "receipts asks what became of submissions.\n"
    "quarantine lists, shows, retries or exports what the store would not "
    "take.\n"
    "export writes the questionnaire responses that are stored: a FHIR "
    "resource\n"
    "a line (ndjson), or an answer a row (csv). Which numbers are not stored, "
    "and\n"
    "why, is said on standard error.\n"
    "\n";

constexpr char kExits[] =
    "\n"
    "exit codes: 0 all is well: submit, receipts: all are STORED, QUEUED or\n"
    "DUPLICATE; retry: all are RETRIED; export: all is written; 1 it is not, "
    "or\n"
    "with --strict numbers are UNACCOUNTED for; 2 bad usage\n";

std::string Usage() {
  std::string usage;
  for (const Command& command : kCommands) {
    absl::StrAppend(&usage, usage.empty() ? "usage: " : "       ", "sluicectl ",
                    command.name, " ", command.arguments, "\n");
  }
  return usage;
}

std::string Names() {
  return absl::StrJoin(kCommands, ", ",
                       [](std::string* out, const Command& command) {
                         absl::StrAppend(out, command.name);
                       });
}

// The command that the first words name, and how many they are.
struct Named {
  const Command* command = nullptr;
  std::size_t words = 0;
};
absl::StatusOr<Named> FindCommand(const std::vector<std::string>& words) {
  for (const Command& command : kCommands) {
    const std::vector<std::string> name = absl::StrSplit(command.name, ' ');
    if (words.size() >= name.size() &&
        std::equal(name.begin(), name.end(), words.begin())) {
      return Named{&command, name.size()};
    }
  }
  if (words.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no command: ", Names()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown command ", words.front(), ": ", Names()));
}

absl::StatusOr<int> Run(const CommandLine& line) {
  const auto named = FindCommand(line.positional);
  if (!named.ok()) return named.status();
  if (absl::Status s = CheckFlags(); !s.ok()) return s;
  return named->command->run(
      {line.positional.begin() + static_cast<std::ptrdiff_t>(named->words),
       line.positional.end()});
}

int Main(int argc, const char* const* argv) {
  const auto line = ParseCommandLine(argc, argv);
  if (line.ok() && line->help) {
    std::cout << Usage() << kMeaning << DescribeFlags(kFlagsFile) << kExits;
    return EXIT_SUCCESS;
  }
  const absl::StatusOr<int> code = line.ok() ? Run(*line) : line.status();
  if (code.ok()) return *code;
  std::cerr << "sluicectl: " << code.status().message() << " (see --help)\n";
  return kExitUsage;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) { return sluice::Main(argc, argv); }

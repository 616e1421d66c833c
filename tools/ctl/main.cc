// sluicectl: sends responses to a Sluice server, asks for receipts, manages the
// quarantine, exports stored responses, and makes backups.

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
#include "base/process.h"
#include "tools/ctl/backup_commands.h"
#include "tools/ctl/export_commands.h"
#include "tools/ctl/flags.h"
#include "tools/ctl/quarantine_commands.h"
#include "tools/ctl/submission_commands.h"
#include "tools/flags.h"

namespace sluice {
namespace {

struct Command {
  const char* name;  // name of one or two words
  const char* arguments;
  absl::StatusOr<int> (*run)(const std::vector<std::string>& arguments);
};

constexpr std::array<Command, 10> kCommands = {{
    {"submit", "--study=ID FILE...", RunSubmit},
    {"receipts", "--study=ID SUBMISSION_ID...", RunReceipts},
    {"quarantine list", "[--pool=NAME]", RunQuarantineList},
    {"quarantine show", "SEQUENCE | --study=ID SUBMISSION_ID",
     RunQuarantineShow},
    {"quarantine retry", "SEQUENCE... | --all", RunQuarantineRetry},
    {"quarantine discard", "SEQUENCE --reason=TEXT [--by=NAME]",
     RunQuarantineDiscard},
    {"quarantine discarded", "[--pool=NAME]", RunQuarantineDiscarded},
    {"quarantine export", "[SEQUENCE] [--output=FILE]", RunQuarantineExport},
    {"export", "[--format=csv] [--since=TIME] [--study=ID] [--output=FILE]",
     RunExport},
    {"backup", "NAME", RunBackup},
}};

constexpr char kMeaning[] =
    "\n"
    "submit sends files of FHIR R4 QuestionnaireResponse JSON. A file sent "
    "again\n"
    "has the same submission_id, so that it is stored once: the resource's id "
    "if\n"
    "that is a UUID, otherwise an id derived from study and resource id, or "
    "from\n"
    "study and content.\n"
    "receipts asks for the receipts of submissions.\n"
    "quarantine lists, shows, retries, discards or exports submissions that "
    "could\n"
    "not be processed. discarded lists what was discarded, when, why and by "
    "whom.\n"
    "export SEQUENCE writes one submission: FHIR JSON, or else its raw bytes.\n"
    "export writes the stored questionnaire responses: one FHIR resource a "
    "line\n"
    "(ndjson), or one answer a row (csv). It reports on standard error which\n"
    "sequence numbers have no stored submission, and why.\n"
    "backup copies journals and store of the running server to the directory "
    "NAME\n"
    "below the server's backup.directory.\n"
    "\n";

constexpr char kExits[] =
    "\n"
    "exit codes: 0 success: submit, receipts: all are STORED, QUEUED or\n"
    "DUPLICATE; retry: all are RETRIED; export: everything was written;\n"
    "1 failure, or with --strict a sequence number is UNACCOUNTED or "
    "QUARANTINED;\n"
    "2 bad usage\n";

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

// A command and the number of words in its name.
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
    return absl::InvalidArgumentError(
        absl::StrCat("missing command, one of: ", Names()));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown command ", words.front(), ", not one of: ", Names()));
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

int main(int argc, char** argv) {
  sluice::OpenStandardDescriptors();
  return sluice::Main(argc, argv);
}

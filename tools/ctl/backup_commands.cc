#include "tools/ctl/backup_commands.h"

#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tools/ctl/call.h"
#include "tools/ctl/flags.h"

namespace sluice {

std::string BackupText(const v1::BackupResponse& response) {
  std::string text = absl::StrCat(Printable(response.directory()), "\n");
  for (const v1::BackupFile& file : response.files()) {
    absl::StrAppend(
        &text, "  ", Printable(file.name()), "  ", file.bytes(), " bytes",
        file.key().empty() ? "" : absl::StrCat("  of ", Printable(file.key())),
        "\n");
  }
  return text;
}

std::string BackupJsonLine(const v1::BackupResponse& response) {
  auto files = nlohmann::ordered_json::array();
  for (const v1::BackupFile& file : response.files()) {
    files.push_back(
        {{"name", file.name()}, {"key", file.key()}, {"bytes", file.bytes()}});
  }
  const nlohmann::ordered_json json = {{"directory", response.directory()},
                                       {"has_store", response.has_store()},
                                       {"files", std::move(files)}};
  return json.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

absl::StatusOr<int> RunBackup(const std::vector<std::string>& one) {
  if (one.size() != 1) {
    return absl::InvalidArgumentError("one NAME is expected");
  }
  v1::BackupRequest request;
  request.set_name(one.front());
  v1::BackupResponse response;
  // Without a deadline: a large store takes long. Keepalive ends the call if
  // the server disappears.
  grpc::ClientContext context;
  const grpc::Status status =
      ConnectToAdmin()->Backup(&context, request, &response);
  if (!status.ok()) {
    std::cerr << "error: " << ErrorText(DescribeError(status)) << "\n";
    return EXIT_FAILURE;
  }
  std::cout << (absl::GetFlag(FLAGS_json) ? BackupJsonLine(response)
                                          : BackupText(response));
  if (!response.has_store()) {
    std::cerr << "note: the store is not a local file, so the backup has the "
                 "journals only; back up the database now, with its own "
                 "tools\n";
  }
  return EXIT_SUCCESS;
}

}  // namespace sluice

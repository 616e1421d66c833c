#include "tests/crash/power_cut.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/crash/undo_record.h"

namespace sluice {
namespace {

struct Undo {
  UndoRecord record;
  absl::string_view bytes;
};

// Reads the records of an undo log. Skips a truncated record: the process died
// while it wrote the record, before the write to the file began.
std::vector<Undo> ReadRecords(absl::string_view log) {
  std::vector<Undo> undos;
  while (log.size() >= sizeof(UndoRecord)) {
    Undo undo;
    std::memcpy(&undo.record, log.data(), sizeof undo.record);
    log.remove_prefix(sizeof undo.record);
    if (undo.record.length > log.size()) break;
    undo.bytes = log.substr(0, undo.record.length);
    log.remove_prefix(undo.bytes.size());
    undos.push_back(undo);
  }
  return undos;
}

absl::Status Failed(absl::string_view doing, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat(doing, " ", path, ": ", std::strerror(errno)));
}

// Undoes all writes except the first `kept`, in reverse order.
absl::Status RollBack(const std::string& path, const std::vector<Undo>& undos,
                      std::size_t kept) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT)
    return absl::OkStatus();  // the file was removed
  if (file < 0) return Failed("cannot open", path);
  const absl::Cleanup close_file = [file] { close(file); };
  for (std::size_t i = undos.size(); i > kept; --i) {
    const auto& [record, bytes] = undos[i - 1];
    const ssize_t written = pwrite(file, bytes.data(), bytes.size(),
                                   static_cast<off_t>(record.offset));
    if (written != static_cast<ssize_t>(bytes.size()) ||
        ftruncate(file, static_cast<off_t>(record.size_before)) != 0) {
      return Failed("cannot take back what was written to", path);
    }
  }
  return absl::OkStatus();
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::filesystem::path> FilesIn(const std::string& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory, error)) {
    files.push_back(entry.path());
  }
  return files;
}

}  // namespace

absl::StatusOr<PowerCut> CutPower(
    const std::string& data_dir, const std::string& undo_dir,
    absl::FunctionRef<std::size_t(std::size_t writes)> kept) {
  PowerCut cut;
  for (const auto& log_path : FilesIn(undo_dir)) {
    const std::string log = ReadFile(log_path);
    const std::vector<Undo> undos = ReadRecords(log);
    const std::size_t first = kept(undos.size());
    const absl::Status status =
        RollBack(absl::StrCat(data_dir, "/", log_path.filename().string()),
                 undos, first);
    if (!status.ok()) return status;
    cut.writes += undos.size();
    cut.undone += undos.size() - first;
    std::filesystem::remove(log_path);
  }
  for (const auto& path : FilesIn(data_dir)) {
    if (absl::EndsWith(path.string(), "-shm")) std::filesystem::remove(path);
  }
  return cut;
}

}  // namespace sluice

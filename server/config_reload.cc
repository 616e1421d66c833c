#include "server/config_reload.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/time/clock.h"
#include "base/check.h"
#include "base/log.h"
#include "config/config_diff.h"
#include "config/yaml_tree.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

bool IsFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

// True if the path may be polled. This includes a file that does not exist,
// which may be about to be replaced.
bool CanBeWatched(const std::string& path) {
  std::error_code error;
  return IsFile(path) || !std::filesystem::exists(path, error);
}

}  // namespace

ConfigText ReadConfigText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  // Read one byte more than is allowed, so that the parser reports a text that
  // is too long.
  std::string text(kYamlBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return std::nullopt;
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::optional<FileStamp> FileStamp::Of(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return std::nullopt;
  }
  return FileStamp{.device = found.st_dev,
                   .inode = found.st_ino,
                   .size = found.st_size,
                   .modified = absl::TimeFromTimespec(found.st_mtim)};
}

bool ConfigWatch::Look(const ConfigText& text) {
  if (text != seen_) {
    seen_ = text;
    return false;
  }
  return text != loaded_;
}

void ConfigWatch::Loaded(ConfigText text) {
  loaded_ = std::move(text);
  seen_ = loaded_;
}

ConfigReload::ConfigReload(std::string path, std::string loaded,
                           IngestionServer* server)
    : path_(std::move(path)),
      server_(server),
      watched_(CanBeWatched(path_)),
      watch_(loaded) {
  ConfigErrors errors;
  config_ = ParseConfig(loaded, &errors);
}

// Opens regular files only: opening a pipe without a writer would block for
// ever.
ConfigText ConfigReload::Read() const {
  return IsFile(path_) ? ReadConfigText(path_) : std::nullopt;
}

void ConfigReload::Reload() {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  Load(Read());
}

void ConfigReload::Look() {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  if (!watched_) return;
  const ConfigText& text = ReadIfChanged();
  if (watch_.Look(text)) Load(text);
}

const ConfigText& ConfigReload::ReadIfChanged() {
  const std::optional<FileStamp> stamp = FileStamp::Of(path_);
  if (stamp.has_value() && stamp == read_stamp_) return read_;
  read_ = Read();
  // Do not keep the stamp of a file that cannot be read: the file may become
  // readable without a new stamp.
  const bool reliable =
      read_.has_value() && stamp.has_value() && stamp->SettledAt(absl::Now());
  read_stamp_ = reliable ? stamp : std::nullopt;
  return read_;
}

void ConfigReload::Load(const ConfigText& text) {
  watch_.Loaded(text);
  ConfigErrors errors;
  Config config;
  if (text.has_value()) {
    config = ParseConfig(*text, &errors);
  } else {
    errors.push_back({.message = "cannot be read"});
  }
  for (const ConfigError& error : errors) {
    spdlog::error("reload: {}", error.ToString(path_));
  }
  if (errors.empty()) return Apply(config);
  server_->CountFailedReload();
  spdlog::error(
      "reload failed: errors={}; the running configuration is "
      "unchanged",
      errors.size());
}

void ConfigReload::Apply(const Config& config) {
  const auto needs_restart = server_->Apply(config);
  if (!needs_restart.ok()) {
    spdlog::warn("reload failed: {}",
                 std::string(needs_restart.status().message()));
    return;
  }
  for (const ConfigDifference& change : CompareConfigs(config_, config)) {
    spdlog::info("reload: changed key={} from={} to={}", change.key,
                 change.before, change.after);
  }
  config_ = config;
  SetLogOptions(config.log);
  for (const std::string& key : *needs_restart) {
    spdlog::warn("reload: {} needs a restart", key);
  }
  spdlog::info("reloaded: keys_that_need_a_restart={}", needs_restart->size());
}

}  // namespace sluice

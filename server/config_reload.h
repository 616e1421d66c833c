// Takes over the configuration file again when it has changed, or when somebody
// asks for it. docs/operations.md, "Live changes", is for operators.

#ifndef SLUICE_SERVER_CONFIG_RELOAD_H_
#define SLUICE_SERVER_CONFIG_RELOAD_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "config/config.h"
#include "server/ingestion_server.h"

namespace sluice {

// What a configuration file says, up to a byte more than it may have; nothing
// where it cannot be read.
using ConfigText = std::optional<std::string>;
ConfigText ReadConfigText(const std::string& path);

// What changes of a file when it is written in its place, replaced by a rename,
// or another behind a symlink that was turned.
struct FileStamp {
  // Nothing where `path` is not a file.
  static std::optional<FileStamp> Of(const std::string& path);

  // Whether what is read from now on has another stamp if it is written again:
  // file systems tell times by ticks, the coarsest by ticks of two seconds.
  bool SettledAt(absl::Time now) const {
    return modified + absl::Seconds(2) < now;
  }

  bool operator==(const FileStamp&) const = default;

  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t size = 0;  // bytes
  absl::Time modified;
};

// When to load a file again that is looked at now and then. By what it says,
// not by its stamp, so that nothing is loaded that is as before.
class ConfigWatch {
 public:
  // `loaded`: what it said when it was loaded first.
  explicit ConfigWatch(ConfigText loaded)
      : loaded_(std::move(loaded)), seen_(loaded_) {}

  // It says this now. True: that is new, and was the same at the last look, so
  // that it is not half written any more; what is half written for longer is
  // loaded, and loaded again when it is whole.
  bool Look(const ConfigText& text);
  // It was loaded, and said this.
  void Loaded(ConfigText text);

 private:
  ConfigText loaded_;
  ConfigText seen_;
};

// Not thread-safe: for the thread that waits for signals.
class ConfigReload {
 public:
  // `loaded` is what the file at `path` said when `server`, which must outlive
  // this, was started. What is no file, as a pipe, is read once and not
  // watched.
  ConfigReload(std::string path, std::string loaded, IngestionServer* server);

  // Loads the file. Logs what is wrong with it, or what needs a restart.
  void Reload();

  // To be called about every second: loads the file if it has changed. Reads it
  // only if it may have.
  void Look();

 private:
  ConfigText Read() const;
  // The same, from memory where the file is as it was.
  const ConfigText& ReadIfChanged();
  void Load(const ConfigText& text);
  void Apply(const Config& config);

  const std::string path_;
  IngestionServer* const server_;
  const bool watched_;
  ConfigWatch watch_;
  // What it said at the last look, and its stamp, if that was to be relied on.
  ConfigText read_;
  std::optional<FileStamp> read_stamp_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CONFIG_RELOAD_H_

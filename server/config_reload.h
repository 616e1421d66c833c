// Reloads the configuration file when it has changed, or on request. For
// operators, docs/operations.md describes this under "Live changes".

#ifndef SLUICE_SERVER_CONFIG_RELOAD_H_
#define SLUICE_SERVER_CONFIG_RELOAD_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "server/ingestion_server.h"

namespace sluice {

// The text of a configuration file, cut one byte after the longest text that is
// allowed; nullopt if the file cannot be read.
using ConfigText = std::optional<std::string>;
ConfigText ReadConfigText(const std::string& path);

// The attributes of a file that change when it is written, when another file is
// renamed to its name, or when a symlink is turned to another file.
struct FileStamp {
  // Returns nullopt if `path` is not a regular file.
  static std::optional<FileStamp> Of(const std::string& path);

  // True if every write after `now` changes the stamp. File systems round
  // times, the coarsest to two seconds, so a file that was just written may be
  // written again with the same stamp.
  bool SettledAt(absl::Time now) const {
    return modified + absl::Seconds(2) < now;
  }

  bool operator==(const FileStamp&) const = default;

  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t size = 0;  // bytes
  absl::Time modified;
};

// Decides when to load a file that is polled. Compares texts, not stamps, so
// that a file that is written with the same text is not loaded again. Not
// thread-safe.
class ConfigWatch {
 public:
  // `loaded` is the text that was loaded at the start.
  explicit ConfigWatch(ConfigText loaded)
      : loaded_(std::move(loaded)), seen_(loaded_) {}

  // Call at each poll, with the present text. Returns true if the text should
  // be loaded: it differs from the loaded text, and is the same as at the last
  // poll, so that a writer has probably finished. If a writer pauses for
  // longer, the incomplete text is loaded, and the complete text later.
  bool Look(const ConfigText& text);
  // Call after `text` was loaded, whether it was valid or not.
  void Loaded(ConfigText text);

 private:
  ConfigText loaded_;
  ConfigText seen_;
};

// Not thread-safe.
class ConfigReload {
 public:
  // `loaded` is the text of the file at `path` with which `server` was started.
  // A path that is no regular file, such as a pipe, is not watched. `server`
  // must outlive this object.
  ConfigReload(std::string path, std::string loaded, IngestionServer* server);

  // Loads the file. Logs its errors, or the keys that need a restart.
  void Reload();

  // Loads the file if it has changed. Call about once a second. The file is
  // read only if its stamp has changed.
  void Look();

 private:
  ConfigText Read() const;
  // As Read, but without reading if the file's stamp is the same.
  const ConfigText& ReadIfChanged();
  void Load(const ConfigText& text);
  void Apply(const Config& config);

  const std::string path_;
  IngestionServer* const server_;
  const bool watched_;
  ConfigWatch watch_;
  // The text at the last poll, and the file's stamp, if the stamp had settled.
  ConfigText read_;
  std::optional<FileStamp> read_stamp_;
  ThreadChecker thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CONFIG_RELOAD_H_

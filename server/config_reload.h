// Reloads the configuration file when it has changed, or on request.
// docs/operations.md describes this to operators under "Live changes".

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

// The text of a configuration file, cut one byte after the longest allowed
// text; nullopt if the file cannot be read.
using ConfigText = std::optional<std::string>;
ConfigText ReadConfigText(const std::string& path);

// Attributes of a file that change when the file is written, when another file
// is renamed to its name, or when a symlink is pointed at another file.
struct FileStamp {
  // Reads the attributes of a file. Returns nullopt if `path` is not a regular
  // file.
  static std::optional<FileStamp> Of(const std::string& path);

  // True if every write after `now` changes the stamp. File systems round
  // times, the coarsest to two seconds, so two writes in quick succession may
  // give the same stamp.
  bool SettledAt(absl::Time now) const {
    return modified + absl::Seconds(2) < now;
  }

  bool operator==(const FileStamp&) const = default;

  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t size = 0;  // size in bytes
  absl::Time modified;
};

// Decides when to load a polled file. Compares texts, not stamps, so that a
// file rewritten with the same text is not loaded again. Not thread-safe.
class ConfigWatch {
 public:
  // `loaded` is the text that was loaded at the start.
  explicit ConfigWatch(ConfigText loaded)
      : loaded_(std::move(loaded)), seen_(loaded_) {}

  // Looks at the present text; must be called at each poll. Returns true if the
  // text should be loaded: it differs from the loaded text and equals the text
  // of the previous poll, so that the writer has probably finished. If a writer
  // pauses for longer, the incomplete text is loaded, and later the complete
  // text.
  bool Look(const ConfigText& text);
  // Records that `text` was loaded, whether it was valid or not.
  void Loaded(ConfigText text);

 private:
  ConfigText loaded_;
  ConfigText seen_;
};

// Not thread-safe.
class ConfigReload {
 public:
  // `loaded` is the text with which `server` was started. A path that is not a
  // regular file, such as a pipe, is not watched. `server` must outlive this
  // object.
  ConfigReload(std::string path, std::string loaded, IngestionServer* server);

  // Loads the file. Logs its errors, or the changed keys with their old and new
  // values, and which of them need a restart.
  void Reload();

  // Loads the file if its text has changed. Reads the file only if its stamp
  // has changed. Call about once a second.
  void Look();

 private:
  ConfigText Read() const;
  // Like Read, but does not read the file if its stamp is unchanged.
  const ConfigText& ReadIfChanged();
  void Load(const ConfigText& text);
  void Apply(const Config& config);

  const std::string path_;
  IngestionServer* const server_;
  const bool watched_;
  ConfigWatch watch_;
  Config config_;  // what the last valid file says
  // The text at the last poll, and the file's stamp if the stamp had settled.
  ConfigText read_;
  std::optional<FileStamp> read_stamp_;
  ThreadChecker thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CONFIG_RELOAD_H_

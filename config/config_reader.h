// Typed access to the maps of a configuration file. Each problem becomes an
// error with its key and line, and reading continues.

#ifndef SLUICE_CONFIG_CONFIG_READER_H_
#define SLUICE_CONFIG_CONFIG_READER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "config/config_error.h"
#include "config/yaml_tree.h"

namespace sluice {

// A range of allowed values, including both ends.
struct Bounds {
  std::size_t min = 0;
  std::size_t max = 0;
};

// Returns a size such as "256MiB", or the plain number if no unit divides it.
std::string FormatBytes(std::size_t bytes);

// Returns `text` as it may appear in a message: in quotes, escaped, and cut
// after 64 bytes.
std::string Quoted(const std::string& text);

// Returns a message such as "unknown pool \"clinicl\": did you mean clinical?".
// Lists all allowed names if none is similar.
std::string UnknownName(const std::string& what, const std::string& name,
                        const std::vector<std::string>& known);

// One map of the file, or the absence of the map. The tree and the list of
// errors must outlive the section. Not thread-safe.
//
// Each Read... function stores the value of `key` in `out` and returns true. If
// the key is missing, it returns false and leaves `out` unchanged. If the value
// is not allowed, it also adds an error.
class ConfigSection {
 public:
  // Creates the section of the whole file, from the result of ParseYaml.
  ConfigSection(const YamlNode& root, ConfigErrors* errors);

  // Returns the map below `key`; an absent map if the key is missing.
  ConfigSection Section(const std::string& key);

  // True if the file has this map.
  bool present() const { return node_ != nullptr; }
  bool Has(const std::string& key) const { return Find(key) != nullptr; }
  // Returns the keys in the order of the file.
  std::vector<std::string> Keys() const;

  bool ReadText(const std::string& key, std::string* out);
  bool ReadBool(const std::string& key, bool* out);
  bool ReadCount(const std::string& key, Bounds bounds, std::size_t* out);
  // Reads a size: a plain number of bytes, or a number with KiB, MiB or GiB.
  bool ReadBytes(const std::string& key, Bounds bounds, std::size_t* out);
  // Reads a duration of whole milliseconds, at least one and at most `max`.
  bool ReadDuration(const std::string& key, absl::Duration max,
                    absl::Duration* out);
  // Reads an address host:port, with an IPv4 address, an IPv6 address in
  // brackets or a host name, and a port from 0 to 65535.
  bool ReadAddress(const std::string& key, std::string* out);

  // Adds an error about `key`. The error gets the line of the innermost part of
  // the path that exists in the file.
  void Error(const std::string& key, std::string message);

  // Adds an error for each key that neither Read... nor Section was called for.
  void RejectUnknownKeys();

 private:
  ConfigSection(const YamlNode* node, std::string path, int line,
                ConfigErrors* errors);

  const YamlEntry* Find(const std::string& key) const;
  // Returns the text of `key`. Returns null if the key is missing, or if its
  // value is not a scalar, which adds an error.
  const std::string* Scalar(const std::string& key);

  const YamlNode* node_;  // a map, or null
  std::string path_;
  int line_;
  ConfigErrors* errors_;
  absl::btree_set<std::string> known_;
};

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_READER_H_

// Typed access to the maps of a configuration file. Whatever is wrong becomes
// an error with its key and line, and reading goes on.

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

// Both ends belong to it.
struct Bounds {
  std::size_t min = 0;
  std::size_t max = 0;
};

// "256MiB", or the plain number where no unit divides it.
std::string FormatBytes(std::size_t bytes);

// As it may appear in a message: in quotes, escaped, and cut where very long.
std::string Quoted(const std::string& text);

// "unknown pool \"clinicl\": did you mean clinical?", or else all known names.
std::string UnknownName(const std::string& what, const std::string& name,
                        const std::vector<std::string>& known);

// One map of the file, or the absence of one. It points into the tree, which
// must outlive it, and to where the errors go.
//
// The Read... functions put the value of `key` into `out` and return true; they
// leave `out` alone where the key is not there, and also where its value is not
// right, which is an error.
class ConfigSection {
 public:
  // The whole file, as ParseYaml returns it.
  ConfigSection(const YamlNode& root, ConfigErrors* errors);

  // The map below `key`; an absent one where there is none.
  ConfigSection Section(const std::string& key);

  // Whether the file has this map.
  bool present() const { return node_ != nullptr; }
  bool Has(const std::string& key) const { return Find(key) != nullptr; }
  // In the order of the file.
  std::vector<std::string> Keys() const;

  bool ReadText(const std::string& key, std::string* out);
  bool ReadBool(const std::string& key, bool* out);
  bool ReadCount(const std::string& key, Bounds bounds, std::size_t* out);
  // Plain bytes, or with KiB, MiB, GiB.
  bool ReadBytes(const std::string& key, Bounds bounds, std::size_t* out);
  // Whole milliseconds, at least one and at most `max`.
  bool ReadDuration(const std::string& key, absl::Duration max,
                    absl::Duration* out);
  // host:port, with an IPv4 address, an IPv6 address in brackets or a host
  // name, and a port from 0 to 65535.
  bool ReadAddress(const std::string& key, std::string* out);

  // Adds an error about `key`, at the line of the innermost part of its path
  // that the file has.
  void Error(const std::string& key, std::string message);

  // Adds an error for each key that nothing asked for by Read... or Section.
  void RejectUnknownKeys();

 private:
  ConfigSection(const YamlNode* node, std::string path, int line,
                ConfigErrors* errors);

  const YamlEntry* Find(const std::string& key) const;
  // The text of `key`; null where it is not there or no scalar.
  const std::string* Scalar(const std::string& key);

  const YamlNode* node_;  // a map, or null
  std::string path_;
  int line_;
  ConfigErrors* errors_;
  absl::btree_set<std::string> known_;
};

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_READER_H_

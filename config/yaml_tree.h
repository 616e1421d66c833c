// Reads one YAML document into a tree with line numbers, for configuration.
// Only the part of YAML that a configuration needs is allowed: scalars and maps
// with plain, distinct keys.

#ifndef SLUICE_CONFIG_YAML_TREE_H_
#define SLUICE_CONFIG_YAML_TREE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config_error.h"

namespace sluice {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;              // for kScalar, without quotes
  std::vector<YamlEntry> entries;  // for kMap, in the order of the file
  // The elements of a sequence are not kept.
};

struct YamlEntry {
  std::string key;
  int line = 0;  // counted from 1
  YamlNode value = {};
};

inline constexpr std::size_t kYamlBytesMax = std::size_t{256} << 10;
inline constexpr std::size_t kYamlNodesMax = 4096;
inline constexpr std::size_t kYamlDepthMax = 16;

// Returns the path of a key: "pools" and "clinical" give "pools.clinical".
// Unprintable characters are escaped, and a key is cut after 64 bytes.
std::string KeyPath(const std::string& parent, const std::string& key);

// Reads `text`. Its root must be a map; an empty text is an empty map. Problems
// are added to `errors`.
//
// Returns nothing if there is no usable tree: bad syntax or encoding, anchors,
// aliases, tags, keys that are not scalars, a second document, or more bytes,
// values or levels than allowed above. A duplicate key is an error too, but the
// tree is returned with the first value of the key.
std::optional<YamlNode> ParseYaml(std::string_view text, ConfigErrors* errors);

}  // namespace sluice

#endif  // SLUICE_CONFIG_YAML_TREE_H_

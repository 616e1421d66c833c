// One YAML document as a tree with line numbers, for reading configuration. Of
// YAML it takes what a configuration needs, and refuses the rest: maps with
// plain keys, each once, and scalars.

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
  std::string scalar;              // of kScalar, without its quotes
  std::vector<YamlEntry> entries;  // of kMap, in the order of the file
  // The elements of a kSequence are not kept.
};

struct YamlEntry {
  std::string key;
  int line = 0;  // from 1
  YamlNode value = {};
};

inline constexpr std::size_t kYamlBytesMax = std::size_t{256} << 10;
inline constexpr std::size_t kYamlNodesMax = 4096;
inline constexpr std::size_t kYamlDepthMax = 16;

// "pools" and "clinical" give "pools.clinical". Unprintable characters are
// escaped, and a very long key is cut.
std::string KeyPath(const std::string& parent, const std::string& key);

// Reads `text`, whose root must be a map; nothing at all is an empty one. Adds
// to `errors` what is wrong with it. Nothing comes back where that leaves no
// tree to look at: bad syntax or encoding, anchors, aliases, tags, keys that
// are not scalars, a second document, a limit exceeded. Of a duplicate key, an
// error as well, the first stays.
std::optional<YamlNode> ParseYaml(std::string_view text, ConfigErrors* errors);

}  // namespace sluice

#endif  // SLUICE_CONFIG_YAML_TREE_H_

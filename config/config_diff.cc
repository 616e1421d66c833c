#include "config/config_diff.h"

#include <map>
#include <optional>

#include "base/check.h"
#include "config/yaml_tree.h"

namespace sluice {
namespace {

using Values = std::map<std::string, std::string>;

void AddValues(const std::string& path, const YamlNode& node, Values* values) {
  if (node.kind != YamlNode::Kind::kMap) {
    (*values)[path] = node.scalar;
    return;
  }
  for (const YamlEntry& entry : node.entries) {
    AddValues(KeyPath(path, entry.key), entry.value, values);
  }
}

Values ValuesOf(const Config& config) {
  Values values;
  ConfigErrors errors;
  const std::optional<YamlNode> tree = ParseYaml(ConfigToYaml(config), &errors);
  SLUICE_DCHECK(tree.has_value());
  if (tree.has_value()) AddValues("", *tree, &values);
  return values;
}

}  // namespace

std::vector<ConfigDifference> CompareConfigs(const Config& before,
                                             const Config& after) {
  std::map<std::string, ConfigDifference> all;
  for (const auto& [key, value] : ValuesOf(before)) all[key].before = value;
  for (const auto& [key, value] : ValuesOf(after)) all[key].after = value;
  std::vector<ConfigDifference> differences;
  for (auto& [key, difference] : all) {
    if (difference.before == difference.after) continue;
    difference.key = key;
    differences.push_back(difference);
  }
  return differences;
}

}  // namespace sluice

#include "base/path.h"

#include <filesystem>

namespace sluice {

bool NamesAFile(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return !name.empty() && name != "." && name != ".." &&
         path.find('\0') == std::string::npos;
}

}  // namespace sluice

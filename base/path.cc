#include "base/path.h"

#include <filesystem>
#include <string>
#include <system_error>

namespace sluice {

bool NamesAFile(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return !name.empty() && name != "." && name != ".." &&
         path.find('\0') == std::string::npos;
}

std::string NormalPath(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return (error ? std::filesystem::path(path) : absolute)
      .lexically_normal()
      .string();
}

}  // namespace sluice

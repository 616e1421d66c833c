#include "tests/fakes/hanging_disk.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/fakes/next_function.h"

namespace sluice {
namespace {

constexpr useconds_t kLookMicros = 5'000;

struct Real {
  decltype(::read)* read = Next<decltype(::read)>("read");
  decltype(::pread64)* pread = Next<decltype(::pread64)>("pread64");
  decltype(::pwrite64)* pwrite = Next<decltype(::pwrite64)>("pwrite64");
  decltype(::fsync)* fsync = Next<decltype(::fsync)>("fsync");
  decltype(::fdatasync)* fdatasync = Next<decltype(::fdatasync)>("fdatasync");
};

const Real& real() {
  static const Real real;
  return real;
}

// Returns the text that paths of hanging files contain, or "" if none hangs.
std::string HangingText() {
  const char* const path = std::getenv(kHangVariable);
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  std::array<char, PATH_MAX> text{};
  const ssize_t size = real().read(file, text.data(), text.size());
  close(file);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool Hangs(int file) {
  const std::string text = HangingText();
  if (text.empty()) return false;
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  std::array<char, PATH_MAX> path{};
  const ssize_t size = readlink(link.c_str(), path.data(), path.size());
  return size > 0 &&
         std::string_view(path.data(), static_cast<std::size_t>(size))
                 .find(text) != std::string_view::npos;
}

void AwaitDisk(int file) {
  while (Hangs(file)) usleep(kLookMicros);
}

}  // namespace
}  // namespace sluice

extern "C" {

ssize_t pread64(int file, void* bytes, size_t size, off64_t offset) {
  sluice::AwaitDisk(file);
  return sluice::real().pread(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  sluice::AwaitDisk(file);
  return sluice::real().pwrite(file, bytes, size, offset);
}

int fsync(int file) {
  sluice::AwaitDisk(file);
  return sluice::real().fsync(file);
}

int fdatasync(int file) {
  sluice::AwaitDisk(file);
  return sluice::real().fdatasync(file);
}

}  // extern "C"

#include "base/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

constexpr std::size_t kBarWidth = 20;
constexpr std::size_t kDefaultColumns = 80;
constexpr absl::string_view kClearLine = "\r\x1b[K";

std::size_t TerminalColumns(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kDefaultColumns;
  }
  return size.ws_col;
}

}  // namespace

ProgressBar::ProgressBar(int fd) : fd_(fd), visible_(isatty(fd) == 1) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Show(double fraction, absl::string_view text) {
  if (!visible_) return;
  const auto filled =
      static_cast<std::size_t>(std::clamp(fraction, 0.0, 1.0) * kBarWidth);
  std::string line =
      absl::StrCat("[", std::string(filled, '='),
                   std::string(kBarWidth - filled, ' '), "] ", text);
  // Leaves the last column free, because some terminals would wrap a full line.
  line.resize(std::min(line.size(), TerminalColumns(fd_) - 1));
  Write(absl::StrCat(kClearLine, line));
  shown_ = true;
}

void ProgressBar::Clear() {
  if (!shown_) return;
  Write(kClearLine);
  shown_ = false;
}

void ProgressBar::Write(absl::string_view bytes) {
  // A progress bar that cannot be shown must not stop the work.
  [[maybe_unused]] const ssize_t written =
      write(fd_, bytes.data(), bytes.size());
}

}  // namespace sluice

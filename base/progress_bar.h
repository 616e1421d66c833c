// A line on a terminal that shows the progress of some work.

#ifndef SLUICE_BASE_PROGRESS_BAR_H_
#define SLUICE_BASE_PROGRESS_BAR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// Writes to a terminal only. Does nothing if `fd` is a file or a pipe. Not
// thread-safe.
class ProgressBar {
 public:
  // Does not take ownership of `fd`.
  explicit ProgressBar(int fd);
  // Clears the line.
  ~ProgressBar();

  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // True if there is a terminal. Otherwise callers need not format the text for
  // Show.
  bool visible() const { return visible_; }

  // Shows `fraction` (clamped to 0 to 1) as a bar, followed by `text`, cut to
  // the terminal's width.
  void Show(double fraction, absl::string_view text);

  // Clears the line, so that other output can start on it.
  void Clear();

 private:
  void Write(absl::string_view bytes);

  const int fd_;
  const bool visible_;
  bool shown_ = false;
};

}  // namespace sluice

#endif  // SLUICE_BASE_PROGRESS_BAR_H_

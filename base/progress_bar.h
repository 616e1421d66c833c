// One line on a terminal that tells how far the work is.

#ifndef SLUICE_BASE_PROGRESS_BAR_H_
#define SLUICE_BASE_PROGRESS_BAR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// Writes to a terminal only: files and pipes get nothing. Not thread-safe.
class ProgressBar {
 public:
  // `fd` stays the caller's.
  explicit ProgressBar(int fd);
  // Clears the line.
  ~ProgressBar();

  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Whether there is a terminal: without one, there is no need to ask for text.
  bool visible() const { return visible_; }

  // Shows `fraction` (cut to 0 to 1) as a bar, followed by `text`, which is cut
  // to the terminal's width.
  void Show(double fraction, absl::string_view text);

  // Leaves an empty line, for other output to start on.
  void Clear();

 private:
  void Write(absl::string_view bytes);

  const int fd_;
  const bool visible_;
  bool shown_ = false;
};

}  // namespace sluice

#endif  // SLUICE_BASE_PROGRESS_BAR_H_

#include "base/progress_bar.h"

#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::Not;

// Reads until the text ends with `end`, or until nothing more arrives. A
// terminal may deliver a write in several pieces, and with a delay.
std::string ReadUntil(int fd, const std::string& end) {
  std::string text;
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  const auto patience_ms =
      static_cast<int>(absl::ToInt64Milliseconds(kPatience));
  while (!absl::EndsWith(text, end) && poll(&ready, 1, patience_ms) == 1) {
    char buffer[4096];
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size <= 0) break;
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

struct Terminal {
  explicit Terminal(unsigned short columns) {
    winsize size{};
    size.ws_col = columns;
    EXPECT_EQ(openpty(&user, &program, nullptr, nullptr, &size), 0);
  }
  ~Terminal() {
    close(user);
    close(program);
  }
  int user = -1;     // the terminal's side, which receives the output
  int program = -1;  // the program's side
};

TEST(ProgressBar, WritesNothingToAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    ProgressBar bar(ends[1]);
    EXPECT_FALSE(bar.visible());
    bar.Show(0.5, "half");
    bar.Clear();
  }
  close(ends[1]);
  EXPECT_EQ(ReadUntil(ends[0], "never"), "");
  close(ends[0]);
}

TEST(ProgressBar, ShowsABarAndTheText) {
  const Terminal terminal(80);
  ProgressBar bar(terminal.program);
  EXPECT_TRUE(bar.visible());
  bar.Show(0.5, "half");
  EXPECT_EQ(ReadUntil(terminal.user, "half"),
            "\r\x1b[K[==========          ] half");
}

TEST(ProgressBar, KeepsToTheWidthAndToItsRange) {
  const Terminal terminal(30);
  ProgressBar bar(terminal.program);
  bar.Show(7.0, "a text that is too long");
  bar.Show(-1.0, "x");
  const std::string shown = ReadUntil(terminal.user, "] x");
  EXPECT_THAT(shown, HasSubstr("[====================] a text"));
  EXPECT_THAT(shown, Not(HasSubstr("too long")));
  EXPECT_THAT(shown, HasSubstr("[                    ] x"));
}

TEST(ProgressBar, LeavesAnEmptyLine) {
  const Terminal terminal(80);
  { ProgressBar(terminal.program).Show(1, "done"); }
  EXPECT_THAT(ReadUntil(terminal.user, "done\r\x1b[K"),
              testing::EndsWith("] done\r\x1b[K"));
}

}  // namespace
}  // namespace sluice

#include "base/log_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    CloseReader();
    close(ends_[1]);
  }

  int writer() const { return ends_[1]; }

  std::string Read(std::size_t bytes) const {
    std::string text(bytes, '\0');
    const ssize_t got = read(ends_[0], text.data(), bytes);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }

  void CloseReader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

constexpr std::size_t kBytesMax = 200'000;

void Ignore(std::uint64_t) {}

TEST(LogWriter, WritesLinesInOrder) {
  const Pipe pipe;
  LogWriter writer(pipe.writer(), kBytesMax, Ignore);
  writer.Put("one\n");
  writer.Put("two\n");
  EXPECT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(pipe.Read(100), "one\ntwo\n");
  EXPECT_EQ(writer.dropped(), 0);
}

TEST(LogWriter, DropsLinesAndNeverWaitsIfNobodyReads) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  const std::string line(1000, 'x');
  LogWriter writer(pipe.writer(), kBytesMax, Ignore);
  // More than the pipe and the queue hold.
  for (int i = 0; i < 1000; ++i) writer.Put(line);
  EXPECT_GT(writer.dropped(), 500);
  EXPECT_LT(writer.dropped(), 900);
  EXPECT_FALSE(writer.Flush(absl::Milliseconds(1)));
  pipe.CloseReader();  // ends the writes, so that the thread ends
  EXPECT_TRUE(writer.Flush(kPatience));
}

TEST(LogWriter, ReportsDroppedLinesOnceThereIsRoom) {
  const Pipe pipe;
  std::atomic<std::uint64_t> reported = 0;
  const std::string line(1000, 'x');
  LogWriter writer(pipe.writer(), kBytesMax,
                   [&](std::uint64_t lines) { reported += lines; });
  for (int i = 0; i < 1000; ++i) writer.Put(line);
  const std::uint64_t dropped = writer.dropped();
  std::size_t read = 0;
  while (reported == 0 && read < (1000 - dropped) * line.size()) {
    read += pipe.Read(4096).size();
  }
  AwaitThat("the dropped lines are reported", [&] { return reported > 0; });
  EXPECT_EQ(reported, dropped);
  while (read < (1000 - dropped) * line.size()) read += pipe.Read(4096).size();
}

TEST(LogWriter, EndsInTimeIfNobodyReads) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  const absl::Time begun = absl::Now();
  {
    LogWriter writer(pipe.writer(), kBytesMax, Ignore);
    for (int i = 0; i < 150; ++i) writer.Put(std::string(1000, 'x'));
  }
  EXPECT_GE(absl::Now() - begun, LogWriter::kFlushMax);
  EXPECT_LT(absl::Now() - begun, kPatience);
}

TEST(LogWriter, CountsLinesThatCannotBeWritten) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.CloseReader();
  LogWriter writer(pipe.writer(), kBytesMax, Ignore);
  writer.Put("lost\n");
  EXPECT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(writer.dropped(), 1);
}

}  // namespace
}  // namespace sluice

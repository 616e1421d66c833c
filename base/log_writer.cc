#include "base/log_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace sluice {
namespace {

// Bytes that an entry of the queue needs beside its text.
constexpr std::size_t kEntryBytes = sizeof(std::string) + 16;

// Writes all bytes. Waits as long as the descriptor accepts nothing. Returns
// false if it never will.
bool WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // Another process made the pipe or the terminal non-blocking.
      pollfd room = {.fd = descriptor, .events = POLLOUT, .revents = 0};
      poll(&room, 1, /*timeout=*/-1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

struct LogWriter::State {
  State(int fd, std::size_t max, OnDropped callback)
      : descriptor(fd), bytes_max(max), on_dropped(std::move(callback)) {}

  void Run();
  // Reports dropped lines if there is room for the report.
  void ReportDropped() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const int descriptor;
  const std::size_t bytes_max;
  const OnDropped on_dropped;

  absl::Mutex mutex;  // never held during a write
  absl::CondVar changed;
  std::deque<std::string> lines ABSL_GUARDED_BY(mutex);
  // Bytes of `lines` and of the line that is being written.
  std::size_t bytes ABSL_GUARDED_BY(mutex) = 0;
  std::uint64_t put ABSL_GUARDED_BY(mutex) = 0;
  std::uint64_t finished ABSL_GUARDED_BY(mutex) = 0;
  std::uint64_t dropped ABSL_GUARDED_BY(mutex) = 0;
  std::uint64_t unreported ABSL_GUARDED_BY(mutex) = 0;
  bool ended ABSL_GUARDED_BY(mutex) = false;
};

void LogWriter::State::Run() {
  absl::MutexLock lock(&mutex);
  for (;;) {
    while (lines.empty() && !ended) changed.Wait(&mutex);
    if (lines.empty()) return;
    const std::string line = std::move(lines.front());
    lines.pop_front();
    mutex.Unlock();
    const bool written = WriteAll(descriptor, line);
    mutex.Lock();
    bytes -= line.size() + kEntryBytes;
    ++finished;
    if (!written) ++dropped;
    changed.SignalAll();
    ReportDropped();
  }
}

void LogWriter::State::ReportDropped() {
  if (unreported == 0 || bytes > bytes_max / 2 || ended) return;
  const std::uint64_t count = std::exchange(unreported, 0);
  mutex.Unlock();
  on_dropped(count);
  mutex.Lock();
}

LogWriter::LogWriter(int descriptor, std::size_t bytes_max,
                     OnDropped on_dropped)
    : state_(std::make_shared<State>(descriptor, bytes_max,
                                     std::move(on_dropped))) {
  // The threads that wait for signals must get them, not this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([state = state_] { state->Run(); }).detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogWriter::~LogWriter() {
  Flush(kFlushMax);
  absl::MutexLock lock(&state_->mutex);
  state_->ended = true;
  state_->changed.SignalAll();
}

void LogWriter::Put(std::string line) {
  absl::MutexLock lock(&state_->mutex);
  const std::size_t bytes = line.size() + kEntryBytes;
  if (state_->bytes + bytes > state_->bytes_max) {
    ++state_->dropped;
    ++state_->unreported;
    return;
  }
  state_->bytes += bytes;
  ++state_->put;
  state_->lines.push_back(std::move(line));
  state_->changed.Signal();
}

bool LogWriter::Flush(absl::Duration limit) {
  absl::MutexLock lock(&state_->mutex);
  const std::uint64_t last = state_->put;
  const auto written = [this, last]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return state_->finished >= last;
  };
  return state_->mutex.AwaitWithTimeout(absl::Condition(&written), limit);
}

std::uint64_t LogWriter::dropped() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->dropped;
}

}  // namespace sluice

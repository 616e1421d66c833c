// Writes the lines of the log to a descriptor, in a thread of its own, so that
// a pipe that nobody reads, a terminal that is stopped or a full disk never
// holds up the threads that log.

#ifndef SLUICE_BASE_LOG_WRITER_H_
#define SLUICE_BASE_LOG_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"

namespace sluice {

// Thread-safe.
class LogWriter {
 public:
  // Called on the thread of the writer when there is room again after lines
  // were dropped, with their number. May call Put.
  using OnDropped = std::function<void(std::uint64_t lines)>;

  // Lines that are not written yet have at most `bytes_max` bytes. The
  // descriptor must stay open. Throws std::system_error if the thread cannot be
  // started.
  LogWriter(int descriptor, std::size_t bytes_max, OnDropped on_dropped);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  // Waits for the lines at most kFlushMax. A write that hangs keeps its thread,
  // which nothing joins.
  ~LogWriter();

  // Longest wait for a descriptor that accepts nothing.
  static constexpr absl::Duration kFlushMax = absl::Seconds(1);

  // Queues a line, which ends with a newline. Never waits for the descriptor.
  // Drops the line if there is no room.
  void Put(std::string line);

  // Waits until the lines so far are written. Returns false after `limit`.
  bool Flush(absl::Duration limit);

  // Returns the number of lines that were dropped: for lack of room, or because
  // they could not be written.
  std::uint64_t dropped() const;

 private:
  struct State;

  // Shared with the thread, which may outlive this object.
  const std::shared_ptr<State> state_;
};

}  // namespace sluice

#endif  // SLUICE_BASE_LOG_WRITER_H_

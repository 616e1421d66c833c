// Puts acknowledged submissions back into the queues of their pools: from the
// journals after a start, and from quarantine at an operator's request.

#ifndef SLUICE_SERVER_REPLAY_H_
#define SLUICE_SERVER_REPLAY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/time.h"
#include "config/method.h"
#include "server/methods.h"
#include "server/pools.h"

namespace sluice {

// Returns the method of an entry. A journal may be older than the program and
// name a method that no longer exists; the result is then Submit, whose
// settings are used.
Method MethodOfEntry(std::string_view name);

// Reads the entries of all journals into the queues of their pools, in the
// order of each journal, as the queues have room. Until all entries of a
// journal are read, its pool has no room for arrivals.
//
// A queue exceeds its limits by at most the bytes of one entry. Not
// thread-safe.
class JournalReplay {
 public:
  JournalReplay() = default;
  JournalReplay(const JournalReplay&) = delete;
  JournalReplay& operator=(const JournalReplay&) = delete;
  // Calls Join.
  ~JournalReplay() { Join(); }

  // Fills the queues. Must be called once, before calls arrive. If entries are
  // left, starts a thread for each pool that has some. `pools` and `methods`
  // must live until Join. After an error no thread runs.
  absl::Status Begin(const Pools& pools, const Methods& methods);

  // Waits for the threads. A thread ends when all entries of its journal are
  // read, or when its pool is closed. Unread entries then stay in the journal.
  // May be called again.
  void Join();
  // Waits for the threads, at most for `patience`. Returns false if one has not
  // ended.
  bool AwaitEnd(Duration patience);

 private:
  std::vector<std::thread> threads_;
  absl::Mutex mutex_;
  // Threads that have not ended.
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Moves a submission out of quarantine and into the queue of `pool`, which has
// a journal. RESOURCE_EXHAUSTED if the queue is full. NOT_FOUND if no
// quarantined submission has this sequence number. Also returns errors of the
// journal. After any error the quarantine is unchanged. Thread-safe.
absl::Status RetryQuarantined(const ServerPool& pool, const Methods& methods,
                              std::int64_t sequence);

}  // namespace sluice

#endif  // SLUICE_SERVER_REPLAY_H_

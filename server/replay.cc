#include "server/replay.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "server/submissions/submission_task.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Limits of the entries that are read with one query.
constexpr std::size_t kPartEntries = 256;
constexpr std::size_t kPartBytes = std::size_t{1} << 20;
// Delay until the next try after a journal could not be read.
constexpr Duration kReadAgainAfter = std::chrono::seconds(1);
// Interval at which the progress of a long replay is logged.
constexpr Duration kProgressInterval = std::chrono::seconds(10);

// Returns false if the pool is closed. The entry then stays in the journal.
bool Requeue(const ServerPool& pool, const Methods& methods,
             JournalEntry entry) {
  const Method method = MethodOfEntry(entry.method);
  return MakeSubmissionTask(methods[method], pool.journal_writer.get(),
                            std::move(entry))
      ->Restore(pool.workers.get());
}

// Reads the next entries into the queue, as many as `room` allows. Returns
// false if there are no more entries, or if the pool is closed.
absl::StatusOr<bool> ReadSome(const ServerPool& pool, const Methods& methods,
                              const RoomToRestore& room) {
  absl::StatusOr<JournalPart> part = pool.journal->ReadUnread(
      std::min(room.entries, kPartEntries), std::min(room.bytes, kPartBytes));
  if (!part.ok()) return part.status();
  const std::size_t damaged = part->read - part->entries.size();
  for (std::size_t i = 0; i < part->entries.size(); ++i) {
    const std::int64_t position = part->entries[i].position;
    if (Requeue(pool, methods, std::move(part->entries[i]))) continue;
    // Later entries stay unread, except the damaged ones, which are
    // quarantined.
    part->read -= part->entries.size() - (i + 1);
    part->read_up_to = position;
    pool.journal->MarkRead(*part);
    pool.workers->SetUnread(pool.journal->unread());
    return false;
  }
  // Mark the entries only now, so that a look-up finds each of them among the
  // unread entries or in the queue.
  pool.journal->MarkRead(*part);
  pool.workers->SetUnread(pool.journal->unread());
  if (damaged > 0) {
    pool.journal_metrics->CountForgotten(damaged - part->damaged_left);
    pool.UpdateQuarantineMetrics();
    spdlog::error(
        "quarantined entries that were damaged in the journal's file: pool={}"
        " entries={} not_quarantined={}",
        pool.workers->name(), damaged, part->damaged_left);
  }
  return pool.journal->unread() > 0;
}

// Reads as many entries as the queue has room for at the beginning. Returns
// false if there are no more entries. Does not refill places that workers free
// meanwhile: with fast workers, the start would take as long as the whole
// replay.
absl::StatusOr<bool> ReadFirst(const ServerPool& pool, const Methods& methods) {
  const std::size_t entries = pool.journal->unread();
  pool.journal_metrics->CountAppended(entries);
  pool.workers->SetUnread(entries);
  const std::size_t first = pool.workers->room_to_restore().entries;
  absl::StatusOr<bool> more = entries > 0;
  while (more.ok() && *more && entries - pool.journal->unread() < first) {
    const RoomToRestore room = pool.workers->room_to_restore();
    if (room.empty()) break;
    more = ReadSome(pool, methods, room);
  }
  pool.UpdateQuarantineMetrics();
  if (more.ok() && entries > 0) {
    spdlog::info("replaying: pool={} entries={} unread={}",
                 pool.workers->name(), entries, pool.journal->unread());
  }
  return more;
}

// Reads the other entries as the queue gets room, until the pool is closed.
void ReadRest(const ServerPool& pool, const Methods& methods) {
  TimePoint not_before{};
  TimePoint next_progress = pool.workers->Now() + kProgressInterval;
  absl::StatusOr<bool> more = true;
  while (!more.ok() || *more) {
    const RoomToRestore room = pool.workers->AwaitRoomToRestore(not_before);
    if (room.empty()) break;
    more = ReadSome(pool, methods, room);
    if (const TimePoint now = pool.workers->Now();
        more.ok() && (!*more || now >= next_progress)) {
      spdlog::info("replaying: pool={} unread={}", pool.workers->name(),
                   pool.journal->unread());
      next_progress = now + kProgressInterval;
    }
    if (more.ok()) continue;
    spdlog::warn("journal failed: replay pool={} status={}",
                 pool.workers->name(), more.status().ToString());
    not_before = pool.workers->Now() + kReadAgainAfter;
  }
}

}  // namespace

Method MethodOfEntry(std::string_view name) {
  return FindMethod(
             absl::StrCat(std::string(kServiceName), "/", std::string(name)))
      .value_or(Method::kSubmit);
}

absl::Status JournalReplay::Begin(const Pools& pools, const Methods& methods) {
  std::vector<const ServerPool*> unfinished;
  for (const auto& [name, pool] : pools.by_name()) {
    if (pool.journal == nullptr) continue;
    const absl::StatusOr<bool> more = ReadFirst(pool, methods);
    if (!more.ok()) return more.status();
    if (*more) unfinished.push_back(&pool);
  }
  for (const ServerPool* pool : unfinished) {
    absl::MutexLock lock(&mutex_);
    threads_.emplace_back([this, pool, &methods] {
      ReadRest(*pool, methods);
      absl::MutexLock end(&mutex_);
      --running_;
    });
    ++running_;
  }
  return absl::OkStatus();
}

bool JournalReplay::AwaitEnd(Duration patience) {
  const auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return running_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&ended),
                                 absl::FromChrono(patience));
}

void JournalReplay::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

absl::Status RetryQuarantined(const ServerPool& pool, const Methods& methods,
                              std::int64_t sequence) {
  SLUICE_DCHECK(pool.journal != nullptr);
  const absl::MutexLock lock(&pool.retries->one_at_a_time);
  // Callers may fill the queue after this check. This retry then exceeds the
  // capacity by one submission, and the next retry is refused.
  const PoolView view = pool.workers->Snapshot().view;
  if (view.depth >= view.capacity || view.held_bytes >= view.capacity_bytes) {
    return absl::ResourceExhaustedError("the queue is full");
  }
  pool.retries->sequence = sequence;
  const absl::Cleanup moved = [&pool] { pool.retries->sequence = 0; };
  auto entry = pool.journal->Release(sequence);
  pool.UpdateQuarantineMetrics();
  if (!entry.ok()) return entry.status();
  pool.journal_metrics->CountAppended(1);
  // If the pool is closed, the entry is processed after the next start.
  Requeue(pool, methods, *std::move(entry));
  return absl::OkStatus();
}

}  // namespace sluice

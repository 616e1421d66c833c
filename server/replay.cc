#include "server/replay.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "config/method.h"
#include "server/submissions/submission_task.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

void Requeue(const ServerPool& pool, const Methods& methods,
             JournalEntry entry) {
  // A journal may be older than the program and name a method that no longer
  // exists. Its submissions are stored with the settings of Submit.
  const Method method =
      FindMethod(absl::StrCat(std::string(kServiceName), "/", entry.method))
          .value_or(Method::kSubmit);
  MakeSubmissionTask(methods[method], pool.journal_writer.get(),
                     std::move(entry))
      ->Restore(pool.workers.get());
  pool.journal_metrics->CountAppended(1);
}

}  // namespace

absl::Status ReplayJournals(const Pools& pools, const Methods& methods) {
  for (const auto& named : pools.by_name()) {
    const ServerPool& pool = named.second;
    if (pool.journal == nullptr) continue;
    std::size_t replayed = 0;
    const absl::Status status = pool.journal->Replay([&](JournalEntry entry) {
      Requeue(pool, methods, std::move(entry));
      ++replayed;
    });
    if (!status.ok()) return status;
    pool.journal_metrics->SetQuarantined(pool.journal->quarantined(),
                                         pool.journal->damaged());
    if (pool.journal->damaged() > 0) {
      spdlog::error(
          "quarantined entries that were damaged in the journal's file: pool={}"
          " entries={}",
          named.first, pool.journal->damaged());
    }
    if (replayed > 0) {
      spdlog::info("replaying: pool={} entries={}", named.first, replayed);
    }
  }
  return absl::OkStatus();
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
  pool.journal_metrics->SetQuarantined(pool.journal->quarantined(),
                                       pool.journal->damaged());
  if (!entry.ok()) return entry.status();
  Requeue(pool, methods, *std::move(entry));
  return absl::OkStatus();
}

}  // namespace sluice

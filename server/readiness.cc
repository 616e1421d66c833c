#include "server/readiness.h"

#include "absl/strings/str_cat.h"

namespace sluice {

absl::Status CheckReadiness(const Pools& pools, Store* store) {
  for (const auto& [name, pool] : pools.by_name()) {
    const PoolSnapshot snapshot = pool.workers->Snapshot();
    // An open circuit closes when a probe succeeds, and a probe needs a task.
    // An empty pool gets no task while load balancers avoid the server because
    // of this answer. If no pool with an open circuit has a task, the store
    // itself is asked below.
    const bool has_probe = snapshot.view.depth + snapshot.in_work > 0;
    if (snapshot.circuit_open && has_probe) {
      const absl::Status store_status = store->Check();
      return absl::UnavailableError(
          store_status.ok()
              ? "the store fails"
              : absl::StrCat("the store fails: ", store_status.message()));
    }
    if (pool.journal == nullptr) continue;
    if (pool.journal->unread() > 0) {
      return absl::UnavailableError("the journal is being replayed");
    }
    absl::Status journal = pool.journal_writer->CheckReserves();
    if (journal.ok()) journal = pool.journal->Check();
    if (!journal.ok()) return journal;
  }
  return store->Check();
}

}  // namespace sluice

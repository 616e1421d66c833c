#include "server/pools.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/path.h"
#include "base/sequence_series.h"
#include "config/method.h"
#include "server/calls/lookup_call.h"
#include "server/journal_check_in.h"
#include "server/replay.h"
#include "server/store_opening.h"
#include "spdlog/spdlog.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

WorkerRange WorkerRangeOf(const PoolConfig& config) {
  return {.min = config.workers.min, .max = config.workers.max};
}

QuarantineLimits QuarantineLimitsOf(const PoolConfig& config) {
  return {.max = config.quarantine.max,
          .max_bytes = config.quarantine.max_bytes,
          .queue = config.queue_capacity,
          .queue_bytes = config.queue_capacity_bytes};
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

void LogHang(const std::string& pool, const WorkerHang& hang) {
  spdlog::error("a worker hangs: pool={} age_seconds={:.1f} tasks={}", pool,
                ToSeconds(hang.age), hang.tasks);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pools>> Pools::Start(const Config& config,
                                                    const ProcessingStep& step,
                                                    const Uses& uses) {
  std::unique_ptr<Pools> pools(new Pools());
  const absl::StatusOr<std::int64_t> last = uses.store->LastSequence();
  if (!last.ok()) return NamingFile(last.status(), StoreKey(config.store));
  ServerRegistry* registry = uses.store->registry();
  const std::int64_t series =
      registry == nullptr ? SeriesOf(*last) : registry->server();
  absl::Status status = pools->OpenJournals(config, series, uses);
  if (!status.ok()) return status;
  const auto adopted =
      OpenAdopted(uses.adopt_journals, config, uses.accept_damage);
  if (!adopted.ok()) return adopted.status();
  status = pools->CheckIn(config, series, *adopted, uses);
  // Adopt before the last number is found: a journal from an old disk has
  // numbers of this server.
  for (const AdoptedJournal& each : *adopted) {
    if (status.ok()) status = pools->Adopt(config, series, each, uses);
  }
  if (status.ok() && !adopted->empty()) {
    // A journal replays the entries that it has when it is opened.
    pools->CloseJournals();
    status = pools->OpenJournals(config, series, uses);
  }
  if (status.ok()) status = pools->FindLastSequence(series, *last);
  if (!status.ok()) return status;
  status = pools->ReserveNumbers(uses);
  if (!status.ok()) return NamingFile(status, StoreKey(config.store));
  pools->assigned_recorder_ =
      std::make_unique<AssignedRecorder>(uses.store, uses.clock);
  for (const auto& [name, pool] : config.pools) {
    pools->StartPool(config, name, step, uses);
  }
  return pools;
}

absl::Status Pools::OpenJournals(const Config& config, std::int64_t series,
                                 const Uses& uses) {
  for (const auto& [name, pool_config] : config.pools) {
    ServerPool& pool = by_name_[name];
    if (pool_config.journal_path.empty()) continue;
    auto journal =
        Journal::Open(pool_config.journal_path,
                      {.accept_damage = uses.accept_damage,
                       .quarantine = QuarantineLimitsOf(pool_config),
                       .series = series,
                       .quarantined_ids = &uses.recent->quarantined()});
    if (!journal.ok()) {
      return absl::Status(
          journal.status().code(),
          absl::StrCat("pools.", name,
                       ".queue.path: ", journal.status().message(),
                       absl::IsDataLoss(journal.status())
                           ? ". To continue with what is left, start with "
                             "--accept-damage"
                           : ""));
    }
    if (const std::string& damage = (*journal)->accepted_damage();
        !damage.empty()) {
      spdlog::error("journal damaged: accepted pool={} path={} damage={}", name,
                    pool_config.journal_path, damage);
    }
    if ((*journal)->created()) {
      spdlog::warn(
          "a new journal was created, because there was none: pool={} path={}",
          name, NormalPath(pool_config.journal_path));
    }
    pool.journal = *std::move(journal);
  }
  return absl::OkStatus();
}

absl::Status Pools::CheckIn(const Config& config, std::int64_t series,
                            absl::Span<const AdoptedJournal> adopted,
                            const Uses& uses) {
  std::vector<std::string> adopted_ids;
  for (const AdoptedJournal& each : adopted) {
    adopted_ids.push_back(each.journal->id());
  }
  std::vector<JournalOfPool> journals;
  for (const auto& [name, pool] : by_name_) {
    if (pool.journal == nullptr) continue;
    journals.push_back({.pool = name,
                        .path = config.pools.at(name).journal_path,
                        .journal = pool.journal.get()});
  }
  const absl::StatusOr<std::int64_t> skipped =
      CheckInJournals(uses.store->registry(), series, journals,
                      {.accept_damage = uses.accept_damage,
                       .adopted = std::move(adopted_ids),
                       .host = HostName(),
                       .store_key = StoreKey(config.store),
                       .now = absl::Now()});
  if (!skipped.ok()) return skipped.status();
  sequence_ = *skipped;
  return absl::OkStatus();
}

absl::Status Pools::Adopt(const Config& config, std::int64_t series,
                          const AdoptedJournal& adopted, const Uses& uses) {
  Journal& from = *adopted.journal;
  Journal* first = nullptr;
  for (const auto& [name, pool] : by_name_) {
    if (pool.journal == nullptr) continue;
    if (first == nullptr) first = pool.journal.get();
    if (pool.journal->id() != from.id()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("--adopt-journal: ", adopted.path,
                     " is a copy of the journal of pools.", name,
                     ".queue.path, so its entries need not be adopted"));
  }
  const absl::StatusOr<std::int64_t> last = from.LastSequence();
  if (!last.ok()) return last.status();
  // Without a registry only the last number in the store tells the number of
  // this server, so the store must not get higher numbers of other servers.
  ServerRegistry* registry = uses.store->registry();
  if (registry == nullptr && *last > 0 && SeriesOf(*last) != series) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--adopt-journal: ", adopted.path, " is a journal of server ",
        SeriesOf(*last), ". Only a SQLite or PostgreSQL store can adopt it"));
  }
  const auto counts = AdoptEntries(
      from, {.journal_of = [&](std::string_view method) -> Journal& {
               const ServerPool& pool =
                   by_name_.at(config.method(MethodOfEntry(method)).pool);
               return pool.journal == nullptr ? *first : *pool.journal;
             },
             .copied = uses.adoption_copied});
  if (!counts.ok()) return counts.status();
  // An old disk of this server may know the highest number.
  absl::Status status;
  if (SeriesOf(*last) == series) status = first->RaiseLastSequence(*last);
  // Retire it although damaged entries are left: no start can do more for them.
  if (status.ok() && registry != nullptr) {
    status = registry->Retire(
        from.id(), absl::StrCat("adopted by server ", series), absl::Now());
  }
  if (status.ok()) {
    spdlog::info("adopted a journal: path={} id={} entries={} quarantined={}",
                 adopted.path, from.id(), counts->entries, counts->quarantined);
  }
  if (counts->damaged > 0) {
    spdlog::error(
        "damaged entries were not adopted, and stay in the quarantine of the"
        " journal: path={} id={} entries={}",
        adopted.path, from.id(), counts->damaged);
  }
  return status;
}

// The last submission may be in the store alone, or in a journal alone, so take
// the highest number of all. If a number were assigned twice, an export would
// miss one of the two submissions.
absl::Status Pools::FindLastSequence(std::int64_t series,
                                     std::int64_t last_of_store) {
  const auto raise = [&](std::int64_t last) {
    if (SeriesOf(last) == series) sequence_ = std::max(sequence_.load(), last);
  };
  raise(BeginOfSeries(series));
  raise(last_of_store);
  for (const auto& [name, pool] : by_name_) {
    if (pool.journal == nullptr) continue;
    const absl::StatusOr<std::int64_t> last = pool.journal->LastSequence();
    if (!last.ok()) return last.status();
    raise(*last);
  }
  return absl::OkStatus();
}

absl::Status Pools::ReserveNumbers(const Uses& uses) {
  number_reserve_ = std::make_unique<NumberReserve>();
  ServerRegistry* registry = uses.store->registry();
  const bool promises = std::ranges::any_of(by_name_, [](const auto& pool) {
    return pool.second.journal != nullptr;
  });
  if (registry == nullptr || !promises) return absl::OkStatus();
  auto reserve = NumberReserve::Start(registry, &sequence_, uses.clock);
  if (!reserve.ok()) return reserve.status();
  number_reserve_ = *std::move(reserve);
  return absl::OkStatus();
}

void Pools::StartPool(const Config& config, const std::string& name,
                      const ProcessingStep& step, const Uses& uses) {
  ServerPool& pool = by_name_.at(name);
  const PoolConfig& pool_config = config.pools.at(name);
  pool.answers_lookups = name == config.method(Method::kGetReceipts).pool;
  if (pool.answers_lookups) {
    LookupSources sources = {.store = uses.store,
                             .recent = uses.recent,
                             .journals = {},
                             .clock = uses.clock,
                             .closing = &closing_};
    for (const auto& [other, with_journal] : by_name_) {
      if (with_journal.journal == nullptr) continue;
      sources.journals.push_back(with_journal.journal.get());
    }
    pool.processor = std::make_unique<LookupProcessor>(std::move(sources));
  } else {
    pool.stage_metrics = std::make_unique<StageMetrics>(name, uses.registry);
    pool.processor = std::make_unique<SubmissionProcessor>(
        uses.store, step, uses.clock, pool.stage_metrics.get(), &new_numbers_);
  }
  pool.workers = std::make_unique<WorkerPool>(
      WorkerPoolOptions{
          .name = name,
          .limits = GateLimitsOf(config, name),
          .workers = WorkerRangeOf(pool_config),
          .task_timeout = ToMonotonic(pool_config.workers.task_timeout),
          .on_hang = [name](const WorkerHang& hang) { LogHang(name, hang); },
          .batch = BatchLimitsOf(pool_config),
          .methods = kMethods},
      pool.processor.get(), uses.clock,
      pool.answers_lookups ? &lookup_sequence_ : &sequence_);
  if (pool.journal == nullptr) return;
  pool.journal_metrics = std::make_unique<JournalMetrics>(name, uses.registry);
  pool.disk = std::make_unique<DiskReserve>(
      [path = pool_config.journal_path, free_disk = uses.free_disk] {
        return free_disk(path);
      },
      pool_config.min_free_disk);
  pool.journal_writer = std::make_unique<JournalWriter>(
      JournalWriter::Uses{.journal = pool.journal.get(),
                          .disk = pool.disk.get(),
                          .numbers = number_reserve_.get(),
                          .new_numbers = &new_numbers_,
                          .assigned = assigned_recorder_.get(),
                          .pool = pool.workers.get(),
                          .clock = uses.clock,
                          .metrics = pool.journal_metrics.get()});
}

void Pools::Resize(const Config& config) {
  SLUICE_DCHECK_EQ(config.pools.size(), by_name_.size());
  for (const auto& [name, pool_config] : config.pools) {
    const ServerPool& pool = by_name_.at(name);
    WorkerPool& workers = *pool.workers;
    workers.Resize(GateLimitsOf(config, name), BatchLimitsOf(pool_config));
    workers.SetWorkers(WorkerRangeOf(pool_config));
    if (pool.journal == nullptr) continue;
    pool.journal->SetQuarantineLimits(QuarantineLimitsOf(pool_config));
    pool.disk->SetMinimum(pool_config.min_free_disk);
  }
}

std::map<std::string, PoolSnapshot> Pools::Snapshots() const {
  std::map<std::string, PoolSnapshot> snapshots;
  for (const auto& [name, pool] : by_name_) {
    snapshots[name] = pool.workers->Snapshot();
  }
  return snapshots;
}

absl::StatusOr<std::vector<std::int64_t>> Pools::PendingSequences() const {
  std::vector<std::int64_t> all;
  for (const auto& [name, pool] : by_name_) {
    if (pool.answers_lookups) continue;
    // Visit the unread entries before the queue, because entries move from one
    // to the other.
    if (pool.journal != nullptr) {
      const absl::Status status =
          pool.journal->VisitUnread([&](const UnreadEntry& entry) {
            all.push_back(entry.receipt.sequence);
          });
      if (!status.ok()) return status;
    }
    // Read this number before the queue. The number is cleared after the
    // submission has entered the queue, so the submission is found in one of
    // the two.
    const std::int64_t moving = pool.retries->sequence;
    if (moving != 0) all.push_back(moving);
    const std::vector<std::int64_t> some = pool.workers->Sequences();
    all.insert(all.end(), some.begin(), some.end());
  }
  const std::vector<std::int64_t> renumbered = new_numbers_.Pending();
  all.insert(all.end(), renumbered.begin(), renumbered.end());
  return all;
}

void Pools::Close(TimePoint until) {
  closing_ = true;
  for (const auto& [name, pool] : by_name_) {
    pool.workers->Close(until, pool.journal == nullptr ? Promises::kInMemory
                                                       : Promises::kDurable);
  }
  number_reserve_->Close();
}

bool Pools::AwaitIdle(TimePoint deadline) {
  bool idle = true;
  for (const auto& [name, pool] : by_name_) {
    idle &= pool.workers->AwaitIdle(deadline);
  }
  idle &= number_reserve_->AwaitIdle(deadline);
  idle &= assigned_recorder_->AwaitIdle(deadline);
  return idle;
}

void Pools::Join() {
  for (const auto& [name, pool] : by_name_) {
    pool.workers->Join();
    if (pool.journal_writer != nullptr) pool.journal_writer->Join();
  }
  number_reserve_->Join();
  assigned_recorder_->Join();
}

void Pools::CloseJournals() {
  for (auto& [name, pool] : by_name_) pool.journal.reset();
}

}  // namespace sluice

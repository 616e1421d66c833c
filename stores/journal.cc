#include "stores/journal.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/check.h"
#include "stores/journal_file.h"
#include "stores/journal_rescue.h"
#include "stores/journal_state.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

// Maximum number of ranges that one transaction may remove.
constexpr std::size_t kRangesAtOnce = 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(
    const std::string& path, const JournalOptions& options) {
  absl::StatusOr<ClaimedFile> claimed = ClaimSqliteFile(path);
  if (!claimed.ok()) return claimed.status();
  const auto known = JournalStateFile::Read(JournalStatePath(claimed->path));
  if (!known.ok()) return known.status();
  auto file = JournalFile::Open(claimed->path, *known, /*adopt=*/false);
  std::string accepted;
  if (absl::IsDataLoss(file.status()) && options.accept_damage) {
    accepted = std::string(file.status().message());
    file = JournalFile::Open(claimed->path, *known, /*adopt=*/true);
    if (absl::IsDataLoss(file.status())) {
      const absl::Status rescued =
          RescueJournal(claimed->path, *known, absl::Now());
      if (!rescued.ok()) return NamingFile(rescued, path);
      file = JournalFile::Open(claimed->path, {}, /*adopt=*/true);
    }
  }
  if (!file.ok()) return NamingFile(file.status(), path);
  const auto damaged = (*file)->CountDamaged();
  if (!damaged.ok()) return NamingFile(damaged.status(), path);
  DropUnfinishedRescue(claimed->path);
  (*file)->Shrink();
  return std::unique_ptr<Journal>(
      new Journal(std::move(claimed->lock), *std::move(file),
                  static_cast<std::size_t>(*damaged), std::move(accepted)));
}

Journal::Journal(FileLock lock, std::unique_ptr<JournalFile> file,
                 std::size_t damaged, std::string accepted_damage)
    : lock_(std::move(lock)),
      accepted_damage_(std::move(accepted_damage)),
      file_(std::move(file)),
      last_position_(file_->state().last_position),
      quarantined_(static_cast<std::size_t>(file_->state().quarantined)),
      damaged_(damaged) {}

Journal::~Journal() = default;

absl::Status Journal::Replay(absl::FunctionRef<void(JournalEntry)> visit) {
  const std::int64_t last = last_position();
  for (std::int64_t after = 0; after < last;) {
    const std::int64_t before = after;
    absl::StatusOr<std::vector<JournalEntry>> part;
    {
      absl::MutexLock lock(&file_mutex_);
      part = ReadOrQuarantine(before, last, after);
    }
    if (!part.ok()) return part.status();
    if (after == before) break;
    SLUICE_DCHECK_GT(after, before);
    for (JournalEntry& entry : *part) visit(std::move(entry));
  }
  return absl::OkStatus();
}

// Returns the undamaged ones of the next entries, and quarantines damaged
// entries. Sets `read_up_to` to the last position that was read; leaves
// `read_up_to` unchanged if there are no more entries.
absl::StatusOr<std::vector<JournalEntry>> Journal::ReadOrQuarantine(
    std::int64_t after, std::int64_t last, std::int64_t& read_up_to) {
  absl::StatusOr<std::vector<EntryRow>> rows = file_->Read(after, last);
  if (!rows.ok()) return rows.status();
  std::vector<JournalEntry> entries;
  std::vector<UnstorableEntry> damaged;
  entries.reserve(rows->size());
  for (EntryRow& row : *rows) {
    read_up_to = row.entry.position;
    if (row.damage.empty()) {
      entries.push_back(std::move(row.entry));
    } else {
      damaged.push_back(
          {.position = row.entry.position, .reason = std::move(row.damage)});
    }
  }
  for (const absl::Status& status : QuarantineUpTo(damaged.size(), damaged)) {
    if (!status.ok()) return status;
  }
  return entries;
}

absl::StatusOr<std::int64_t> Journal::LastSequence() {
  absl::MutexLock lock(&file_mutex_);
  return file_->state().last_sequence;
}

absl::StatusOr<std::int64_t> Journal::Append(
    absl::Span<const NewJournalEntry> entries) {
  absl::MutexLock lock(&file_mutex_);
  const std::int64_t first = last_position() + 1;
  if (entries.empty()) return first;
  const auto forgotten = file_->Append(entries, first, FirstDone());
  if (!forgotten.ok()) return Wrote(forgotten.status());
  // Set `last_position_` only after the commit: MarkDone ignores positions
  // above it, and the positions of a failed group are assigned again.
  {
    absl::MutexLock state_lock(&state_mutex_);
    SLUICE_DCHECK_EQ(last_position_ + 1, first);
    last_position_ += static_cast<std::int64_t>(entries.size());
  }
  Forgotten(*forgotten);
  Committed();
  return first;
}

void Journal::MarkDone(std::int64_t position) {
  absl::MutexLock lock(&state_mutex_);
  // Ignore a position that is not assigned yet. Otherwise the entry that gets
  // the position later would be forgotten.
  if (position > 0 && position <= last_position_) done_.Add(position);
}

absl::Status Journal::Forget() {
  // Leave entries that are appended meanwhile to the next call, so that this
  // call ends.
  const std::int64_t last = last_position();
  for (bool more = true; more;) {
    absl::MutexLock lock(&file_mutex_);
    const absl::Status status = ForgetUpTo(last, more);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Forgets as many entries as one transaction may remove. Sets `more` if the
// caller must call again.
absl::Status Journal::ForgetUpTo(std::int64_t last, bool& more) {
  const std::vector<PositionRange> done = FirstDone();
  more = !done.empty() && done.front().first <= last;
  if (!more) return absl::OkStatus();
  const auto forgotten = file_->Remove(done);
  if (!forgotten.ok()) return Wrote(forgotten.status());
  Forgotten(*forgotten);
  // The transaction stopped at its limits, or there were more ranges than it
  // looked at.
  more = *forgotten != done || done.size() == kRangesAtOnce;
  if (!more) file_->Shrink();
  Committed();
  return absl::OkStatus();
}

std::vector<absl::Status> Journal::Quarantine(
    absl::Span<const UnstorableEntry> entries) {
  absl::MutexLock lock(&file_mutex_);
  return QuarantineUpTo(
      kQuarantineMax - std::min(kQuarantineMax, quarantined()), entries);
}

// Quarantines the entries, as far as the quarantine does not grow by more than
// `room` entries.
std::vector<absl::Status> Journal::QuarantineUpTo(
    std::size_t room, absl::Span<const UnstorableEntry> entries) {
  if (entries.empty()) return {};
  using Added = JournalFile::Added;
  const auto added = file_->Quarantine(entries, room, absl::Now());
  if (!added.ok()) return {entries.size(), Failed(added.status())};
  std::vector<absl::Status> results;
  results.reserve(added->size());
  for (const absl::StatusOr<Added>& one : *added) {
    results.push_back(one.status());
  }
  if (std::ranges::any_of(*added, &absl::StatusOr<Added>::ok)) Committed();
  // Count after the commit, but still under file_mutex_, so that the limit in
  // Quarantine stays valid.
  absl::MutexLock state_lock(&state_mutex_);
  for (const absl::StatusOr<Added>& one : *added) {
    if (!one.ok() || *one == Added::kNothing) continue;
    ++quarantined_;
    if (*one == Added::kDamagedEntry) ++damaged_;
  }
  return results;
}

absl::StatusOr<JournalEntry> Journal::Release(std::int64_t sequence) {
  absl::MutexLock lock(&file_mutex_);
  absl::StatusOr<JournalEntry> entry = file_->Release(sequence);
  if (!entry.ok()) return Failed(entry.status());
  Committed();
  absl::MutexLock state_lock(&state_mutex_);
  SLUICE_DCHECK_EQ(entry->position, last_position_ + 1);
  SLUICE_DCHECK_GT(quarantined_, 0u);
  last_position_ = entry->position;
  --quarantined_;
  return entry;
}

absl::StatusOr<std::vector<Quarantined>> Journal::ListQuarantine(
    std::int64_t after, std::size_t max, bool with_content) {
  absl::MutexLock lock(&file_mutex_);
  return file_->ListQuarantine(after, max, with_content);
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
Journal::FindQuarantined(std::string_view study_id,
                         absl::Span<const std::string> submission_ids) {
  // Usual case: return without waiting for a commit in progress, which holds
  // file_mutex_.
  if (quarantined() == 0) {
    return std::vector<std::optional<Quarantined>>(submission_ids.size());
  }
  absl::MutexLock lock(&file_mutex_);
  return file_->FindQuarantined(study_id, submission_ids);
}

std::size_t Journal::quarantined() const {
  absl::MutexLock lock(&state_mutex_);
  return quarantined_;
}

std::size_t Journal::damaged() const {
  absl::MutexLock lock(&state_mutex_);
  return damaged_;
}

absl::Status Journal::Check() {
  // A commit in progress may hang, so do not wait for it: return the result of
  // the previous write.
  if (!file_mutex_.TryLock()) return last_write();
  const bool writing = !last_write().ok();
  absl::Status status = file_->Probe(writing);
  if (writing) status = Wrote(status);
  file_mutex_.Unlock();
  return status;
}

std::int64_t Journal::last_position() const {
  absl::MutexLock lock(&state_mutex_);
  return last_position_;
}

std::vector<PositionRange> Journal::FirstDone() const {
  absl::MutexLock lock(&state_mutex_);
  return done_.First(kRangesAtOnce);
}

void Journal::Forgotten(const std::vector<PositionRange>& ranges) {
  absl::MutexLock lock(&state_mutex_);
  for (const PositionRange& range : ranges) done_.Remove(range);
}

absl::Status Journal::last_write() const {
  absl::MutexLock lock(&state_mutex_);
  return last_write_;
}

void Journal::Committed() { Wrote(file_->state_file_status()).IgnoreError(); }

absl::Status Journal::Failed(const absl::Status& status) {
  return IsTransient(status) ? Wrote(status) : status;
}

absl::Status Journal::Wrote(absl::Status status) {
  absl::MutexLock lock(&state_mutex_);
  last_write_ = status;
  return status;
}

}  // namespace sluice

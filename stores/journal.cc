#include "stores/journal.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "base/check.h"
#include "stores/journal_file.h"
#include "stores/journal_rescue.h"
#include "stores/journal_state.h"
#include "stores/sqlite_file.h"
#include "stores/submission_key.h"

namespace sluice {
namespace {

// Maximum number of ranges that one transaction may remove.
constexpr std::size_t kRangesAtOnce = 1024;

// Limits for one part of Replay.
constexpr std::size_t kReplayEntries = 256;
constexpr std::size_t kReplayBytes = std::size_t{1} << 20;

// Number of entries, or of ids, that a long read reads with the lock held.
constexpr std::size_t kPartEntries = 256;
// The same for entries with their contents.
constexpr std::size_t kPartContents = 8;

// Returns up to `max` rows after `after`. `read` reads up to a number of rows
// after a key, with the lock held. `key_of` returns the key of a row.
template <typename Row, typename ReadPart, typename KeyOf>
absl::StatusOr<std::vector<Row>> ListInParts(std::int64_t after,
                                             std::size_t max, std::size_t part,
                                             ReadPart read, KeyOf key_of) {
  std::vector<Row> all;
  while (all.size() < max) {
    const std::size_t count = std::min(part, max - all.size());
    absl::StatusOr<std::vector<Row>> rows = read(after, count);
    if (!rows.ok()) return rows;
    std::ranges::move(*rows, std::back_inserter(all));
    if (rows->size() < count) break;
    after = key_of(all.back());
  }
  return all;
}

// Finds a row for each id. `find` finds the rows of some ids, with the lock
// held.
template <typename Row, typename FindPart>
absl::StatusOr<std::vector<std::optional<Row>>> FindInParts(
    absl::Span<const std::string> ids, FindPart find) {
  std::vector<std::optional<Row>> all;
  all.reserve(ids.size());
  while (!ids.empty()) {
    const auto part = ids.subspan(0, kPartEntries);
    absl::StatusOr<std::vector<std::optional<Row>>> rows = find(part);
    if (!rows.ok()) return rows;
    std::ranges::move(*rows, std::back_inserter(all));
    ids.remove_prefix(part.size());
  }
  return all;
}

StoredReceipt ReceiptOf(const ReceivedSubmission& submission) {
  return {.sequence = submission.sequence,
          .received_at = submission.received_at,
          .content_sha256 = submission.content_sha256};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(
    const std::string& path, const JournalOptions& options) {
  absl::StatusOr<ClaimedFile> claimed = ClaimSqliteFile(path);
  if (!claimed.ok()) return claimed.status();
  const auto known = JournalStateFile::Read(JournalStatePath(claimed->path));
  if (!known.ok()) return known.status();
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(claimed->path, error);
  const bool created = error || bytes == 0;
  auto file = JournalFile::Open(claimed->path, *known, /*adopt=*/false);
  std::string accepted;
  if (absl::IsDataLoss(file.status()) && options.accept_damage) {
    accepted = std::string(file.status().message());
    file = JournalFile::Open(claimed->path, *known, /*adopt=*/true);
    if (absl::IsDataLoss(file.status())) {
      const absl::Status rescued =
          RescueJournal(claimed->path, *known, options.series, absl::Now());
      if (!rescued.ok()) return NamingFile(rescued, path);
      file = JournalFile::Open(claimed->path, {}, /*adopt=*/true);
    }
  }
  if (!file.ok()) return NamingFile(file.status(), path);
  const auto damaged = (*file)->CountDamaged();
  if (!damaged.ok()) return NamingFile(damaged.status(), path);
  const auto discarded = (*file)->CountDiscarded();
  if (!discarded.ok()) return NamingFile(discarded.status(), path);
  QuarantineRoom room(options.quarantine);
  const absl::Status measured = (*file)->MeasureQuarantine(room);
  if (!measured.ok()) return NamingFile(measured, path);
  if (options.quarantined_ids != nullptr) {
    const absl::Status read =
        (*file)->ReadQuarantinedIds([&](const Quarantined& entry) {
          options.quarantined_ids->Add(SubmissionKey::Of(entry.submission),
                                       ReceiptOf(entry.submission));
        });
    if (!read.ok()) return NamingFile(read, path);
  }
  DropUnfinishedRescue(claimed->path);
  (*file)->Shrink();
  (*file)->CountOnly(options.series);
  return std::unique_ptr<Journal>(new Journal(
      std::move(claimed->path), std::move(claimed->lock), *std::move(file),
      std::move(room), static_cast<std::size_t>(*damaged),
      static_cast<std::size_t>(*discarded), options.quarantined_ids,
      std::move(accepted), created));
}

Journal::Journal(std::string path, FileLock lock,
                 std::unique_ptr<JournalFile> file, QuarantineRoom room,
                 std::size_t damaged, std::size_t discarded,
                 QuarantinedIds* quarantined_ids, std::string accepted_damage,
                 bool created)
    : lock_(std::move(lock)),
      path_(std::move(path)),
      id_(JournalIdText(file->state().id)),
      accepted_damage_(std::move(accepted_damage)),
      created_(created),
      quarantined_ids_(quarantined_ids),
      file_(std::move(file)),
      last_position_(file_->state().last_position),
      unread_last_(last_position_),
      unread_(static_cast<std::size_t>(file_->state().entries)),
      room_(std::move(room)),
      damaged_(damaged),
      discarded_(discarded),
      may_promise_all_(room_.MayPromiseAll()) {}

Journal::~Journal() = default;

absl::Status Journal::Replay(absl::FunctionRef<void(JournalEntry)> visit) {
  const std::int64_t last = last_position();
  for (std::int64_t after = kBeforeAllEntries; after < last;) {
    absl::StatusOr<JournalPart> part;
    {
      absl::MutexLock lock(&file_mutex_);
      part = Read(after, last, kReplayEntries, kReplayBytes);
    }
    if (!part.ok()) return part.status();
    if (part->read == 0) break;
    SLUICE_DCHECK_GT(part->read_up_to, after);
    after = part->read_up_to;
    for (JournalEntry& entry : part->entries) visit(std::move(entry));
  }
  return absl::OkStatus();
}

absl::StatusOr<JournalPart> Journal::Read(std::int64_t after, std::int64_t last,
                                          std::size_t max_entries,
                                          std::size_t max_bytes) {
  absl::StatusOr<std::vector<EntryRow>> rows =
      file_->Read(after, last, max_entries, max_bytes);
  if (!rows.ok()) return rows.status();
  JournalPart part{.read = rows->size(), .read_up_to = after};
  part.entries.reserve(rows->size());
  std::vector<UnstorableEntry> damaged;
  for (EntryRow& row : *rows) {
    part.read_up_to = row.entry.position;
    if (row.damage.empty()) {
      part.entries.push_back(std::move(row.entry));
    } else {
      damaged.push_back(
          {.position = row.entry.position, .reason = std::move(row.damage)});
    }
  }
  for (const absl::Status& status : QuarantineEntries(damaged)) {
    // On a full disk a start must still be possible, so leave the entry in the
    // journal. The next start finds the damage again.
    if (IsTransient(status)) {
      ++part.damaged_left;
    } else if (!status.ok()) {
      return status;
    }
  }
  return part;
}

std::size_t Journal::unread() const {
  absl::MutexLock lock(&state_mutex_);
  return unread_;
}

absl::StatusOr<JournalPart> Journal::ReadUnread(std::size_t max_entries,
                                                std::size_t max_bytes) {
  absl::MutexLock lock(&file_mutex_);
  std::int64_t after = 0;
  std::int64_t last = 0;
  {
    absl::MutexLock state_lock(&state_mutex_);
    after = read_up_to_;
    last = unread_last_;
  }
  if (after >= last) return JournalPart{.read_up_to = after};
  return Read(after, last, max_entries, max_bytes);
}

void Journal::MarkRead(const JournalPart& part) {
  absl::MutexLock lock(&state_mutex_);
  SLUICE_DCHECK_GE(part.read_up_to, read_up_to_);
  read_up_to_ = part.read == 0 ? unread_last_ : part.read_up_to;
  unread_ -= std::min(unread_, part.read);
  // The file may have lost rows that were counted, so the last position decides
  // that all entries are read.
  if (read_up_to_ == unread_last_) unread_ = 0;
}

absl::Status Journal::VisitUnread(
    absl::FunctionRef<void(const UnreadEntry&)> visit) {
  struct Entry {
    std::string study_id;
    std::string submission_id;
    StoredReceipt receipt;
  };
  std::vector<Entry> part;
  for (std::int64_t after = kBeforeAllEntries;;) {
    // Do not wait for a commit when there is nothing to visit.
    if (unread() == 0) return absl::OkStatus();
    part.clear();
    absl::StatusOr<std::int64_t> up_to;
    std::int64_t last = 0;
    {
      const PartLock lock(this);
      {
        absl::MutexLock state_lock(&state_mutex_);
        after = std::max(after, read_up_to_);
        last = unread_last_;
      }
      up_to = file_->VisitReceipts(
          after, last, kPartEntries, [&](const UnreadEntry& entry) {
            part.push_back({std::string(entry.study_id),
                            std::string(entry.submission_id), entry.receipt});
          });
    }
    if (!up_to.ok()) return up_to.status();
    for (const Entry& entry : part) {
      visit({.study_id = entry.study_id,
             .submission_id = entry.submission_id,
             .receipt = entry.receipt});
    }
    if (*up_to >= last) return absl::OkStatus();
    after = *up_to;
  }
}

Journal::PartLock::PartLock(Journal* journal) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : journal_(*journal) {
  // A thread that unlocks a mutex and locks it again at once usually gets it
  // before a thread that waits. The limit lets the reader go on although the
  // writer hardly pauses.
  constexpr absl::Duration kPatience = absl::Milliseconds(10);
  journal_.file_mutex_.LockWhenWithTimeout(
      absl::Condition(
          +[](std::atomic<int>* waiting) { return *waiting == 0; },
          &journal_.writers_waiting_),
      kPatience);
}

Journal::PartLock::~PartLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  journal_.file_mutex_.Unlock();
  absl::MutexLock lock(&journal_.state_mutex_);
  journal_.hang_.Ended();
}

absl::StatusOr<std::int64_t> Journal::LastSequence() {
  absl::MutexLock lock(&file_mutex_);
  return file_->state().last_sequence;
}

absl::Status Journal::RaiseLastSequence(std::int64_t sequence) {
  absl::MutexLock lock(&file_mutex_);
  if (file_->state().last_sequence >= sequence) return absl::OkStatus();
  const absl::Status raised = file_->RaiseLastSequence(sequence);
  if (!raised.ok()) return Wrote(raised);
  Committed();
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> Journal::Append(
    absl::Span<const NewJournalEntry> entries) {
  ++writers_waiting_;
  absl::MutexLock lock(&file_mutex_);
  --writers_waiting_;
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
    ++writers_waiting_;
    absl::MutexLock lock(&file_mutex_);
    --writers_waiting_;
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
  return QuarantineEntries(entries);
}

std::vector<absl::Status> Journal::QuarantineEntries(
    absl::Span<const UnstorableEntry> entries) {
  if (entries.empty()) return {};
  using Added = JournalFile::Added;
  struct Checked {
    std::string study_id;
    std::size_t bytes = 0;  // of the content
    SubmissionKey key;
    StoredReceipt receipt;
  };
  // The entries that have room, by position, and what they use together.
  absl::flat_hash_map<std::int64_t, Checked> checked;
  absl::flat_hash_map<std::string, QuarantineRoom::Use> by_study;
  QuarantineRoom::Use all;
  const auto check_room = [&](const EntryRow& row) {
    const ReceivedSubmission& submission = row.entry.submission;
    QuarantineRoom::Use& of_study = by_study[submission.study_id];
    // Quarantine a damaged entry whatever the limits: it cannot be processed,
    // so it must not stay in the journal.
    if (row.damage.empty() && !MayQuarantine(submission, of_study, all)) {
      return absl::ResourceExhaustedError(
          "the quarantine has no room for this study");
    }
    const std::size_t bytes = submission.content.size();
    checked[row.entry.position] = {submission.study_id, bytes,
                                   SubmissionKey::Of(submission),
                                   ReceiptOf(submission)};
    for (QuarantineRoom::Use* use : {&of_study, &all}) {
      ++use->entries;
      use->bytes += bytes;
    }
    return absl::OkStatus();
  };
  const auto added = file_->Quarantine(entries, absl::Now(), check_room);
  if (!added.ok()) return {entries.size(), Failed(added.status())};
  if (std::ranges::any_of(*added, &absl::StatusOr<Added>::ok)) Committed();
  // Count after the commit, but still under file_mutex_, so that the check of
  // the room stays valid.
  std::vector<absl::Status> results;
  results.reserve(added->size());
  absl::MutexLock state_lock(&state_mutex_);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const absl::StatusOr<Added>& one = (*added)[i];
    results.push_back(one.status());
    if (!one.ok() || *one == Added::kNothing) continue;
    Checked& entry = checked[entries[i].position];
    if (*one == Added::kRepetition) {
      ++discarded_;
      continue;
    }
    room_.Add(entry.study_id, entry.bytes);
    if (*one == Added::kDamagedEntry) {
      ++damaged_;
    } else if (quarantined_ids_ != nullptr) {
      if (entries[i].new_sequence != 0) {
        entry.receipt.sequence = entries[i].new_sequence;
      }
      quarantined_ids_->Add(entry.key, entry.receipt);
    }
  }
  UpdatePromises();
  return results;
}

absl::StatusOr<JournalEntry> Journal::Release(std::int64_t sequence) {
  absl::MutexLock lock(&file_mutex_);
  absl::StatusOr<JournalEntry> entry = file_->Release(sequence);
  if (!entry.ok()) return Failed(entry.status());
  Committed();
  absl::MutexLock state_lock(&state_mutex_);
  SLUICE_DCHECK_EQ(entry->position, last_position_ + 1);
  last_position_ = entry->position;
  room_.Remove(entry->submission.study_id, entry->submission.content.size());
  UpdatePromises();
  return entry;
}

absl::Status Journal::Discard(std::int64_t sequence, std::string_view reason,
                              std::string_view by) {
  absl::MutexLock lock(&file_mutex_);
  const absl::StatusOr<Discarded> discarded =
      file_->Discard(sequence, reason, by, absl::Now());
  if (!discarded.ok()) return Failed(discarded.status());
  Committed();
  const Quarantined& quarantined = discarded->quarantined;
  absl::MutexLock state_lock(&state_mutex_);
  room_.Remove(quarantined.submission.study_id,
               static_cast<std::size_t>(discarded->content_bytes));
  if (quarantined.damaged && damaged_ > 0) --damaged_;
  if (quarantined_ids_ != nullptr) {
    quarantined_ids_->Remove(SubmissionKey::Of(quarantined.submission),
                             sequence);
  }
  ++discarded_;
  UpdatePromises();
  return absl::OkStatus();
}

absl::Status Journal::RemoveQuarantined(
    absl::Span<const std::int64_t> sequences) {
  if (sequences.empty()) return absl::OkStatus();
  absl::MutexLock lock(&file_mutex_);
  const absl::StatusOr<std::vector<Quarantined>> removed =
      file_->RemoveQuarantined(sequences);
  if (!removed.ok()) return Failed(removed.status());
  Committed();
  absl::MutexLock state_lock(&state_mutex_);
  for (const Quarantined& entry : *removed) {
    room_.Remove(entry.submission.study_id, entry.submission.content.size());
    if (entry.damaged && damaged_ > 0) --damaged_;
    if (quarantined_ids_ == nullptr) continue;
    quarantined_ids_->Remove(SubmissionKey::Of(entry.submission),
                             entry.submission.sequence);
  }
  UpdatePromises();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Discarded>> Journal::ListDiscarded(
    std::int64_t after, std::size_t max) {
  return ListInParts<Discarded>(
      after, max, kPartEntries,
      [this](std::int64_t from, std::size_t count) {
        const PartLock lock(this);
        return file_->ListDiscarded(from, count);
      },
      [](const Discarded& last) { return last.number; });
}

absl::StatusOr<std::vector<std::optional<Discarded>>> Journal::FindDiscarded(
    std::string_view study_id, absl::Span<const std::string> submission_ids) {
  {
    absl::MutexLock state_lock(&state_mutex_);
    if (discarded_ == 0) {
      return std::vector<std::optional<Discarded>>(submission_ids.size());
    }
  }
  return FindInParts<Discarded>(submission_ids,
                                [&](absl::Span<const std::string> ids) {
                                  const PartLock lock(this);
                                  return file_->FindDiscarded(study_id, ids);
                                });
}

void Journal::SetQuarantineLimits(const QuarantineLimits& limits) {
  absl::MutexLock lock(&state_mutex_);
  room_.SetLimits(limits);
  UpdatePromises();
}

bool Journal::MayPromise(std::string_view study_id) const {
  if (may_promise_all_.load(std::memory_order_relaxed)) return true;
  absl::MutexLock lock(&state_mutex_);
  return room_.MayPromise(study_id);
}

void Journal::UpdatePromises() {
  may_promise_all_.store(room_.MayPromiseAll(), std::memory_order_relaxed);
}

absl::StatusOr<std::vector<Quarantined>> Journal::ListQuarantine(
    std::int64_t after, std::size_t max, bool with_content) {
  return ListInParts<Quarantined>(
      after, max, with_content ? kPartContents : kPartEntries,
      [this, with_content](std::int64_t from, std::size_t count) {
        const PartLock lock(this);
        return file_->ListQuarantine(from, count, with_content);
      },
      [](const Quarantined& last) { return last.submission.sequence; });
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
Journal::FindQuarantined(std::string_view study_id,
                         absl::Span<const std::string> submission_ids) {
  // Usual case: return without waiting for a commit in progress, which holds
  // file_mutex_.
  if (quarantined() == 0) {
    return std::vector<std::optional<Quarantined>>(submission_ids.size());
  }
  return FindInParts<Quarantined>(
      submission_ids, [&](absl::Span<const std::string> ids) {
        const PartLock lock(this);
        return file_->FindQuarantined(study_id, ids);
      });
}

bool Journal::MayQuarantine(const ReceivedSubmission& submission,
                            const QuarantineRoom::Use& more_of_study,
                            const QuarantineRoom::Use& more) const {
  absl::MutexLock lock(&state_mutex_);
  return room_.MayAdd(submission.study_id, more_of_study, more);
}

std::size_t Journal::quarantined() const {
  absl::MutexLock lock(&state_mutex_);
  return room_.entries();
}

std::size_t Journal::quarantined_bytes() const {
  absl::MutexLock lock(&state_mutex_);
  return room_.bytes();
}

std::size_t Journal::damaged() const {
  absl::MutexLock lock(&state_mutex_);
  return damaged_;
}

absl::Status Journal::Backup(const std::string& path, const CopyPace& pace) {
  // Check before the copy: opening a file that has replaced the journal could
  // damage both. Check again after it: the copy of such a file is no backup of
  // the journal.
  absl::Status status = CheckFiles();
  if (status.ok()) status = BackUpJournal(path_, path, pace);
  return status.ok() ? CheckFiles() : status;
}

absl::Status Journal::CheckFiles() {
  absl::MutexLock lock(&file_mutex_);
  return file_->CheckFiles();
}

absl::Status Journal::Check() {
  // A commit in progress may hang, so do not wait for it: return the result of
  // the previous write.
  if (!file_mutex_.TryLock()) {
    absl::MutexLock lock(&state_mutex_);
    const absl::Status hangs = hang_.Look(std::chrono::steady_clock::now());
    return hangs.ok() ? last_write_ : hangs;
  }
  const bool writing = !last_write().ok();
  absl::Status status = file_->Probe(writing);
  {
    absl::MutexLock lock(&state_mutex_);
    hang_.Ended();
  }
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
  // RESOURCE_EXHAUSTED means that the quarantine has no room for a study. The
  // file can still be written.
  return IsTransient(status) && !absl::IsResourceExhausted(status)
             ? Wrote(status)
             : status;
}

absl::Status Journal::Wrote(absl::Status status) {
  absl::MutexLock lock(&state_mutex_);
  last_write_ = status;
  hang_.Ended();
  return status;
}

}  // namespace sluice

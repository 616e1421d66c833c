#include "stores/journal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "stores/journal_file.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

// Maximum number of ranges that one transaction may remove.
constexpr std::size_t kRangesAtOnce = 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(
    const std::string& path) {
  absl::StatusOr<ClaimedFile> claimed = ClaimSqliteFile(path);
  if (!claimed.ok()) return claimed.status();
  auto file = JournalFile::Open(claimed->path);
  if (!file.ok()) return NamingFile(file.status(), path);
  const auto last_position = (*file)->LastPosition();
  if (!last_position.ok()) return NamingFile(last_position.status(), path);
  const auto quarantined = (*file)->CountQuarantined();
  if (!quarantined.ok()) return NamingFile(quarantined.status(), path);
  (*file)->Shrink();
  return std::unique_ptr<Journal>(
      new Journal(std::move(claimed->lock), *std::move(file), *last_position,
                  static_cast<std::size_t>(*quarantined)));
}

Journal::Journal(FileLock lock, std::unique_ptr<JournalFile> file,
                 std::int64_t last_position, std::size_t quarantined)
    : lock_(std::move(lock)),
      file_(std::move(file)),
      last_position_(last_position),
      quarantined_(quarantined) {}

Journal::~Journal() = default;

absl::Status Journal::Replay(absl::FunctionRef<void(JournalEntry)> visit) {
  const std::int64_t last = last_position();
  for (std::int64_t after = 0; after < last;) {
    absl::StatusOr<std::vector<JournalEntry>> part;
    {
      absl::MutexLock lock(&file_mutex_);
      part = file_->Read(after, last);
    }
    if (!part.ok()) return part.status();
    if (part->empty()) break;
    SLUICE_DCHECK_GT(part->front().position, after);
    after = part->back().position;
    for (JournalEntry& entry : *part) visit(std::move(entry));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> Journal::LastSequence() {
  absl::MutexLock lock(&file_mutex_);
  return file_->LastSequence();
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
  Wrote(absl::OkStatus()).IgnoreError();
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
  const auto forgotten = file_->Remove(done, last_position());
  if (!forgotten.ok()) return Wrote(forgotten.status());
  Forgotten(*forgotten);
  // The transaction stopped at its limits, or there were more ranges than it
  // looked at.
  more = *forgotten != done || done.size() == kRangesAtOnce;
  if (!more) file_->Shrink();
  return Wrote(absl::OkStatus());
}

absl::Status Journal::Quarantine(std::int64_t position, std::string_view reason,
                                 int tries) {
  absl::MutexLock lock(&file_mutex_);
  if (quarantined() >= kQuarantineMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("quarantine is full: it has ", kQuarantineMax));
  }
  const absl::StatusOr<bool> added =
      file_->Quarantine(position, reason, tries, absl::Now(), last_position());
  if (!added.ok()) return Failed(added.status());
  // Count after the commit, but still under file_mutex_, so that the check of
  // the limit above stays valid.
  absl::MutexLock state_lock(&state_mutex_);
  if (*added) ++quarantined_;
  return absl::OkStatus();
}

absl::StatusOr<JournalEntry> Journal::Release(std::int64_t sequence) {
  absl::MutexLock lock(&file_mutex_);
  absl::StatusOr<JournalEntry> entry =
      file_->Release(sequence, last_position() + 1);
  if (!entry.ok()) return Failed(entry.status());
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

absl::Status Journal::Failed(const absl::Status& status) {
  return IsTransient(status) ? Wrote(status) : status;
}

absl::Status Journal::Wrote(absl::Status status) {
  absl::MutexLock lock(&state_mutex_);
  last_write_ = status;
  return status;
}

}  // namespace sluice

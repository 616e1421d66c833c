#include "stores/recording_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sequence_series.h"

namespace sluice {
namespace {

// Describes what the store lacks, given its last number and the content of the
// file. Returns an empty text if the store lacks nothing.
std::string MissingText(const std::string& path,
                        const SequenceFile::Content& known, std::int64_t last) {
  if (known.file_exists && !known.last.has_value()) {
    return absl::StrCat(path,
                        " is damaged, so it is unknown whether the store lacks"
                        " submissions; the last sequence number of the store"
                        " is ",
                        last);
  }
  // Numbers in the series of another server say nothing about this server.
  if (!known.last.has_value() || known.last->saved <= last ||
      SeriesOf(known.last->saved) != SeriesOf(last)) {
    return "";
  }
  return absl::StrCat(
      "the store lacks its last submissions: the last sequence number that it"
      " has is ",
      last, ", and ", path, " knows ", known.last->saved,
      "; acknowledged numbers ", last + 1, " to ", known.last->saved,
      " are missing. New numbers continue after ", known.last->assigned);
}

// Returns the numbers with which a server starts, given the last number of the
// store and the content of the file.
absl::StatusOr<SequenceFile::Numbers> FirstNumbers(
    Store& store, const SequenceFile::Content& known, std::int64_t last) {
  SequenceFile::Numbers numbers = {.saved = last, .assigned = last};
  const auto raise = [last](std::int64_t number, std::int64_t& highest) {
    if (SeriesOf(number) == SeriesOf(last)) highest = std::max(highest, number);
  };
  if (known.last.has_value()) {
    raise(known.last->saved, numbers.saved);
    raise(known.last->assigned, numbers.assigned);
  } else if (store.registry() != nullptr) {
    const absl::StatusOr<std::int64_t> reserved = store.registry()->Reserved();
    if (!reserved.ok()) return reserved.status();
    raise(*reserved, numbers.assigned);
  }
  numbers.assigned = std::max(numbers.assigned, numbers.saved);
  return numbers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingStore>> RecordingStore::Open(
    std::unique_ptr<Store> store, const std::string& path) {
  const auto known = SequenceFile::Read(path);
  if (!known.ok()) return known.status();
  const absl::StatusOr<std::int64_t> last = store->LastSequence();
  if (!last.ok()) return last.status();
  std::string missing = MissingText(path, *known, *last);
  const auto numbers = FirstNumbers(*store, *known, *last);
  if (!numbers.ok()) return numbers.status();
  absl::StatusOr<SequenceFile> file = SequenceFile::Open(path, *numbers);
  if (!file.ok()) return file.status();
  return std::unique_ptr<RecordingStore>(new RecordingStore(
      std::move(store), *std::move(file), *numbers, std::move(missing)));
}

absl::Status RecordingStore::SaveBatch(absl::Span<const Submission> batch,
                                       absl::Span<Saved> saved) {
  const absl::Status status = store_->SaveBatch(batch, saved);
  if (!status.ok() || batch.empty()) return status;
  {
    absl::MutexLock lock(&mutex_);
    for (const Submission& submission : batch) {
      // A journal may have numbers of another server's series. They say nothing
      // about this server.
      if (SeriesOf(submission.sequence) != SeriesOf(last_.saved)) continue;
      last_.saved = std::max(last_.saved, submission.sequence);
    }
    last_.assigned = std::max(last_.assigned, last_.saved);
  }
  absl::MutexLock lock(&file_mutex_);
  WriteFile();
  return status;
}

void RecordingStore::RecordAssigned(std::int64_t sequence) {
  {
    absl::MutexLock lock(&mutex_);
    if (SeriesOf(sequence) == SeriesOf(last_.assigned)) {
      last_.assigned = std::max(last_.assigned, sequence);
    }
  }
  absl::MutexLock lock(&file_mutex_);
  WriteFile();
}

void RecordingStore::WriteFile() {
  SequenceFile::Numbers last;
  {
    absl::MutexLock lock(&mutex_);
    last = last_;
  }
  if (last == in_file_) return;
  const absl::Status written = file_.Write(last);
  if (written.ok()) in_file_ = last;
  absl::MutexLock lock(&mutex_);
  written_ = written;
}

absl::StatusOr<std::int64_t> RecordingStore::LastSequence() {
  const absl::StatusOr<std::int64_t> last = store_->LastSequence();
  if (!last.ok()) return last;
  absl::MutexLock lock(&mutex_);
  return std::max(*last, last_.assigned);
}

absl::Status RecordingStore::Check() {
  absl::Status status = store_->Check();
  if (!status.ok()) return status;
  // A write in progress may hang, so do not wait for it: return the result of
  // the write before.
  if (file_mutex_.TryLock()) {
    WriteFile();
    file_mutex_.Unlock();
  }
  absl::MutexLock lock(&mutex_);
  return written_;
}

}  // namespace sluice

#include "stores/recording_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sequence_series.h"

namespace sluice {
namespace {

struct ReadFile {
  std::string path;
  SequenceFile::Content content;
};

absl::StatusOr<std::vector<ReadFile>> ReadFiles(
    absl::Span<const std::string> paths) {
  std::vector<ReadFile> files;
  for (const std::string& path : paths) {
    auto content = SequenceFile::Read(path);
    if (!content.ok()) return content.status();
    files.push_back({path, *std::move(content)});
  }
  return files;
}

// Describes what the store lacks, given its last number and its sequence files.
// Returns an empty text if the store lacks nothing.
std::string MissingText(absl::Span<const ReadFile> files, std::int64_t last) {
  const ReadFile& first = files.front();
  if (first.content.file_exists && !first.content.last.has_value()) {
    return absl::StrCat(first.path,
                        " is damaged, so it is unknown whether the store lacks"
                        " submissions; the last sequence number of the store"
                        " is ",
                        last);
  }
  const ReadFile* highest = nullptr;
  std::int64_t saved = last;
  for (const ReadFile& file : files) {
    const auto& known = file.content.last;
    // Numbers in the series of another server say nothing about this server.
    if (!known.has_value() || SeriesOf(known->saved) != SeriesOf(last) ||
        known->saved <= saved) {
      continue;
    }
    saved = known->saved;
    highest = &file;
  }
  if (highest == nullptr) return "";
  return absl::StrCat(
      "the store lacks its last submissions: the last sequence number that it"
      " has is ",
      last, ", and ", highest->path, " knows ", saved,
      "; acknowledged numbers ", last + 1, " to ", saved, " are missing");
}

// Returns the numbers with which a server starts, given the last number of the
// store and its sequence files.
absl::StatusOr<SequenceFile::Numbers> FirstNumbers(
    Store& store, absl::Span<const ReadFile> files, std::int64_t last) {
  SequenceFile::Numbers numbers = {.saved = last, .assigned = last};
  const auto raise = [last](std::int64_t number, std::int64_t& highest) {
    if (SeriesOf(number) == SeriesOf(last)) highest = std::max(highest, number);
  };
  for (const ReadFile& file : files) {
    if (!file.content.last.has_value()) continue;
    raise(file.content.last->saved, numbers.saved);
    raise(file.content.last->assigned, numbers.assigned);
  }
  // The file that was written last is missing or damaged.
  if (!files.front().content.last.has_value() && store.registry() != nullptr) {
    const absl::StatusOr<std::int64_t> reserved = store.registry()->Reserved();
    if (!reserved.ok()) return reserved.status();
    raise(*reserved, numbers.assigned);
  }
  numbers.assigned = std::max(numbers.assigned, numbers.saved);
  return numbers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingStore>> RecordingStore::Open(
    std::unique_ptr<Store> store, absl::Span<const std::string> paths) {
  SLUICE_DCHECK(!paths.empty());
  const auto files = ReadFiles(paths);
  if (!files.ok()) return files.status();
  const absl::StatusOr<std::int64_t> last = store->LastSequence();
  if (!last.ok()) return last.status();
  const auto numbers = FirstNumbers(*store, *files, *last);
  if (!numbers.ok()) return numbers.status();
  std::string missing = MissingText(*files, *last);
  if (numbers->saved > *last) {
    absl::StrAppend(&missing, ". New numbers continue after ",
                    numbers->assigned);
  }
  absl::StatusOr<SequenceFile> file =
      SequenceFile::Open(paths.front(), *numbers);
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

#include "server/admin/store_export.h"

#include <utility>

#include "server/admin/admin_messages.h"

namespace sluice {
namespace {

constexpr std::size_t kQuarantinePageMax = 1000;

// Adds the sequence numbers of all submissions in the pool's quarantine.
absl::Status AddQuarantined(AdminBackend& backend, const std::string& pool,
                            std::vector<std::int64_t>& sequences) {
  std::int64_t after = 0;
  for (;;) {
    const auto page = backend.ListQuarantine(pool, after, kQuarantinePageMax,
                                             /*with_content=*/false);
    if (!page.ok()) return page.status();
    for (const Quarantined& entry : *page) {
      sequences.push_back(entry.submission.sequence);
    }
    if (page->size() < kQuarantinePageMax) return absl::OkStatus();
    after = sequences.back();
  }
}

// Adds the sequence numbers of all submissions that were discarded.
absl::Status AddDiscarded(AdminBackend& backend, const std::string& pool,
                          std::vector<std::int64_t>& sequences) {
  std::int64_t after = 0;
  for (;;) {
    const auto page = backend.ListDiscarded(pool, after, kQuarantinePageMax);
    if (!page.ok()) return page.status();
    for (const Discarded& record : *page) {
      sequences.push_back(record.quarantined.submission.sequence);
      after = record.number;
    }
    if (page->size() < kQuarantinePageMax) return absl::OkStatus();
  }
}

class StoreExport {
 public:
  using Take = absl::FunctionRef<bool(const v1::ExportResponse&)>;

  StoreExport(const v1::ExportRequest& request, SequenceCensus census,
              Take take)
      : request_(request),
        last_sequence_(census.last),
        gaps_(request.after_sequence(), std::move(census)),
        take_(take) {
    if (request.has_received_since()) since_ = ToTime(request.received_since());
  }

  absl::Status Run(Store& store) {
    std::int64_t after = request_.after_sequence();
    for (bool more = true; more;) {
      auto page = store.Read(after, kExportPageMax, kExportPageBytesMax);
      if (!page.ok()) return page.status();
      more = !page->last;
      if (more && page->submissions.empty()) {
        return absl::InternalError("the store returned an empty page");
      }
      gaps_.AddKnown(page->gaps);
      for (Submission& submission : page->submissions) {
        after = submission.sequence;
        if (gaps_.IsLater(after)) {
          // All later numbers of this server are later than the census, too.
          // Continue with the numbers of the next server.
          after = BeginOfSeries(SeriesOf(after) + 1);
          more = true;
          break;
        }
        if (!TakeSubmission(std::move(submission))) return Stopped();
      }
      if (!TakeProgress(after)) return Stopped();
    }
    for (const SequenceRange& range : gaps_.End()) {
      if (!TakeGap(range)) return Stopped();
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Stopped() {
    return absl::CancelledError("the caller has cancelled the export");
  }

  // The functions below return the result of `take_`: false ends the export.

  bool TakeSubmission(Submission submission) {
    const bool recent = submission.received_at >= since_;
    const std::int64_t series = SeriesOf(submission.sequence);
    seen_recent_ = recent || (seen_recent_ && series == series_);
    series_ = series;
    for (const SequenceRange& range : gaps_.Before(submission.sequence)) {
      // Leave out gaps before the first submission since `since_`. Keep gaps at
      // the end of another server's series, because their age is unknown.
      const bool wanted = seen_recent_ || SeriesOf(range.first) != series;
      if (wanted && !TakeGap(range)) return false;
    }
    if (!recent || !IsOfStudy(submission)) return true;
    v1::ExportResponse response;
    *response.mutable_submission() = ToExported(std::move(submission));
    return take_(response);
  }

  bool TakeGap(const SequenceRange& range) {
    v1::ExportResponse response;
    *response.mutable_gap() = ToGap(range);
    return take_(response);
  }

  bool TakeProgress(std::int64_t sequence) {
    v1::ExportResponse response;
    response.mutable_progress()->set_sequence(sequence);
    response.mutable_progress()->set_last_sequence(last_sequence_);
    return take_(response);
  }

  bool IsOfStudy(const Submission& submission) const {
    return request_.study_id().empty() ||
           submission.study_id == request_.study_id();
  }

  const v1::ExportRequest& request_;
  const std::int64_t last_sequence_;
  absl::Time since_ = absl::InfinitePast();

  SequenceGaps gaps_;
  Take take_;
  std::int64_t series_ = 0;  // series of the last submission
  // True if a submission of `series_` was received at or after `since_`.
  bool seen_recent_ = false;
};

}  // namespace

absl::StatusOr<SequenceCensus> TakeCensus(AdminBackend& backend) {
  SequenceCensus census;
  census.last = backend.LastSequence();
  auto pending = backend.PendingSequences();
  if (!pending.ok()) return pending.status();
  census.queued = *std::move(pending);
  for (const std::string& pool : backend.QuarantinePools()) {
    absl::Status status = AddQuarantined(backend, pool, census.quarantined);
    if (status.ok()) status = AddDiscarded(backend, pool, census.discarded);
    if (!status.ok()) return status;
  }
  // Read the queues a second time. A submission that moved from quarantine to a
  // queue after the first reading was seen in neither place.
  pending = backend.PendingSequences();
  if (!pending.ok()) return pending.status();
  census.queued.insert(census.queued.end(), pending->begin(), pending->end());
  return census;
}

absl::Status ExportStore(
    AdminBackend& backend, const v1::ExportRequest& request,
    absl::FunctionRef<bool(const v1::ExportResponse&)> take) {
  absl::StatusOr<SequenceCensus> census = TakeCensus(backend);
  if (!census.ok()) return census.status();
  return StoreExport(request, *std::move(census), take).Run(backend.store());
}

}  // namespace sluice

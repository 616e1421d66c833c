#include "server/metrics/journal_metrics.h"

#include "server/metrics/families.h"

namespace sluice {

JournalMetrics::JournalMetrics(const std::string& pool,
                               prometheus::Registry* registry)
    : depth_(
          AddGauge("sluice_journal_depth",
                   "Acknowledged submissions that the store does not have yet.",
                   {{"pool", pool}}, registry)),
      quarantined_(AddGauge("sluice_quarantined",
                            "Acknowledged submissions that cannot be stored.",
                            {{"pool", pool}}, registry)),
      quarantined_bytes_(
          AddGauge("sluice_quarantined_bytes",
                   "Bytes of acknowledged submissions that cannot be stored.",
                   {{"pool", pool}}, registry)),
      damaged_(AddGauge("sluice_quarantined_damaged",
                        "Quarantined submissions that were damaged in the "
                        "journal's file.",
                        {{"pool", pool}}, registry)),
      free_disk_(AddGauge("sluice_journal_disk_free_bytes",
                          "Free bytes of the disk of the journal.",
                          {{"pool", pool}}, registry)),
      commit_seconds_(AddHistogram(
          "sluice_journal_commit_seconds", "Time of a commit to the journal.",
          {{"pool", pool}}, SecondsBuckets(), registry)),
      batch_size_(AddHistogram("sluice_journal_batch_size",
                               "Submissions in a commit to the journal.",
                               {{"pool", pool}}, SizeBuckets(), registry)) {}

void JournalMetrics::ObserveCommit(Duration time, std::size_t entries) {
  commit_seconds_->Observe(ToSeconds(time));
  batch_size_->Observe(static_cast<double>(entries));
}

void JournalMetrics::CountAppended(std::size_t entries) {
  depth_->Increment(static_cast<double>(entries));
}

void JournalMetrics::CountForgotten(std::size_t entries) {
  depth_->Decrement(static_cast<double>(entries));
}

void JournalMetrics::SetQuarantined(std::size_t count, std::size_t bytes,
                                    std::size_t damaged) {
  quarantined_->Set(static_cast<double>(count));
  quarantined_bytes_->Set(static_cast<double>(bytes));
  damaged_->Set(static_cast<double>(damaged));
}

void JournalMetrics::SetFreeDisk(std::size_t bytes) {
  free_disk_->Set(static_cast<double>(bytes));
}

}  // namespace sluice

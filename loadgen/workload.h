// What is sent with a method, and how its answers are read.

#ifndef SLUICE_LOADGEN_WORKLOAD_H_
#define SLUICE_LOADGEN_WORKLOAD_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "loadgen/load_options.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {

// Receipts by their disposition, whose number is the index. Numbers that this
// client does not know count as unspecified.
class DispositionCounts {
 public:
  void Add(v1::Receipt::Disposition disposition);
  void Add(const DispositionCounts& other);
  std::int64_t of(int disposition) const {
    return counts_[static_cast<std::size_t>(disposition)];
  }

 private:
  std::array<std::int64_t, v1::Receipt::Disposition_ARRAYSIZE> counts_{};
};

// Not thread-safe.
class Workload {
 public:
  Workload(LoadMethod method, SampleOptions samples);

  // E.g. "/sluice.v1.Ingestion/Submit".
  const std::string& path() const { return path_; }

  // The next request's bytes; valid until the next call.
  Sample NextRequest(absl::Time now) { return samples_.Next(now); }

  // Adds the dispositions that an answer names. False where it is not one.
  bool ReadAnswer(absl::string_view message, DispositionCounts& counts);

  // The receipt of a stream's message; null where it is not one. Valid until
  // the next call.
  const v1::Receipt* ReadReceipt(absl::string_view message);

 private:
  const LoadMethod method_;
  const std::string path_;
  SampleSubmissions samples_;

  // Reused, which spares protobuf the allocations.
  v1::Receipt receipt_;
  v1::ImportPatientsResponse import_response_;
  v1::RecordEventsResponse events_response_;
  v1::GetReceiptsResponse receipts_response_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_WORKLOAD_H_

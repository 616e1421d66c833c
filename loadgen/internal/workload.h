// The requests of a method, and the decoding of its answers.

#ifndef SLUICE_LOADGEN_INTERNAL_WORKLOAD_H_
#define SLUICE_LOADGEN_INTERNAL_WORKLOAD_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "loadgen/loadgen.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {

// Not thread-safe.
class Workload {
 public:
  Workload(LoadMethod method, SampleOptions samples);

  // Returns the path of the RPC, e.g. "/sluice.v1.Ingestion/Submit".
  const std::string& path() const { return path_; }

  // Returns the next request. The views are valid until the next call.
  Sample NextRequest(absl::Time now) { return samples_.Next(now); }

  // Adds the dispositions of all receipts in an answer. Returns false if
  // `message` cannot be parsed.
  bool ReadAnswer(absl::string_view message, DispositionCounts& counts);

  // Parses a receipt of a stream. Returns null if `message` cannot be parsed.
  // The result is valid until the next call.
  const v1::Receipt* ReadReceipt(absl::string_view message);

 private:
  const LoadMethod method_;
  const std::string path_;
  SampleSubmissions samples_;

  // Reused for each answer to avoid allocations.
  v1::Receipt receipt_;
  v1::ImportPatientsResponse import_response_;
  v1::RecordEventsResponse events_response_;
  v1::GetReceiptsResponse receipts_response_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_WORKLOAD_H_

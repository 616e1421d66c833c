// Serialized requests at hundreds of thousands per second. Each template is
// made once and sent many times, each time with new ids written into its bytes.

#ifndef SLUICE_LOADGEN_SAMPLE_SUBMISSIONS_H_
#define SLUICE_LOADGEN_SAMPLE_SUBMISSIONS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/uuid.h"
#include "loadgen/sample_forms.h"

namespace sluice {

enum class SampleKind {
  kSubmitRequest,
  kImportPatientsRequest,
  kRecordEventsRequest,
  kGetReceiptsRequest,
};

struct SampleOptions {
  SampleKind kind = SampleKind::kSubmitRequest;
  FormOptions form;
  // Number of records, events or ids in a request. Ignored for kSubmitRequest.
  int entries = 1;
  UuidVersion id_version = UuidVersion::kTimeOrdered;
  // The same seed gives the same requests in the same order, except for ids of
  // version 7, which contain the time.
  std::uint64_t seed = 1;
};

struct Sample {
  absl::string_view bytes;     // the serialized request
  absl::string_view first_id;  // view into `bytes`
};

// Not thread-safe.
class SampleSubmissions {
 public:
  explicit SampleSubmissions(const SampleOptions& options);

  // Returns the next request. The views are valid until the next call.
  Sample Next(absl::Time now);

 private:
  // A serialized request whose ids begin at `id_offsets`.
  struct Template {
    std::string bytes;
    std::vector<std::size_t> id_offsets;
  };

  UuidGenerator ids_;
  std::vector<Template> templates_;
  std::size_t next_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_SAMPLE_SUBMISSIONS_H_

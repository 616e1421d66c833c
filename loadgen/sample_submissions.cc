#include "loadgen/sample_submissions.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

// Number of templates: enough that caches do not hold all of them.
constexpr std::size_t kTemplatesMax = 256;
constexpr std::size_t kTemplateBytesMax = std::size_t{4} << 20;

// Placeholder of an id in a template.
constexpr absl::string_view kPlaceholder =
    "########-####-####-####-############";
static_assert(kPlaceholder.size() == UuidText{}.size());

std::string MakeRequest(const SampleOptions& options, std::mt19937_64& random) {
  const std::string placeholder(kPlaceholder);
  switch (options.kind) {
    case SampleKind::kSubmitRequest: {
      v1::SubmitRequest request = SampleSubmission(options.form, random);
      request.set_submission_id(placeholder);
      return request.SerializeAsString();
    }
    case SampleKind::kImportPatientsRequest: {
      v1::ImportPatientsRequest request;
      request.set_study_id(options.form.study_id);
      request.set_site_id(SampleSite(random));
      for (int i = 0; i < options.entries; ++i) {
        auto& record = *request.add_records();
        record = SamplePatientRecord(options.form, random);
        record.set_record_id(placeholder);
      }
      return request.SerializeAsString();
    }
    case SampleKind::kRecordEventsRequest: {
      v1::RecordEventsRequest request;
      request.set_study_id(options.form.study_id);
      request.set_site_id(SampleSite(random));
      for (int i = 0; i < options.entries; ++i) {
        auto& event = *request.add_events();
        event = SampleEvent(options.form, random);
        event.set_event_id(placeholder);
      }
      return request.SerializeAsString();
    }
    case SampleKind::kGetReceiptsRequest: {
      v1::GetReceiptsRequest request;
      request.set_study_id(options.form.study_id);
      for (int i = 0; i < options.entries; ++i) {
        request.add_submission_ids(placeholder);
      }
      return request.SerializeAsString();
    }
  }
  return "";
}

std::vector<std::size_t> FindPlaceholders(absl::string_view bytes) {
  std::vector<std::size_t> offsets;
  for (std::size_t at = bytes.find(kPlaceholder); at != bytes.npos;
       at = bytes.find(kPlaceholder, at + kPlaceholder.size())) {
    offsets.push_back(at);
  }
  return offsets;
}

}  // namespace

SampleSubmissions::SampleSubmissions(const SampleOptions& options)
    : ids_(options.id_version, options.seed) {
  std::mt19937_64 random(options.seed);
  std::size_t bytes = 0;
  do {
    Template made{.bytes = MakeRequest(options, random), .id_offsets = {}};
    made.id_offsets = FindPlaceholders(made.bytes);
    bytes += made.bytes.size();
    templates_.push_back(std::move(made));
  } while (templates_.size() < kTemplatesMax && bytes < kTemplateBytesMax);
}

Sample SampleSubmissions::Next(absl::Time now) {
  Template& sample = templates_[next_];
  next_ = (next_ + 1) % templates_.size();
  for (const std::size_t offset : sample.id_offsets) {
    const UuidText id = ids_.Next(now);
    std::ranges::copy(
        id, sample.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  absl::string_view first_id;
  if (!sample.id_offsets.empty()) {
    first_id = absl::string_view(sample.bytes)
                   .substr(sample.id_offsets.front(), kPlaceholder.size());
  }
  return {sample.bytes, first_id};
}

}  // namespace sluice

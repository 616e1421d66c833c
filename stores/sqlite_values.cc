#include "stores/sqlite_values.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace sluice {

std::string_view KindName(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return "questionnaire_response";
    case SubmissionKind::kPatientRecord:
      return "patient_record";
    case SubmissionKind::kAppEvent:
      return "app_event";
  }
  return "";
}

std::optional<SubmissionKind> ParseKind(std::string_view name) {
  for (const SubmissionKind kind :
       {SubmissionKind::kQuestionnaireResponse, SubmissionKind::kPatientRecord,
        SubmissionKind::kAppEvent}) {
    if (KindName(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string TimeText(absl::Time time) {
  constexpr std::int64_t kDay = std::int64_t{24} * 3600 * 1'000'000;
  const std::int64_t microseconds = absl::ToUnixMicros(time);
  const std::int64_t of_day = (microseconds % kDay + kDay) % kDay;
  const std::int64_t day = (microseconds - of_day) / kDay;
  // Formatting the date is slow, so the last date is kept: most times are on
  // the same day as the previous time.
  thread_local std::int64_t day_of_date = 0;
  thread_local std::string date = "1970-01-01T";
  if (day != day_of_date) {
    date = absl::FormatTime("%E4Y-%m-%dT", time, absl::UTCTimeZone());
    day_of_date = day;
  }
  const std::int64_t seconds = of_day / 1'000'000;
  return absl::StrCat(date, absl::Dec(seconds / 3600, absl::kZeroPad2), ":",
                      absl::Dec(seconds / 60 % 60, absl::kZeroPad2), ":",
                      absl::Dec(seconds % 60, absl::kZeroPad2), ".",
                      absl::Dec(of_day % 1'000'000, absl::kZeroPad6), "Z");
}

std::string TimeText(const std::optional<absl::Time>& time) {
  static const absl::Time kFirst =
      absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone());
  static const absl::Time kEnd =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  if (!time.has_value() || *time < kFirst || *time >= kEnd) return "";
  return TimeText(*time);
}

std::string_view DigestBlob(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::optional<Sha256Digest> ParseDigest(std::string_view blob) {
  Sha256Digest digest;
  if (blob.size() != digest.size()) return std::nullopt;
  std::ranges::copy(blob, digest.begin());
  return digest;
}

}  // namespace sluice

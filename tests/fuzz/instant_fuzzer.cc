// If ParseInstant and protobuf both accept a text, they return the same
// instant. An instant is equal after it was written in UTC and read again.

#include <string>

#include "absl/time/time.h"
#include "forms/answers.h"
#include "google/protobuf/util/time_util.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {

void FuzzOne(std::string_view input) {
  const std::optional<absl::Time> time = ParseInstant(input);
  if (!time) return;
  google::protobuf::Timestamp timestamp;
  // Protobuf does not know leap seconds.
  if (google::protobuf::util::TimeUtil::FromString(std::string(input),
                                                   &timestamp)) {
    Require(absl::FromUnixSeconds(timestamp.seconds()) +
                    absl::Nanoseconds(timestamp.nanos()) ==
                absl::FromUnixNanos(0) + absl::Floor(*time - absl::UnixEpoch(),
                                                     absl::Nanoseconds(1)),
            "protobuf reads the same instant");
  }
  // An offset can lead to the years 0 and 10000.
  const std::string utc =
      absl::FormatTime("%E4Y-%m-%dT%H:%M:%E*SZ", *time, absl::UTCTimeZone());
  if (utc.size() < 20 || utc.substr(0, 4) == "0000" || utc[4] != '-') return;
  Require(ParseInstant(utc) == time, "an instant in UTC is the same instant");
}

}  // namespace sluice

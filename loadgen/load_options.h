// What a run of the load generator is told to do.

#ifndef SLUICE_LOADGEN_LOAD_OPTIONS_H_
#define SLUICE_LOADGEN_LOAD_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "loadgen/pacing.h"
#include "loadgen/profile.h"
#include "loadgen/sample_submissions.h"

namespace sluice {

enum class LoadMethod { kSubmit, kStream, kImport, kEvents, kReceipts };

// As --method names it: submit, stream, import, events, receipts.
std::optional<LoadMethod> FindLoadMethod(absl::string_view name);
// The RPC's name, e.g. "SubmitStream".
absl::string_view RpcName(LoadMethod method);

struct LoadOptions {
  std::string target = "127.0.0.1:50051";
  LoadMethod method = LoadMethod::kSubmit;
  int connections = 1;
  // On each connection, among which kStream's messages are spread.
  int streams = 1;

  // Closed loop: so many calls (of kStream: messages) are kept in flight on
  // each connection. 0 in an open loop.
  int outstanding = 1;

  // Open loop: calls start at this rate a second, whatever comes back. 0 in a
  // closed loop, and with a profile.
  double rate = 0;
  Arrivals arrivals = Arrivals::kConstant;
  // Open loop: calls start when this says, and the run keeps a timeline.
  std::optional<LoadProfile> profile;
  bool open_loop() const { return rate > 0 || profile.has_value(); }
  // A call that would exceed so many in flight is not sent, but counted.
  int in_flight_max = 10000;

  // Calls that start in the warm-up are not measured.
  absl::Duration warmup = absl::ZeroDuration();
  // How long calls start after that.
  absl::Duration duration = absl::Seconds(10);
  // Ends the run once so many measured calls have started; 0: no end.
  std::int64_t requests = 0;
  // How long to wait, after the last start, for answers that are still out.
  absl::Duration grace = absl::Seconds(10);

  // Of the calls that are in flight after the last start so many are given up,
  // chosen at random: from 0 to 1.
  double abandon = 0;

  // Sent as grpc-timeout, and kept by the client too. Infinite: none.
  absl::Duration deadline = absl::InfiniteDuration();

  // What is sent; `kind` follows from the method.
  SampleOptions samples;
};

// INVALID_ARGUMENT, naming the flag, where a value or a combination of values
// makes no sense.
absl::Status Validate(const LoadOptions& options);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LOAD_OPTIONS_H_

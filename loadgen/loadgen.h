// The load generator: runs one load against a server of sluice.v1.Ingestion and
// reports the results. This header is the library's interface; everything in
// internal/ may change without notice.
//
//   LoadOptions options;
//   options.target = "127.0.0.1:50051";
//   options.rate = 1000;  // an open loop: 1,000 calls per second
//   options.outstanding = 0;
//   if (absl::Status s = Validate(options); !s.ok()) return s;
//   ProgressBar progress(STDERR_FILENO);
//   std::atomic<bool> stop = false;
//   absl::StatusOr<LoadResult> result = RunLoad(options, progress, stop);
//   if (result.ok()) std::cout << JsonReport(options, *result);
//
// Programs in other languages run `sluice-load --json`, which prints
// JsonReport.
//
// Also public: latency_histogram.h, profile.h (a load that follows a
// description of traffic), sample_forms.h and sample_submissions.h (requests
// that look real).

#ifndef SLUICE_LOADGEN_LOADGEN_H_
#define SLUICE_LOADGEN_LOADGEN_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/progress_bar.h"
#include "base/time.h"
#include "loadgen/latency_histogram.h"
#include "loadgen/profile.h"
#include "loadgen/sample_submissions.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {

// --- The load ---

enum class LoadMethod { kSubmit, kStream, kImport, kEvents, kReceipts };

// Finds a method by its name on the command line: submit, stream, import,
// events or receipts.
std::optional<LoadMethod> FindLoadMethod(absl::string_view name);

// Returns the RPC's name, e.g. "SubmitStream".
absl::string_view RpcName(LoadMethod method);

// Distribution of the calls of an open loop over time.
enum class Arrivals {
  kConstant,  // at equal intervals
  kPoisson,   // at random, as from many independent senders
};

// In a closed loop (`outstanding`), each answer starts the next call. In an
// open loop (`rate` or `profile`), calls start on schedule, whether or not
// earlier calls were answered.
struct LoadOptions {
  std::string target = "127.0.0.1:50051";  // host:port
  LoadMethod method = LoadMethod::kSubmit;
  int connections = 1;
  // kStream only: number of streams on each connection. A message goes to the
  // stream with the fewest messages in flight.
  int streams = 1;

  // Closed loop: number of calls (kStream: messages) kept in flight on each
  // connection. 0 in an open loop.
  int outstanding = 1;

  // Open loop: calls per second. 0 in a closed loop and with a profile.
  double rate = 0;
  Arrivals arrivals = Arrivals::kConstant;  // only with `rate`
  // Open loop: call starts follow the profile, and the result has a timeline.
  std::optional<LoadProfile> profile;
  bool open_loop() const { return rate > 0 || profile.has_value(); }
  // Open loop: maximum number of calls in flight. Calls beyond the limit are
  // not sent; they are counted as `not_sent`.
  int in_flight_max = 10000;

  // Calls that start during the warm-up are not measured.
  absl::Duration warmup = absl::ZeroDuration();
  // Time in which measured calls start, after the warm-up.
  absl::Duration duration = absl::Seconds(10);
  // Ends the run after this many measured calls; 0: no limit.
  std::int64_t requests = 0;
  // Longest wait for outstanding answers after the last call has started.
  absl::Duration grace = absl::Seconds(10);

  // Share (0 to 1) of the calls in flight that the client cancels when the
  // last call has started. The calls are chosen at random.
  double abandon = 0;

  // Deadline of each call. It is sent as grpc-timeout, and the client enforces
  // it too. Infinite: no deadline.
  absl::Duration deadline = absl::InfiniteDuration();

  // Contents of the requests. `samples.kind` is ignored; it follows from
  // `method`.
  SampleOptions samples;

  // URL of the server's /metrics, e.g. "http://127.0.0.1:9464/metrics", which
  // is scraped once a second while the load runs. Requires a profile, because
  // the samples are stored in the timeline. Empty: not scraped.
  std::string metrics_url;
  // The pool whose metrics are recorded. Empty: the sum of all pools.
  std::string pool;
};

// Checks the options. Returns INVALID_ARGUMENT, naming the flag of sluice-load,
// if a value or a combination of values is not allowed.
absl::Status Validate(const LoadOptions& options);

// --- The result ---

// Number of gRPC status codes, including OK.
inline constexpr std::size_t kStatusCodes = 17;

// Number of receipts by disposition. Dispositions that this client does not
// know count as unspecified.
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

// Counts of the measured calls: calls whose intended start is after the
// warm-up, whenever they ended. With kStream, a call is a message and its
// receipt.
struct LoadCounts {
  struct Range {
    std::int64_t min;
    std::int64_t max;
  };

  std::int64_t sent = 0;
  std::int64_t not_sent = 0;       // no connection, or too many in flight
  std::int64_t past_deadline = 0;  // ended after the deadline
  std::int64_t lost_calls = 0;     // the connection was lost
  std::array<std::int64_t, kStatusCodes> codes{};
  // For each status code, the message of the first call that ended with it.
  std::array<std::string, kStatusCodes> first_messages;
  // Receipts of the calls that ended OK.
  DispositionCounts dispositions;
  // Latency: the time from the intended start to the end of a call.
  LatencyHistogram latency;
  // Refusals by ErrorInfo.reason. At most 33 keys: further reasons are counted
  // as "(other)".
  std::map<std::string, std::int64_t> reasons;
  // Retry delays of refused calls, in milliseconds.
  std::optional<Range> pushback_ms;

  // Connections lost in the whole run, warm-up included.
  std::int64_t connections_lost = 0;
  absl::Status first_loss;

  std::int64_t ended() const { return latency.count(); }
  // Calls that were sent and had no answer when the run ended.
  std::int64_t unfinished() const { return sent - ended(); }
  std::int64_t of(absl::StatusCode code) const {
    return codes[static_cast<std::size_t>(code)];
  }
  const std::string& first_message(absl::StatusCode code) const {
    return first_messages[static_cast<std::size_t>(code)];
  }
};

// The server's own metrics of one pool, or the sum of all pools.
struct PoolSample {
  TimePoint at{};
  double workers = 0;
  double busy = 0;     // busy workers
  double depth = 0;    // queued submissions
  double waiting = 0;  // submissions in the waiting room
};

// One interval of a timeline. A call counts as offered in the interval of its
// intended start. In the interval of its end it counts under its result.
struct LoadInterval {
  std::int64_t offered = 0;
  std::int64_t in_time = 0;  // OK, before the deadline
  std::int64_t late = 0;     // OK after the deadline, or ended by the deadline
  // Answered RESOURCE_EXHAUSTED or UNAVAILABLE by the server.
  std::int64_t refused = 0;
  std::int64_t failed = 0;  // any other end, including lost connections
  // Percentiles of the latency of calls that ended in time; 0 if no call did.
  std::chrono::nanoseconds p50{0};
  std::chrono::nanoseconds p99{0};
  // The last scrape before the end of the interval. Empty if the metrics are
  // not scraped; all values are 0 before the first scrape.
  std::optional<PoolSample> pool = std::nullopt;
};

struct LoadResult {
  LoadCounts counts;
  // Time from the end of the warm-up to the last answer.
  double seconds = 0;
  // Calls that ended, per second, between the end of the warm-up and the end
  // of the load.
  double calls_per_second = 0;
  // Bytes on all sockets, in the whole run.
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;

  // With a profile: at most 300 intervals of equal length, each at least one
  // second long. Otherwise empty.
  std::vector<LoadInterval> timeline = {};
  Duration interval_length{};

  // True if the server answered no call because no connection could be
  // established or kept.
  bool unreachable() const {
    return counts.connections_lost > 0 && counts.ended() == counts.lost_calls;
  }
};

// --- Running and reporting ---

// Runs a load until its end or until `stop` is set, on the calling thread.
// `options` must be valid. Returns UNAVAILABLE if a connection cannot be made
// within 10 s, and INVALID_ARGUMENT if an address is malformed.
absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options,
                                   ProgressBar& progress,
                                   const std::atomic<bool>& stop);

// Returns a report for people, with one line per subject. Subjects without
// content are left out.
std::string TextReport(const LoadOptions& options, const LoadResult& result);

// Returns a report for programs: one JSON object and a newline. Latencies are
// in microseconds. Fields may be added, never renamed: tools/sim/compare,
// bench/ and the page of sluice-load read them.
std::string JsonReport(const LoadOptions& options, const LoadResult& result);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LOADGEN_H_

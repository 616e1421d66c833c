#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/sha256.h"
#include "benchmark/benchmark.h"
#include "forms/wire_check.h"
#include "loadgen/sample_submissions.h"
#include "server/calls/intake.h"
#include "server/submissions/decode.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

constexpr absl::Time kEvening = absl::FromUnixSeconds(1'772'395'200);

// Returns a serialized request of about `bytes` bytes.
std::string SampleRequest(std::int64_t bytes) {
  SampleOptions options;
  options.form.bytes_min = static_cast<std::size_t>(bytes);
  options.form.evening = kEvening;
  SampleSubmissions samples(options);
  return std::string(samples.Next(kEvening).bytes);
}

void Count(benchmark::State& state, const std::string& request) {
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(request.size()));
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("bytes")->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);
}

void WireCheck(benchmark::State& state) {
  const std::string request = SampleRequest(state.range(0));
  const WireChecker checker(v1::SubmitRequest::descriptor(),
                            LimitsConfig().nesting);
  for (auto _ : state) benchmark::DoNotOptimize(checker.Check(request));
  Count(state, request);
}
BENCHMARK(WireCheck)->Apply(Sizes);

// Measures checking a request, reading its ids and copying its bytes.
void IntakeRead(benchmark::State& state) {
  const std::string request = SampleRequest(state.range(0));
  const SubmitIntake intake{LimitsConfig()};
  const Sending sending{.received_at = kEvening, .sent_at = {}, .sender = {}};
  for (auto _ : state) {
    Submission submission;
    submission.content = request;
    benchmark::DoNotOptimize(intake.Read(sending, &submission));
  }
  Count(state, request);
}
BENCHMARK(IntakeRead)->Apply(Sizes);

// Measures decoding a request, as a worker does for a store with columns.
void DecodeSubmission(benchmark::State& state) {
  Submission submission;
  submission.content = SampleRequest(state.range(0));
  for (auto _ : state) {
    Decode(&submission);
    benchmark::DoNotOptimize(submission.answers_json.data());
  }
  Count(state, submission.content);
}
BENCHMARK(DecodeSubmission)->Apply(Sizes);

// Measures protobuf's parser with a reused message, for comparison.
void ParseByProtobuf(benchmark::State& state) {
  const std::string request = SampleRequest(state.range(0));
  v1::SubmitRequest message;
  for (auto _ : state) {
    benchmark::DoNotOptimize(message.ParseFromString(request));
  }
  Count(state, request);
}
BENCHMARK(ParseByProtobuf)->Apply(Sizes);

void Hash(benchmark::State& state) {
  const std::string request = SampleRequest(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(Sha256(request));
  Count(state, request);
}
BENCHMARK(Hash)->Apply(Sizes);

}  // namespace
}  // namespace sluice

// Throughput of a store without a server: the limit for a server with
// `ack: stored` or a journal.
//
// Files are in TMPDIR, which should be on a real disk. PostgreSQL is measured
// if SLUICE_BENCH_POSTGRES has the URL of a database, in which tables are
// created.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/sha256.h"
#include "benchmark/benchmark.h"
#include "loadgen/sample_submissions.h"
#include "server/calls/intake.h"
#include "server/submissions/decode.h"
#include "stores/journal.h"
#include "stores/registry.h"

namespace sluice {
namespace {

// A temporary folder of the benchmark, removed at its end.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              absl::StrCat("sluice-bench.", std::random_device()())) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string File(const char* name) const { return path_ / name; }

 private:
  const std::filesystem::path path_;
};

// Submissions as a worker passes them to a store: about 1 KiB, with ids ordered
// by time.
class Submissions {
 public:
  explicit Submissions(std::int64_t first_sequence)
      : sequence_(first_sequence) {}

  std::vector<Submission> Next(std::size_t count) {
    const absl::Time now = absl::Now();
    std::vector<Submission> batch(count);
    for (Submission& submission : batch) {
      const Sending sending{.received_at = now, .sent_at = {}, .sender = {}};
      submission.content = std::string(samples_.Next(now).bytes);
      intake_.Read(sending, &submission);
      submission.content_sha256 = Sha256(submission.content);
      submission.sequence = sequence_++;
      Decode(&submission);
    }
    return batch;
  }

 private:
  static SampleOptions Options() {
    SampleOptions options;
    options.form.evening = absl::Now();
    return options;
  }

  const SubmitIntake intake_{LimitsConfig()};
  SampleSubmissions samples_{Options()};
  std::int64_t sequence_;
};

void Batches(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("batch")->Arg(1)->Arg(64)->Arg(256)->UseRealTime();
}

void SaveBatches(benchmark::State& state, const char* kind,
                 const StoreOptions& options) {
  const auto store = OpenStore(kind, options, SameContentOfKind);
  if (!store.ok()) return state.SkipWithError("the store does not open");
  const auto last = (*store)->LastSequence();
  if (!last.ok()) return state.SkipWithError("the store cannot be read");
  Submissions submissions(*last + 1);
  std::vector<Saved> saved(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<Submission> batch = submissions.Next(saved.size());
    state.ResumeTiming();
    if (!(*store)->SaveBatch(batch, absl::MakeSpan(saved)).ok()) {
      return state.SkipWithError("a batch was not saved");
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void SqliteSaves(benchmark::State& state) {
  const TemporaryFolder folder;
  SaveBatches(state, "sqlite", {{"path", folder.File("sluice.db")}});
}
BENCHMARK(SqliteSaves)->Apply(Batches);

void PostgresSaves(benchmark::State& state) {
  const char* const url = std::getenv("SLUICE_BENCH_POSTGRES");
  if (url == nullptr) return state.SkipWithError("no SLUICE_BENCH_POSTGRES");
  SaveBatches(state, "postgres", {{"url", url}});
}
BENCHMARK(PostgresSaves)->Apply(Batches);

// Measures the look at the store before an answer from memory.
void LookAtGeneration(benchmark::State& state, const char* kind,
                      const StoreOptions& options) {
  const auto store = OpenStore(kind, options, SameContentOfKind);
  if (!store.ok()) return state.SkipWithError("the store does not open");
  for (auto _ : state) benchmark::DoNotOptimize((*store)->Generation());
}

void SqliteGeneration(benchmark::State& state) {
  const TemporaryFolder folder;
  LookAtGeneration(state, "sqlite", {{"path", folder.File("sluice.db")}});
}
BENCHMARK(SqliteGeneration);

void PostgresGeneration(benchmark::State& state) {
  const char* const url = std::getenv("SLUICE_BENCH_POSTGRES");
  if (url == nullptr) return state.SkipWithError("no SLUICE_BENCH_POSTGRES");
  LookAtGeneration(state, "postgres", {{"url", url}});
}
BENCHMARK(PostgresGeneration);

void DatastoreGeneration(benchmark::State& state) {
  LookAtGeneration(state, "datastore", {{"target", "127.0.0.1:1"}});
}
BENCHMARK(DatastoreGeneration);

void JournalAppends(benchmark::State& state) {
  const TemporaryFolder folder;
  const auto journal = Journal::Open(folder.File("journal.db"));
  if (!journal.ok()) return state.SkipWithError("the journal does not open");
  Submissions submissions(1);
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<Submission> group =
        submissions.Next(static_cast<std::size_t>(state.range(0)));
    std::vector<NewJournalEntry> entries;
    entries.reserve(group.size());
    for (const Submission& one : group) entries.push_back({"Submit", &one});
    state.ResumeTiming();
    if (!(*journal)->Append(entries).ok()) {
      return state.SkipWithError("a group was not appended");
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(JournalAppends)->Apply(Batches);

}  // namespace
}  // namespace sluice

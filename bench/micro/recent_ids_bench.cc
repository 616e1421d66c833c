#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "config/config.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/submission_task.h"

namespace sluice {
namespace {

// Returns more keys than are remembered, so that a key is forgotten before it
// repeats.
std::vector<SubmissionKey> ManyKeys() {
  std::vector<SubmissionKey> keys(4 * LimitsConfig().recent_ids);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i] = SubmissionKey::Of(SubmissionKind::kQuestionnaireResponse,
                                "STUDY-001", absl::StrCat("submission-", i));
  }
  return keys;
}

void KeyOfAnId(benchmark::State& state) {
  const std::string id = "0195a3c2-7f31-7c52-9b0f-3d2f6f1f0001";
  for (auto _ : state) {
    benchmark::DoNotOptimize(SubmissionKey::Of(
        SubmissionKind::kQuestionnaireResponse, "STUDY-001", id));
  }
}
BENCHMARK(KeyOfAnId);

// A task without a pool, which only arrives and ends.
std::shared_ptr<SubmissionTask> MakeTask() {
  static const MethodContext method = {};
  return MakeSubmissionTask(method,
                            MakeMethodSettings({.pool = "pool"}, FairBy::kNone),
                            nullptr, 0, SubmissionTask::Parking::kSilent);
}

// Measures the arrival of a new submission that is then stored, while the
// memory of ids is full.
void RecentIdsOfANewOne(benchmark::State& state) {
  RecentIds recent(LimitsConfig().recent_ids);
  const std::vector<SubmissionKey> keys = ManyKeys();
  const std::shared_ptr<SubmissionTask> task = MakeTask();
  StoredReceipt receipt;
  std::size_t next = 0;
  for (auto _ : state) {
    task->recent_id().key = keys[next];
    next = (next + 1) % keys.size();
    benchmark::DoNotOptimize(recent.Arrive(task, true, &receipt));
    benchmark::DoNotOptimize(recent.End(task.get(), {.stored = receipt}));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RecentIdsOfANewOne);

// Measures the repeated arrival of a stored submission.
void RecentIdsOfAKnownOne(benchmark::State& state) {
  RecentIds recent(LimitsConfig().recent_ids);
  const std::shared_ptr<SubmissionTask> task = MakeTask();
  task->recent_id().key = ManyKeys().front();
  StoredReceipt receipt;
  benchmark::DoNotOptimize(recent.End(task.get(), {.stored = receipt}));
  for (auto _ : state) {
    benchmark::DoNotOptimize(recent.Arrive(task, true, &receipt));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RecentIdsOfAKnownOne);

}  // namespace
}  // namespace sluice

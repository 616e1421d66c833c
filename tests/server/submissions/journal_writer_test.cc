#include "server/submissions/journal_writer.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "policies/fail_fast.h"
#include "prometheus/registry.h"
#include "server/submissions/submission_task.h"
#include "stores/journal.h"
#include "tests/fakes/fake_processor.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ElementsAre;

class CountingOwner final : public SubmissionOwner {
 public:
  explicit CountingOwner(CompletionLoop* loop) : loop_(loop) {}

  bool CallerGone() const override { return false; }
  CompletionLoop* loop() const override { return loop_; }
  void OnAnswer(std::size_t, std::string_view, const Answer&) override {
    ++answers_;
  }
  int answers() const { return answers_; }

 private:
  CompletionLoop* const loop_;
  std::atomic<int> answers_{0};
};

class JournalWriterTest : public testing::Test {
 protected:
  JournalWriterTest() { loop_.Start(); }
  ~JournalWriterTest() override {
    processor_.Release();
    EXPECT_TRUE(pool_.AwaitIdle(SystemClock()->Now() +
                                absl::ToChronoNanoseconds(kPatience)));
    writer_.Join();
    pool_.Join();
    loop_.Join();
  }

  // Admitted, and not yet with the writer.
  std::shared_ptr<SubmissionTask> Admit() {
    const auto task = MakeSubmissionTask(method_, settings_, &owner_, 0,
                                         SubmissionTask::Parking::kSilent);
    EXPECT_EQ(pool_.Arrive(task.get(), FailFastPolicy()).kind,
              Admission::Kind::kAdmitted);
    tasks_.push_back(task);
    return task;
  }

  FaultyDisk disk_;
  const TempFolder folder_;
  const std::unique_ptr<Journal> journal_ =
      *Journal::Open(folder_ / "journal.db");
  std::atomic<std::int64_t> sequence_{0};
  FakeProcessor processor_;
  WorkerPool pool_{
      {.workers = {.min = 1, .max = 1}, .methods = kAllMethods.size()},
      &processor_,
      SystemClock(),
      &sequence_};
  prometheus::Registry registry_;
  JournalMetrics metrics_{"pool", &registry_};
  JournalWriter writer_{journal_.get(), &pool_, SystemClock(), &metrics_};
  RecentIds recent_{1000};
  const MethodContext method_ = {.method = Method::kSubmit,
                                 .limits = {},
                                 .settings = nullptr,
                                 .pool = &pool_,
                                 .journal = &writer_,
                                 .recent = &recent_,
                                 .rpc_metrics = nullptr,
                                 .leftovers = nullptr};
  const std::shared_ptr<const MethodSettings> settings_ =
      MakeMethodSettings({.pool = "pool", .ack = Ack::kQueued}, FairBy::kNone);
  CompletionLoop loop_{grpc::ServerBuilder().AddCompletionQueue()};
  CountingOwner owner_{&loop_};
  std::vector<std::shared_ptr<SubmissionTask>> tasks_;
};

// Threads may hand theirs over in another order than they were admitted in.
TEST_F(JournalWriterTest, WritesAGroupInTheOrderOfAdmission) {
  processor_.Hold();
  disk_.HoldSyncs();
  writer_.Add(Admit());
  ASSERT_TRUE(disk_.WaitForHeldSync());
  const auto second = Admit();
  const auto third = Admit();
  writer_.Add(third);
  writer_.Add(second);
  disk_.ReleaseSyncs();
  AwaitThat("all are acknowledged", [&] { return owner_.answers() == 3; });
  std::vector<std::int64_t> sequences;
  ASSERT_TRUE(journal_
                  ->Replay([&](const JournalEntry& entry) {
                    sequences.push_back(entry.submission.sequence);
                  })
                  .ok());
  EXPECT_THAT(sequences, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace sluice

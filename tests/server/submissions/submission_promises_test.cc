// Sends submissions through a pool, a journal and a store in random schedules.
// After each schedule the promises to callers must hold:
//  - Each owner gets exactly one answer. Exception: if the task left the pool
//    because the caller cancelled, the owner gets no answer.
//  - If a submission was parked, OnUnparked of its owner is called exactly
//    once.
//  - From its acknowledgement on, a submission is in the journal, in the store
//    or in quarantine. An entry leaves the journal only after the store or the
//    quarantine has the submission.
//  - Acknowledged submissions of one subject are stored in the order of their
//    sequence numbers.
//  - Each arrival is counted once.
//    - After its end no task is kept in memory.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "pool/worker_pool.h"
#include "prometheus/registry.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/submission_processor.h"
#include "server/submissions/submission_task.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/journal.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/run_on_loop.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

constexpr std::uint32_t kSchedules = 40;
constexpr int kSteps = 60;
constexpr std::size_t kIds = 16;
constexpr std::size_t kSubjects = 3;

// Site of the submissions that the journal acknowledges.
constexpr char kJournaled[] = "journaled";

// A store in memory. Tests can block it and make it fail.
class FaultyStore final : public Store {
 public:
  // Called with each submission before it is stored.
  std::function<void(const Submission&)> before;

  void Hold(bool hold) {
    absl::MutexLock lock(&mutex_);
    held_ = hold;
  }
  // Makes the next batch fail as if the store was unavailable.
  void FailOnce() {
    absl::MutexLock lock(&mutex_);
    fail_once_ = true;
  }
  // Rejects submissions with this id. An empty id rejects no submission.
  void Reject(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    rejected_ = id;
  }
  bool Has(std::string_view id) const {
    absl::MutexLock lock(&mutex_);
    return stored_.contains(std::string(id));
  }

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](bool* held) { return !*held; }, &held_));
    for (const Submission& submission : batch) before(submission);
    if (std::exchange(fail_once_, false)) {
      return absl::UnavailableError("unavailable");
    }
    for (const Submission& submission : batch) {
      if (submission.submission_id == rejected_) {
        return absl::InvalidArgumentError("rejected");
      }
    }
    for (std::size_t i = 0; i < batch.size(); ++i) saved[i] = Save(batch[i]);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view, absl::Span<const std::string>) override {
    return absl::UnimplementedError("not needed");
  }
  absl::StatusOr<std::int64_t> LastSequence() override { return 0; }
  bool keeps_columns() const override { return false; }
  absl::Status Check() override { return absl::OkStatus(); }

 private:
  Saved Save(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto [found, is_new] =
        stored_.try_emplace(submission.submission_id, submission);
    const Submission& first = found->second;
    Saved saved{.sequence = first.sequence,
                .received_at = first.received_at,
                .content_sha256 = first.content_sha256};
    if (!is_new && first.sequence != submission.sequence) {
      saved.result = first.content_sha256 == submission.content_sha256
                         ? Saved::Result::kDuplicate
                         : Saved::Result::kConflict;
    }
    if (is_new && submission.site_id == kJournaled) {
      v1::SubmitRequest request;
      EXPECT_TRUE(request.ParseFromString(submission.content));
      std::int64_t& last =
          last_of_subject_[request.response().subject().reference()];
      EXPECT_GT(submission.sequence, last) << "a subject is out of order";
      last = submission.sequence;
    }
    return saved;
  }

  mutable absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_once_ ABSL_GUARDED_BY(mutex_) = false;
  std::string rejected_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Submission> stored_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::int64_t> last_of_subject_ ABSL_GUARDED_BY(mutex_);
};

// The call of one submission.
class Call final : public SubmissionOwner {
 public:
  Call(CompletionLoop* loop,
       std::function<void(const Call&, const Answer&)> check)
      : loop_(loop), check_(std::move(check)) {}

  bool CallerCancelled() const override { return gone; }
  CompletionLoop* loop() const override { return loop_; }
  void OnUnparked() override { ++unparked; }
  void OnAnswer(std::size_t, std::string_view, const Answer& answer) override {
    check_(*this, answer);
    ++answers;
  }

  std::shared_ptr<SubmissionTask> task;
  bool parked = false;
  bool left = false;
  std::atomic<bool> gone{false};
  std::atomic<int> answers{0};
  std::atomic<int> unparked{0};

 private:
  CompletionLoop* const loop_;
  const std::function<void(const Call&, const Answer&)> check_;
};

class Schedule {
 public:
  explicit Schedule(std::uint32_t seed)
      : disk_fails_(seed % 2 == 0), random_(seed) {
    stored_.Set(Settings(Ack::kStored));
    queued_.Set(Settings(Ack::kQueued));
    store_.before = [this](const Submission& submission) {
      if (submission.site_id != kJournaled) return;
      (void)journal_->Forget();
      EXPECT_TRUE(IsInJournal(submission.submission_id))
          << "an entry has left the journal before it was stored";
    };
    loop_.Start();
  }

  void Step() {
    const std::size_t dice = Below(100);
    if (dice < 60) {
      Arrive();
    } else if (dice < 70) {
      Leave();
    } else if (dice < 78) {
      store_.Hold(Below(2) == 0);
    } else if (dice < 80) {
      store_.FailOnce();
    } else if (dice < 84) {
      store_.Reject(Below(2) == 0 ? Id() : "");
    } else if (dice < 88) {
      disk_.SetFull(disk_fails_ && Below(2) == 0);
    } else {
      pool_.Resize(Limits(), {.tasks = 1 + Below(4)});
    }
    EXPECT_EQ(recent_.CheckInvariants(), "");
  }

  // Ends all tasks and checks the promises. In half of the schedules a drain
  // ends the tasks, so that some tasks are not processed.
  void End() {
    // A submission that could not be quarantined is delayed for longer than a
    // test should take, so only a drain ends it soon.
    const bool drains = disk_fails_ || Below(2) == 0;
    disk_.SetFull(false);
    if (drains) pool_.Close(SystemClock()->Now());
    store_.Hold(false);
    EXPECT_TRUE(pool_.AwaitIdle(SystemClock()->Now() +
                                absl::ToChronoNanoseconds(kPatience)));
    AwaitThat("all owners have their answers", [&] {
      return std::ranges::all_of(calls_, [](const auto& call) {
        return call->left || call->answers > 0;
      });
    });
    // Join the pool first: a worker marks entries as done after the pool counts
    // the batch as done.
    pool_.Join();
    writer_.Join();
    loop_.Join();
    for (const auto& call : calls_) CheckCall(*call);
    for (const std::string& id : acknowledged_) {
      EXPECT_TRUE(IsSafe(id)) << "lost after its acknowledgement";
    }
    CheckCounters();
    EXPECT_TRUE(recent_.empty());
    std::size_t left_in_journal = 0;
    EXPECT_TRUE(journal_
                    ->Replay([&](const JournalEntry& entry) {
                      ++left_in_journal;
                      EXPECT_GT(entry.submission.sequence, 0);
                    })
                    .ok());
    EXPECT_EQ(JournalDepth(), static_cast<double>(left_in_journal));
    // Every entry of the journal was in the queue, also if it could not be
    // quarantined because the disk was full.
    EXPECT_EQ(left_in_journal, leftovers_.journaled());
  }

 private:
  static std::shared_ptr<const MethodSettings> Settings(Ack ack) {
    return MakeMethodSettings({.pool = "pool", .on_full = "block", .ack = ack},
                              FairBy::kNone);
  }

  std::size_t Below(std::size_t bound) { return random_() % bound; }
  std::string Id() { return absl::StrCat("id-", Below(kIds)); }
  GateLimits Limits() {
    return {.capacity = 1 + Below(5), .waiting_max = Below(8)};
  }

  void Arrive() {
    const MethodContext& method = methods_[Below(methods_.size())];
    const bool journaled = method.method == Method::kSubmitStream;
    const std::string id = Id();
    v1::SubmitRequest request;
    request.mutable_response()->mutable_subject()->set_reference(
        absl::StrCat("subject-", Below(kSubjects)));
    const bool durable = method.method != Method::kRecordEvents;
    calls_.push_back(std::make_unique<Call>(
        &loop_, [this, id, durable](const Call& caller, const Answer& answer) {
          CheckAnswer(caller, id, durable, answer);
        }));
    Call& call = *calls_.back();
    call.task = MakeSubmissionTask(method, method.settings->Get(), &call, 0,
                                   SubmissionTask::Parking::kTold);
    ReceivedSubmission& submission = *call.task->NewSubmission();
    submission.submission_id = id;
    submission.site_id = journaled ? kJournaled : "";
    submission.content = request.SerializeAsString();
    call.task->SetSender({});
    RunOnLoop(loop_, [&] { call.parked = call.task->Arrive(); });
  }

  void Leave() {
    if (calls_.empty()) return;
    Call& call = *calls_[Below(calls_.size())];
    if (call.gone) return;
    RunOnLoop(loop_, [&] {
      if (call.answers > 0) return;
      call.gone = true;
      call.left = call.task->Leave();
    });
  }

  bool IsInJournal(std::string_view id) {
    bool found = false;
    EXPECT_TRUE(journal_
                    ->Replay([&](const JournalEntry& entry) {
                      found |= entry.submission.submission_id == id;
                    })
                    .ok());
    return found;
  }

  bool IsInQuarantine(const std::string& id) {
    const auto found = journal_->FindQuarantined("", {id});
    return found.ok() && found->front().has_value();
  }

  // True if a submission with this id survives a crash. Search the journal
  // first, because an entry may move from the journal to the store or to
  // quarantine during the search.
  bool IsSafe(const std::string& id) {
    return IsInJournal(id) || store_.Has(id) || IsInQuarantine(id);
  }

  // Checks an answer. `durable` is true if an acknowledgement of the method
  // promises durability.
  void CheckAnswer(const Call& caller, const std::string& id, bool durable,
                   const Answer& answer) {
    switch (answer.kind) {
      case Answer::Kind::kStored:
      case Answer::Kind::kDuplicate:
        EXPECT_TRUE(store_.Has(id)) << "not stored";
        break;
      case Answer::Kind::kQueued:
        EXPECT_GT(answer.kept.sequence, 0);
        if (!durable) break;
        acknowledged_.push_back(id);
        EXPECT_TRUE(IsSafe(id)) << "acknowledged before it is durable";
        break;
      case Answer::Kind::kCancelled:
        EXPECT_TRUE(caller.gone) << "the caller waits";
        break;
      default:
        break;
    }
  }

  void CheckCall(const Call& call) {
    EXPECT_EQ(call.answers, call.left ? 0 : 1);
    EXPECT_EQ(call.unparked, call.parked ? 1 : 0);
    EXPECT_EQ(call.task->stage(), SubmissionTask::Stage::kEnded);
    EXPECT_EQ(call.task.use_count(), 1) << "a task is kept";
  }

  void CheckCounters() {
    std::uint64_t received = 0;
    std::uint64_t quarantined = 0;
    for (const MethodCounters& counters : pool_.Snapshot().counters) {
      EXPECT_TRUE(counters.Balanced());
      EXPECT_EQ(counters.waiting + counters.queued + counters.in_work, 0u);
      received += counters.received;
      quarantined += counters.completed[TaskResult::kQuarantined];
    }
    EXPECT_EQ(quarantined > 0, journal_->quarantined() > 0);
    EXPECT_EQ(received, calls_.size());
  }

  // Returns the depth of the journal as its metric reports it.
  double JournalDepth() const {
    for (const prometheus::MetricFamily& family : registry_.Collect()) {
      if (family.name == "sluice_journal_depth") {
        return family.metric.at(0).gauge.value;
      }
    }
    return -1;
  }

  MethodContext ContextOf(Method method, const LiveMethodSettings* settings,
                          JournalWriter* journal) {
    return {.method = method,
            .limits = {},
            .settings = settings,
            .pool = &pool_,
            .journal = journal,
            .recent = &recent_,
            .rpc_metrics = nullptr,
            .leftovers = &leftovers_};
  }

  const bool disk_fails_;
  std::minstd_rand random_;
  FaultyDisk disk_;
  const TempFolder folder_;
  const std::unique_ptr<Journal> journal_ =
      *Journal::Open(folder_ / "journal.db");
  FaultyStore store_;
  prometheus::Registry registry_;
  StageMetrics stage_metrics_{"pool", &registry_};
  JournalMetrics journal_metrics_{"pool", &registry_};
  std::atomic<std::int64_t> sequence_{0};
  NewNumbers new_numbers_{&sequence_};
  SubmissionProcessor processor_{
      &store_, {}, SystemClock(), &stage_metrics_, &new_numbers_};
  WorkerPool pool_{{.limits = Limits(),
                    .workers = {.min = 2, .max = 2},
                    .methods = kAllMethods.size()},
                   &processor_,
                   SystemClock(),
                   &sequence_};
  DiskReserve reserve_{[] { return std::size_t{0}; }, 0};
  NumberReserve number_reserve_;
  AssignedRecorder assigned_{&store_, SystemClock()};
  JournalWriter writer_{{.journal = journal_.get(),
                         .disk = &reserve_,
                         .numbers = &number_reserve_,
                         .new_numbers = &new_numbers_,
                         .assigned = &assigned_,
                         .pool = &pool_,
                         .clock = SystemClock(),
                         .metrics = &journal_metrics_}};
  RecentIds recent_{1000};
  Leftovers leftovers_;
  LiveMethodSettings stored_;
  LiveMethodSettings queued_;
  // Three methods: acknowledged after storing, from the journal, and from
  // memory.
  const std::vector<MethodContext> methods_ = {
      ContextOf(Method::kSubmit, &stored_, &writer_),
      ContextOf(Method::kSubmitStream, &queued_, &writer_),
      ContextOf(Method::kRecordEvents, &queued_, nullptr)};
  CompletionLoop loop_{grpc::ServerBuilder().AddCompletionQueue()};
  std::vector<std::unique_ptr<Call>> calls_;
  // Used by the loop's thread until it is joined.
  std::vector<std::string> acknowledged_;
};

TEST(SubmissionPromises, HoldUnderRandomSchedules) {
  for (std::uint32_t seed = 1; seed <= kSchedules; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Schedule schedule(seed);
    for (int i = 0; i < kSteps; ++i) schedule.Step();
    schedule.End();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice

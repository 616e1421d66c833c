// Compares the Gate with a simple model under random schedules.
//
// Environment variables:
//   SLUICE_GATE_STEPS  total number of steps
//   SLUICE_GATE_SEED   seed of the first schedule
//   SLUICE_GATE_ONLY   the only steps of that schedule to take, e.g. 3,17,40

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "policies/block.h"
#include "policies/drop.h"
#include "policies/drop_oldest.h"
#include "policies/fail_fast.h"
#include "policies/shadowed.h"
#include "policies/timed_wait.h"
#include "pool/gate.h"
#include "tests/fakes/fake_task.h"
#include "tests/pool/shrink.h"

namespace sluice {

// Prints counters in failure messages.
void PrintTo(const MethodCounters& counters, std::ostream* out) {
  // Print a new member as well. Otherwise a failure shows equal texts.
  static_assert(sizeof(counters) ==
                sizeof(counters.received) + sizeof(counters.admitted) +
                    sizeof(counters.not_admitted) + sizeof(counters.completed) +
                    sizeof(counters.shadow) + sizeof(counters.waiting) +
                    sizeof(counters.queued) + sizeof(counters.in_work));
  *out << "received " << counters.received << " admitted " << counters.admitted
       << " not admitted "
       << testing::PrintToString(counters.not_admitted.counts) << " completed "
       << testing::PrintToString(counters.completed.counts) << " shadow "
       << testing::PrintToString(counters.shadow) << " waiting "
       << counters.waiting << " queued " << counters.queued << " in work "
       << counters.in_work;
}

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMethods = 3;
constexpr std::size_t kTasks = 40;
// Largest limit of the bytes of a batch; most tasks have fewer than 15.
constexpr std::size_t kBatchBytesMax = 60;
// Limits for the length of a schedule: total steps, and steps after Close.
constexpr std::size_t kStepsMax = 1000;
constexpr std::size_t kStepsClosedMax = 50;
// Maximum number of steps in which End processes all remaining tasks: far more
// than needed.
constexpr std::size_t kStepsEndMax = 1000;
constexpr std::size_t kTrialsMax = 5000;  // trials to shrink a failing schedule

// Policies of a schedule.
enum class Rule { kBlock, kTimedWait, kFailFast, kDrop, kDropOldest };
constexpr std::size_t kRules = 5;

constexpr Duration kMaxWait = milliseconds(5);

const AdmissionPolicy& PolicyOf(Rule rule) {
  static const BlockPolicy block;
  static const TimedWaitPolicy timed_wait(kMaxWait);
  static const FailFastPolicy fail_fast;
  static const DropPolicy drop;
  static const DropOldestPolicy drop_oldest;
  switch (rule) {
    case Rule::kBlock:
      return block;
    case Rule::kTimedWait:
      return timed_wait;
    case Rule::kFailFast:
      return fail_fast;
    case Rule::kDrop:
      return drop;
    case Rule::kDropOldest:
      return drop_oldest;
  }
  std::abort();
}

// Returns the kind of verdict that the policy always gives.
Verdict::Kind VerdictOf(Rule rule) {
  switch (rule) {
    case Rule::kBlock:
    case Rule::kTimedWait:
      return Verdict::Kind::kPark;
    case Rule::kFailFast:
      return Verdict::Kind::kRefuse;
    case Rule::kDrop:
      return Verdict::Kind::kDrop;
    case Rule::kDropOldest:
      return Verdict::Kind::kEvictOldest;
  }
  std::abort();
}

// Forwards to the policy of a rule. Needed because ShadowedPolicy owns its
// policies.
class Ask final : public AdmissionPolicy {
 public:
  explicit Ask(Rule rule) : rule_(rule) {}
  Verdict OnFull(const Arrival& arrival, const PoolView& pool) const override {
    return PolicyOf(rule_).OnFull(arrival, pool);
  }

 private:
  const Rule rule_;
};

// A policy that decides, and optionally a shadow policy.
struct Rules {
  Rule obeyed;
  std::optional<Rule> shadow;

  std::unique_ptr<const AdmissionPolicy> Policy() const {
    if (!shadow.has_value()) return std::make_unique<Ask>(obeyed);
    return std::make_unique<ShadowedPolicy>(std::make_unique<Ask>(obeyed),
                                            std::make_unique<Ask>(*shadow));
  }
};

// A task in the model. Its id is its index in Schedule::tasks_.
struct Entry {
  std::size_t id;
  std::size_t bytes;
  std::size_t bytes_behind;
  std::size_t method;
  bool promised;
  bool needs_commit;
  bool droppable;
  std::uint64_t order_key;
  std::uint64_t lane;
  Priority priority;
  TimePoint deadline;
  TimePoint waits_since;
  TimePoint wait_until = kForever;
  TimePoint admitted_at{};
  TimePoint again_at{};
  std::uint64_t pushed = 0;  // place among the tasks that could be taken
  bool lane_known = true;    // false only for some calls of TurnAway
  bool found_idle_worker = false;
  // Lane that the task has joined.
  LaneKey joined{};
};

using Ids = std::vector<std::size_t>;

struct ModelEnded {
  std::size_t id;
  TaskResult result;
  bool operator==(const ModelEnded&) const = default;
};

void PrintTo(const ModelEnded& ended, std::ostream* out) {
  *out << ended.id << " result " << static_cast<int>(ended.result);
}

// A model of the promises in gate.h that is too simple to be wrong: it has only
// a few lists, from which it computes all sums and minima when needed.
//  - The Gate chooses the order in which tasks of different keys are taken. The
//    model only judges the choice (WhyNotTake).
//  - The model uses the Gate's own ServiceRate and StandingQueue, which have
//    tests of their own.
class Model {
 public:
  explicit Model(const GateLimits& initial) : limits(initial) {}

  // Returns an answer in which only kind and result are set.
  Admission Arrive(Entry entry, Rules rules, TimePoint now) {
    const Rule rule = rules.obeyed;
    MethodCounters& c = counters[entry.method];
    c.received++;
    if (closed) return Refuse(&c, TaskResult::kDraining);
    if (paused && open() && !entry.promised) {
      return Refuse(&c, TaskResult::kStoreUnavailable);
    }
    entry.joined = LaneFor(entry);
    const LaneView lane = ViewOf(entry);
    const std::size_t ahead =
        entry.lane_known
            ? Ahead(lane, lane.depth + lane.waiting, Depth() + waiting.size())
            : 0;
    entry.found_idle_worker = IdleWorkers() > 0;
    if (!entry.promised &&
        TooLate(TimeToResult(ahead, now), entry.deadline, now)) {
      return Refuse(&c, TaskResult::kHopeless);
    }
    if (!ComesBehindParked(lane) &&
        QueueTakes(lane, entry.bytes, entry.promised || !entry.lane_known)) {
      Admit(entry, now);
      return {.kind = Admission::Kind::kAdmitted};
    }
    standing.TurnedAway(now);
    if (entry.lane_known) lanes[entry.joined].standing.TurnedAway(now);
    if (rules.shadow.has_value()) {
      c.shadow[static_cast<std::size_t>(VerdictOf(*rules.shadow))]++;
    }
    if (rule == Rule::kFailFast) return Refuse(&c, TaskResult::kQueueFull);
    if (rule == Rule::kDropOldest && MakeRoom(entry)) {
      Admit(entry, now);
      return {.kind = Admission::Kind::kAdmitted};
    }
    if (rule == Rule::kDrop || rule == Rule::kDropOldest) {
      c.not_admitted[TaskResult::kDropped]++;
      return {.kind = Admission::Kind::kEnded, .result = TaskResult::kDropped};
    }
    const std::size_t own = limits.by_lane ? lane.waiting : 0;
    const std::size_t own_bytes = limits.by_lane ? lane.waiting_bytes : 0;
    const bool waiting_room_takes =
        waiting.size() + own + 1 <= limits.waiting_max &&
        (waiting.empty() ||
         SumWaiting() + own_bytes + entry.bytes + entry.bytes_behind <=
             limits.waiting_max_bytes);
    if (!waiting_room_takes) return Refuse(&c, TaskResult::kWaitingRoomFull);
    entry.wait_until = entry.deadline;
    if (rule == Rule::kTimedWait) {
      const TimePoint since = std::min(now, entry.waits_since);
      entry.wait_until = std::min(entry.deadline, since + kMaxWait);
    }
    const std::size_t enter_before =
        entry.lane_known ? Ahead(lane, lane.waiting, waiting.size()) : 0;
    if (!Idle() &&
        TooLate(TimeFor(enter_before + 1, service.per_second_at(now)),
                entry.wait_until, now)) {
      return Refuse(&c, TaskResult::kHopeless);
    }
    c.waiting++;
    entry.found_idle_worker = false;
    waiting.push_back(entry);
    Settle(now);
    return {.kind = Admission::Kind::kParked};
  }

  // Returns the answer of Arrive if Arrive would end the arrival, or nothing.
  std::optional<Admission> TurnAway(const Entry& entry, Rules rules,
                                    TimePoint now) {
    Model after = *this;
    const Admission answer = after.Arrive(entry, rules, now);
    if (answer.kind != Admission::Kind::kEnded) {
      standing = after.standing;
      lanes = after.lanes;
      return std::nullopt;
    }
    *this = after;
    return answer;
  }

  // Returns the reason why Take may not take `ids` in this order and end
  // `hopeless`; empty if it may.
  std::string WhyNotTake(const Ids& ids, const Ids& hopeless,
                         const BatchLimits& batch, TimePoint now) const {
    std::size_t max = batch.tasks;
    if (ids.empty() && (paused || Probing())) return "";
    if (paused) return "took tasks during the pause";
    if (Probing()) return "took tasks beside the probe";
    if (open()) max = std::min<std::size_t>(max, 1);
    if (ids.size() > max) return "took too many tasks";
    std::vector<Entry> left = queue;
    for (const std::size_t id : hopeless) {
      if (!Has(left, id)) return "ended a task that is not queued";
      if (!Hopeless(Remove(&left, id), now)) return "ended a task too early";
    }
    std::vector<std::pair<std::uint64_t, LaneKey>> keys;
    std::size_t bytes = 0;
    for (const std::size_t id : ids) {
      if (!Has(left, id)) return "took a task that is not queued";
      const Entry entry = Remove(&left, id);
      if (Hopeless(entry, now)) return "took a hopeless task";
      if (KeyInWork(entry.order_key)) return "took a task whose key is in work";
      keys.push_back({entry.order_key, entry.joined});
      bytes += entry.bytes;
    }
    if (ids.size() > 1 && bytes > batch.bytes) return "took too many bytes";
    // Tasks of one key are taken in order of arrival, and so are tasks without
    // a key in one lane.
    for (const auto& key : keys) {
      Ids first;
      for (const Entry& entry : queue) {
        if (entry.order_key == key.first && entry.joined == key.second &&
            !Hopeless(entry, now)) {
          first.push_back(entry.id);
        }
      }
      Ids taken;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (keys[i] == key) taken.push_back(ids[i]);
      }
      first.resize(taken.size());
      if (taken != first) return "took tasks out of order";
    }
    if (ids.size() == max) return "";
    // The batch ends at the first task that does not fit by bytes, even if the
    // task could not be taken.
    const bool ended_by_bytes =
        !ids.empty() && std::ranges::any_of(left, [&](const Entry& entry) {
          return bytes + entry.bytes > batch.bytes;
        });
    const bool all_taken = std::ranges::all_of(
        left,
        [this](const Entry& entry) { return KeyInWork(entry.order_key); });
    if (all_taken || ended_by_bytes) return "";
    return "left a task that could be taken";
  }

  void Take(const Ids& ids, const Ids& hopeless, TimePoint now) {
    // Tasks in the order in which the Gate looked at them. If the Gate takes
    // one task at a time, it looked at the hopeless tasks before the task that
    // it took.
    std::vector<Entry> looked_at;
    if (one_at_a_time) {
      for (const std::size_t id : hopeless) {
        looked_at.push_back(*Find(queue, id));
      }
      for (const std::size_t id : ids) looked_at.push_back(*Find(queue, id));
    } else {
      for (const Entry& entry : queue) {
        if (Contains(ids, entry.id) || Contains(hopeless, entry.id)) {
          looked_at.push_back(entry);
        }
      }
    }
    for (const Entry& entry : looked_at) {
      if (entry.promised) continue;
      const Duration waited = now - entry.admitted_at;
      standing.Taken(waited, TargetWait(), now);
      if (limits.by_lane) {
        StandingQueue& of_lane = lanes[entry.joined].standing;
        if (ViewOf(entry.joined).waiting > 0) of_lane.TurnedAway(now);
        of_lane.Taken(waited, TargetWait(), now);
      }
      if (!Contains(hopeless, entry.id)) continue;
      CompleteUnworked(Remove(&queue, entry.id), TaskResult::kHopeless);
      ResetIfEmpty(entry.joined);
    }
    for (const std::size_t id : hopeless) {
      ended.push_back({id, TaskResult::kHopeless});
    }
    Batch batch{.entries = {}, .taken_at = now, .probe = failures > 0};
    for (const std::size_t id : ids) {
      const Entry entry = Remove(&queue, id);
      MeasureTurns(&lanes[entry.joined]);
      ResetIfEmpty(entry.joined);
      counters[entry.method].queued--;
      counters[entry.method].in_work++;
      batch.entries.push_back(entry);
    }
    if (!ids.empty()) {
      batches.push_back(batch);
    }
    Settle(now);
    if (queue.size() == 0) {
      standing.Emptied();
      service.Emptied();
      Settle(now);
    }
  }

  // Ends batch `number`. A task without an outcome is processed again, not
  // before `again_at`.
  void Done(std::size_t number,
            const std::vector<std::optional<TaskResult>>& outcomes,
            TimePoint again_at, StoreState store,
            TimePoint retry_at_if_it_fails, TimePoint now) {
    const std::vector<Entry> batch = batches[number].entries;
    // While the circuit is failing, only probes give new information about the
    // store.
    const bool straggler = failures > 0 && !batches[number].probe;
    if (store == StoreState::kDown) {
      service.Failed();
    } else {
      service.Done(batch.size(), now - batches[number].taken_at,
                   queue.size() > 0, now);
    }
    batches.erase(batches.begin() + static_cast<std::ptrdiff_t>(number));
    std::vector<Entry> again;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      MethodCounters& c = counters[batch[i].method];
      c.in_work--;
      if (outcomes[i].has_value()) {
        c.completed[*outcomes[i]]++;
      } else {
        c.queued++;
        again.push_back(batch[i]);
        again.back().again_at = again_at;
        if (batch[i].order_key == 0) {
          again.back().joined = LaneFor(batch[i]);
        }
      }
    }
    if (again_at > now) {
      delayed.insert(delayed.end(), again.begin(), again.end());
    } else {
      queue.insert(queue.begin(), again.begin(), again.end());
    }
    if (store == StoreState::kUp) {
      failures = 0;
      for (Batch& other : batches) other.probe = false;
      paused = false;
    } else if (store == StoreState::kDown && !straggler) {
      failures++;
      paused = true;
      retry_at = retry_at_if_it_fails;
      if (open()) EndUnpromised();
    }
    Settle(now);
  }

  void Restore(Entry entry, TimePoint now) {
    entry.admitted_at = now;
    entry.joined = LaneFor(entry);
    MethodCounters& c = counters[entry.method];
    c.received++;
    c.admitted++;
    c.queued++;
    entry.pushed = ++pushed_so_far;
    queue.push_back(entry);
    Settle(now);
  }

  void Committed(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      queue.push_back(Remove(&committing, committing[0].id));
      queue.back().pushed = ++pushed_so_far;
    }
  }

  void CommitFailed(std::size_t count, TimePoint now) {
    for (std::size_t i = 0; i < count; ++i) {
      CompleteUnworked(Remove(&committing, committing[0].id),
                       TaskResult::kStoreUnavailable);
    }
    Settle(now);
  }

  bool Leave(std::size_t id, TimePoint now) {
    if (Has(waiting, id)) {
      const Entry entry = Remove(&waiting, id);
      MethodCounters& c = counters[entry.method];
      c.waiting--;
      if (entry.deadline <= now) {
        c.not_admitted[TaskResult::kDeadline]++;
      } else {
        c.not_admitted[TaskResult::kCancelled]++;
      }
      Settle(now);
      return true;
    }
    if (Has(queue, id) && !Find(queue, id)->promised) {
      CompleteUnworked(Remove(&queue, id), TaskResult::kCancelled);
      Settle(now);
      return true;
    }
    return false;
  }

  // `drain_is_over`: the Gate ends the queue before `closed_until`.
  void Expire(TimePoint now, bool drain_is_over) {
    for (;;) {
      // Find the parked task whose wait ends first. Between equal ends, the
      // first to arrive.
      auto first = waiting.begin();
      for (auto it = waiting.begin(); it != waiting.end(); ++it) {
        if (it->wait_until < first->wait_until) first = it;
      }
      if (first == waiting.end() || first->wait_until > now) break;
      EndWait(first->id, first->wait_until == first->deadline
                             ? TaskResult::kDeadline
                             : TaskResult::kWaitOver);
    }
    if (paused && now >= retry_at) paused = false;
    ReturnDelayed(now);
    if (closed && (now >= closed_until || drain_is_over)) {
      ReturnDelayed(kForever);
      while (queue.size() > 0) {
        const Entry entry = Remove(&queue, queue[0].id);
        CompleteUnworked(entry, TaskResult::kDraining);
        ended.push_back({entry.id, TaskResult::kDraining});
      }
    }
    Settle(now);
  }

  void ReturnDelayed(TimePoint now) {
    std::vector<Entry> due;
    for (const Entry& entry : std::vector<Entry>(delayed)) {
      if (entry.again_at <= now) due.push_back(Remove(&delayed, entry.id));
    }
    std::ranges::sort(due, {}, [](const Entry& entry) {
      return std::pair(entry.again_at, entry.pushed);
    });
    queue.insert(queue.begin(), due.begin(), due.end());
  }

  void Resize(const GateLimits& new_limits, TimePoint now) {
    limits = new_limits;
    Settle(now);
  }

  void Close(TimePoint until, Promises of) {
    closed = true;
    closed_until = until;
    promises = of;
    while (waiting.size() > 0) EndWait(waiting[0].id, TaskResult::kDraining);
  }

  // True if no queued task can be begun before the end of the drain.
  bool MayOutlastDrain() const {
    if (!closed || !batches.empty() || committing.size() > 0) return false;
    if (queue.size() + delayed.size() == 0) return false;
    if (PauseOutlastsDrain()) return true;
    return std::ranges::all_of(delayed,
                               [this](const Entry& entry) {
                                 return promises == Promises::kDurable ||
                                        entry.again_at >= closed_until;
                               }) &&
           std::ranges::all_of(queue, [this](const Entry& entry) {
             return KeyInWork(entry.order_key);
           });
  }
  // True if the Gate also knows this: it learns that a task is deferred when it
  // tries to take the task.
  bool MustOutlastDrain() const {
    return MayOutlastDrain() && (queue.size() == 0 || PauseOutlastsDrain());
  }
  bool PauseOutlastsDrain() const {
    return paused && (retry_at >= closed_until ||
                      (promises == Promises::kDurable && open()));
  }

  TimePoint NextExpiry() const {
    TimePoint next = kForever;
    for (const Entry& entry : waiting) next = std::min(next, entry.wait_until);
    for (const Entry& entry : delayed) next = std::min(next, entry.again_at);
    if (closed && queue.size() + delayed.size() > 0) {
      next = std::min(next, closed_until);
    }
    if (paused) next = std::min(next, retry_at);
    return next;
  }

  // --- Lanes, computed from the lists ---

  struct LaneState {
    StandingQueue standing;
    double taken_for_one = 0;
    std::uint64_t last_taken = 0;
  };

  struct LaneKeyLess {
    bool operator()(const LaneKey& a, const LaneKey& b) const {
      return std::pair(a.priority, a.id) < std::pair(b.priority, b.id);
    }
  };

  // Sums over the tasks of a lane.
  struct LaneView {
    LaneKey key;
    std::size_t depth = 0;
    std::size_t bytes = 0;
    std::size_t waiting = 0;
    std::size_t waiting_bytes = 0;
    LaneState state{};
  };

  // Returns the lane of the tasks inside with the same key, or else the task's
  // own lane.
  LaneKey LaneFor(const Entry& entry) const {
    if (entry.order_key != 0) {
      std::vector<Entry> inside = queue;
      inside.insert(inside.end(), delayed.begin(), delayed.end());
      inside.insert(inside.end(), committing.begin(), committing.end());
      inside.insert(inside.end(), waiting.begin(), waiting.end());
      for (const Batch& batch : batches) {
        inside.insert(inside.end(), batch.entries.begin(), batch.entries.end());
      }
      for (const Entry& other : inside) {
        if (other.order_key == entry.order_key) return other.joined;
      }
    }
    return limits.by_lane ? LaneKey{entry.priority, entry.lane} : LaneKey{};
  }

  LaneView ViewOf(const LaneKey& key) const {
    LaneView view = {.key = key};
    for (const auto* list : {&queue, &committing, &delayed}) {
      for (const Entry& entry : *list) {
        if (!(entry.joined == key)) continue;
        view.depth++;
        view.bytes += entry.bytes;
      }
    }
    for (const Entry& entry : waiting) {
      if (!(entry.joined == key)) continue;
      view.waiting++;
      view.waiting_bytes += entry.bytes + entry.bytes_behind;
    }
    const auto state = lanes.find(key);
    if (state != lanes.end()) view.state = state->second;
    return view;
  }

  LaneView ViewOf(const Entry& entry) const {
    if (entry.lane_known || !limits.by_lane) return ViewOf(entry.joined);
    return {.key = {.priority = entry.priority, .id = kUnknownLane}};
  }

  // Returns the number of lanes of a class that have queued or parked tasks.
  std::size_t LanesOf(Priority priority) const {
    std::set<std::uint64_t> ids;
    for (const auto* list : {&queue, &committing, &delayed, &waiting}) {
      for (const Entry& entry : *list) {
        if (entry.joined.priority == priority) ids.insert(entry.joined.id);
      }
    }
    return ids.size();
  }

  std::size_t ClassDepth(Priority priority) const {
    std::size_t depth = 0;
    for (const auto* list : {&queue, &committing, &delayed}) {
      for (const Entry& entry : *list) {
        if (entry.joined.priority == priority) depth++;
      }
    }
    return depth;
  }

  std::size_t Ahead(const LaneView& lane, std::size_t count,
                    std::size_t all) const {
    if (lane.state.taken_for_one > 0) {
      return static_cast<std::size_t>(static_cast<double>(count + 1) *
                                      lane.state.taken_for_one) -
             1;
    }
    static constexpr std::array<std::size_t, 3> kWeights = {16, 4, 1};
    const auto own = static_cast<std::size_t>(lane.key.priority);
    std::size_t weights = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      if (i == own || LanesOf(static_cast<Priority>(i)) > 0) {
        weights += kWeights[i];
      }
    }
    std::size_t of_class = LanesOf(lane.key.priority);
    if (lane.depth + lane.waiting == 0) of_class++;
    const double turns = std::ceil(static_cast<double>((count + 1) * of_class) *
                                   static_cast<double>(weights) /
                                   static_cast<double>(kWeights[own]));
    return std::min(static_cast<std::size_t>(turns) - 1, all);
  }

  void MeasureTurns(LaneState* lane) {
    taken_so_far++;
    if (lane->last_taken > 0) {
      const auto interval =
          static_cast<double>(taken_so_far - lane->last_taken);
      if (lane->taken_for_one == 0) {
        lane->taken_for_one = interval;
      } else {
        lane->taken_for_one += (interval - lane->taken_for_one) / 16;
      }
    }
    lane->last_taken = taken_so_far;
  }

  void ResetIfEmpty(const LaneKey& key) {
    if (ViewOf(key).depth == 0) lanes.erase(key);
  }

  bool FitBytes(const LaneView& lane, std::size_t bytes) const {
    if (Depth() + InWork() == 0) return true;
    const std::size_t own = limits.by_lane ? lane.bytes : 0;
    return HeldBytes() + own + bytes <= limits.capacity_bytes;
  }

  bool QueueTakes(const LaneView& lane, std::size_t bytes,
                  bool promised) const {
    const std::size_t own = limits.by_lane ? lane.depth : 0;
    if (Depth() + own + 1 > limits.capacity) return false;
    return (promised || !HasStandingQueue(lane)) && FitBytes(lane, bytes);
  }

  bool HasStandingQueue(const LaneView& lane) const {
    if (!standing.stands() && !lane.state.standing.stands()) return false;
    return ClassDepth(lane.key.priority) > 0 &&
           TimeFor(Ahead(lane, lane.depth, Depth()), service.per_second()) >=
               TargetWait();
  }

  // Returns, for each class, the parked task that is admitted next. Classes are
  // in the order of their turns.
  std::vector<Entry> NextToAdmit() const {
    static constexpr std::array<std::size_t, 3> kStrides = {1, 4, 16};
    std::vector<std::pair<std::size_t, Entry>> next;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto priority = static_cast<Priority>(i);
      const Entry* first = nullptr;
      for (const Entry& entry : waiting) {
        if (entry.joined.priority != priority) continue;
        // Between equal ranks the earlier task is first, also within a lane.
        if (first == nullptr || Rank(entry) < Rank(*first)) first = &entry;
      }
      if (first == nullptr) continue;
      next.emplace_back(ClassDepth(priority) * kStrides[i], *first);
    }
    std::ranges::stable_sort(next, {}, [](const auto& n) { return n.first; });
    std::vector<Entry> entries;
    for (const auto& [depth, entry] : next) entries.push_back(entry);
    return entries;
  }

  std::pair<bool, std::size_t> Rank(const Entry& entry) const {
    const LaneView lane = ViewOf(entry.joined);
    return {lane.state.standing.stands(), lane.depth};
  }

  bool AwaitsBytes(const Entry& entry) const {
    const LaneView lane = ViewOf(entry.joined);
    return lane.depth == 0 && !FitBytes(lane, entry.bytes);
  }

  bool ComesBehindParked(const LaneView& lane) const {
    if (waiting.empty()) return false;
    if (!limits.by_lane || lane.waiting > 0) return true;
    for (const Entry& first : NextToAdmit()) {
      if (AwaitsBytes(first)) return true;
      if (first.joined.priority == lane.key.priority &&
          Rank(first) <= std::pair(lane.state.standing.stands(), lane.depth)) {
        return true;
      }
    }
    return false;
  }

  // True if an arrival of any lane would be admitted.
  bool OpenToAll() const {
    LaneView deepest;
    deepest.depth = Depth();
    deepest.bytes = HeldBytes();
    for (const auto& [key, lane] : lanes) {
      if (lane.standing.stands()) return false;
    }
    return waiting.empty() && !standing.stands() &&
           QueueTakes(deepest, 1, /*promised=*/true);
  }

  std::size_t Lanes() const {
    return LanesOf(Priority::kHigh) + LanesOf(Priority::kNormal) +
           LanesOf(Priority::kLow);
  }

  Duration TargetWait() const {
    return std::max<Duration>(milliseconds(50), 2 * service.batch());
  }

  // Time to process `count` tasks at the rate `per_second`; 0 if the rate is
  // not known.
  static Duration TimeFor(std::size_t count, double per_second) {
    if (per_second <= 0) return Duration::zero();
    const double seconds = static_cast<double>(count) / per_second;
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::min(seconds, 24 * 3600.0)));
  }

  std::size_t IdleWorkers() const {
    return workers > batches.size() ? workers - batches.size() : 0;
  }

  // True if a worker is idle and no task is queued or parked.
  bool Idle() const {
    return IdleWorkers() > 0 && Depth() == 0 && waiting.empty();
  }

  Duration TimeToResult(std::size_t ahead, TimePoint now) const {
    if (Idle()) return Duration::zero();
    Duration takes = TimeFor(ahead, service.per_second_at(now));
    if (IdleWorkers() == 0) takes += service.batch_at(now);
    return takes;
  }

  // True if `takes` is more than 80 % of the time until `until`.
  static bool TooLate(Duration takes, TimePoint until, TimePoint now) {
    return until != kForever && takes > Duration::zero() &&
           std::chrono::duration<double>(takes) > (until - now) * 0.8;
  }

  bool Hopeless(const Entry& entry, TimePoint now) const {
    if (entry.promised) return false;
    if (entry.found_idle_worker) return entry.deadline <= now;
    return TooLate(service.batch_at(now), entry.deadline, now);
  }

  std::size_t Depth() const {
    return queue.size() + committing.size() + delayed.size();
  }

  std::size_t InWork() const {
    std::size_t count = 0;
    for (const Batch& batch : batches) count += batch.entries.size();
    return count;
  }

  std::size_t HeldBytes() const {
    std::size_t bytes = Sum(queue) + Sum(committing) + Sum(delayed);
    for (const Batch& batch : batches) bytes += Sum(batch.entries);
    return bytes;
  }

  bool KeyInWork(std::uint64_t key) const {
    if (key == 0) return false;
    for (const Entry& entry : delayed) {
      if (entry.order_key == key) return true;
    }
    for (const Batch& batch : batches) {
      for (const Entry& entry : batch.entries) {
        if (entry.order_key == key) return true;
      }
    }
    return false;
  }

  // True if the circuit is open.
  bool open() const { return failures >= 3; }
  bool Probing() const { return std::ranges::any_of(batches, &Batch::probe); }

  static bool Has(const std::vector<Entry>& list, std::size_t id) {
    return Find(list, id) != list.end();
  }

  static bool Contains(const Ids& ids, std::size_t id) {
    return std::ranges::find(ids, id) != ids.end();
  }

  struct Batch {
    std::vector<Entry> entries;
    TimePoint taken_at;
    bool probe = false;  // taken while the circuit was failing
  };

  static constexpr std::uint64_t kUnknownLane = 1000;

  GateLimits limits;
  // If true, each Take gets at most one task. Set for pools with lanes, because
  // only then the order in which the Gate looks at their tasks is known.
  bool one_at_a_time = false;
  std::size_t workers = 1;
  std::map<LaneKey, LaneState, LaneKeyLess> lanes;
  std::uint64_t taken_so_far = 0;
  std::uint64_t pushed_so_far = 0;
  ServiceRate service;
  StandingQueue standing;
  std::vector<Entry> queue;
  std::vector<Entry> committing;
  // Delayed tasks.
  std::vector<Entry> delayed;
  std::vector<Entry> waiting;
  std::vector<Batch> batches;  // batches in work
  int failures = 0;
  bool paused = false;
  TimePoint retry_at{};
  bool closed = false;
  TimePoint closed_until{};
  Promises promises = Promises::kInMemory;
  std::array<MethodCounters, kMethods> counters{};
  // Tasks that were admitted from the waiting room, and tasks that were ended,
  // since the last comparison.
  std::vector<std::size_t> unparked;
  std::vector<ModelEnded> ended;

 private:
  static std::size_t Sum(const std::vector<Entry>& list) {
    std::size_t sum = 0;
    for (const Entry& entry : list) sum += entry.bytes;
    return sum;
  }

  std::size_t SumWaiting() const {
    std::size_t sum = Sum(waiting);
    for (const Entry& entry : waiting) sum += entry.bytes_behind;
    return sum;
  }

  static std::vector<Entry>::const_iterator Find(const std::vector<Entry>& list,
                                                 std::size_t id) {
    return std::ranges::find(list, id, &Entry::id);
  }

  static Entry Remove(std::vector<Entry>* list, std::size_t id) {
    const auto it = std::ranges::find(*list, id, &Entry::id);
    const Entry entry = *it;
    list->erase(it);
    return entry;
  }

  static Admission Refuse(MethodCounters* c, TaskResult reason) {
    c->not_admitted[reason]++;
    return {.kind = Admission::Kind::kEnded, .result = reason};
  }

  void Admit(Entry entry, TimePoint now) {
    entry.admitted_at = now;
    counters[entry.method].admitted++;
    counters[entry.method].queued++;
    if (!entry.needs_commit) entry.pushed = ++pushed_so_far;
    (entry.needs_commit ? committing : queue).push_back(entry);
  }

  // Evicts the oldest tasks, at least one, until the arrival fits. If that is
  // not possible, evicts nothing and returns false.
  bool MakeRoom(const Entry& arrival) {
    if (waiting.size() > 0) return false;
    if (Depth() > limits.capacity) return false;
    if (HeldBytes() > limits.capacity_bytes) return false;
    const Model before = *this;
    const bool any_lane = !arrival.lane_known && limits.by_lane;
    std::size_t evicted = 0;
    while (true) {
      const auto oldest = std::ranges::find_if(queue, [&](const Entry& entry) {
        return entry.method == arrival.method && entry.droppable &&
               !entry.promised && (any_lane || entry.joined == arrival.joined);
      });
      if (oldest == queue.end()) break;
      const std::size_t id = oldest->id;
      evicted += oldest->bytes;
      CompleteUnworked(Remove(&queue, id), TaskResult::kDropped);
      ended.push_back({id, TaskResult::kDropped});
      // Enough tasks are evicted if the lane does not grow, or if the bytes
      // fit.
      const std::size_t own = limits.by_lane && !any_lane
                                  ? ViewOf(arrival.joined).bytes
                                  : std::size_t{0};
      if (evicted >= arrival.bytes ||
          HeldBytes() + own + arrival.bytes <= limits.capacity_bytes) {
        return true;
      }
    }
    *this = before;
    return false;
  }

  void EndUnpromised() {
    for (const Entry& entry : std::vector<Entry>(waiting)) {
      if (!entry.promised) EndWait(entry.id, TaskResult::kStoreUnavailable);
    }
    for (const Entry& entry : std::vector<Entry>(queue)) {
      if (entry.promised) continue;
      CompleteUnworked(Remove(&queue, entry.id), TaskResult::kStoreUnavailable);
      ended.push_back({entry.id, TaskResult::kStoreUnavailable});
    }
  }

  void Settle(TimePoint now) {
    while (AdmitOneParked(now)) {
    }
    if (waiting.size() > 0) standing.TurnedAway(now);
  }

  bool AdmitOneParked(TimePoint now) {
    for (const Entry& entry : NextToAdmit()) {
      if (QueueTakes(ViewOf(entry.joined), entry.bytes, entry.promised)) {
        counters[entry.method].waiting--;
        Admit(Remove(&waiting, entry.id), now);
        unparked.push_back(entry.id);
        return true;
      }
      if (AwaitsBytes(entry)) return false;
    }
    return false;
  }

  void EndWait(std::size_t id, TaskResult result) {
    const Entry entry = Remove(&waiting, id);
    MethodCounters& c = counters[entry.method];
    c.waiting--;
    c.not_admitted[result]++;
    ended.push_back({id, result});
  }

  void CompleteUnworked(const Entry& entry, TaskResult result) {
    ResetIfEmpty(entry.joined);
    counters[entry.method].queued--;
    counters[entry.method].completed[result]++;
  }
};

// Number of standing queues of lanes that began, and number of those that
// ended.
struct StandingLanes {
  std::size_t begun = 0;
  std::size_t ended = 0;
};

// Applies the same random events to a Gate and to the model, and compares them.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed)
      : parks_(seed % 5 != 0),
        seed_(seed),
        random_(seed),
        by_lanes_(seed % 2 == 1),
        slow_(seed % 4 == 1),
        model_(RandomLimits()),
        gate_(model_.limits, kMethods, &sequence_),
        tasks_(kTasks) {
    for (std::size_t id = 0; id < kTasks; ++id) outside_.push_back(id);
    model_.one_at_a_time = by_lanes_;
    model_.workers = 1 + seed % 3;
    gate_.SetWorkers(model_.workers);
  }

  bool over() const {
    return steps_ == kStepsMax || steps_closed_ == kStepsClosedMax;
  }

  // Takes one random step. Its random numbers depend only on `number`, not on
  // earlier steps, so that steps can be left out.
  void Step(std::size_t number) {
    random_.seed(seed_ * 0x9E3779B97F4A7C15U + number + 1);
    ++steps_;
    if (model_.closed) ++steps_closed_;
    now_ += milliseconds(Below(slow_ ? 40 : 3));
    if (Below(50) == 0) now_ += milliseconds(Below(400));
    if (model_.paused && Below(20) == 0) now_ = model_.retry_at;
    const std::size_t dice = Below(1100);
    if (dice >= 1000) {
      StepOfRarerKind(dice - 1000);
    } else if (dice < 400) {
      Arrive();
    } else if (dice < 440) {
      TurnAway();
    } else if (dice < 450) {
      Invalid();
    } else if (dice < 620) {
      Take({.tasks = 1 + Below(4), .bytes = 1 + Below(kBatchBytesMax)});
    } else if (dice < 780) {
      Done();
    } else if (dice < 870) {
      Leave();
    } else if (dice < 980) {
      Expire();
    } else if (dice < 997) {
      Resize();
    } else if (!slow_ || Below(4) == 0) {
      Close();
    }
    Compare();
    CountStanding();
  }

  // Processes all remaining tasks, and compares after each step.
  void End() {
    random_.seed(seed_);
    for (std::size_t i = 0; !gate_.idle() && i < kStepsEndMax; ++i) {
      now_ += milliseconds(1);
      if (model_.paused) now_ = model_.retry_at;
      Expire();
      Commit();
      Take({.tasks = kTasks});
      Done(/*store_fails=*/false);
      Compare();
    }
    EXPECT_EQ(outside_.size(), kTasks);
    EXPECT_EQ(gate_.view().held_bytes, 0u);
  }

  const MethodCounters& counters(std::size_t method) const {
    return gate_.counters(method);
  }
  // Number of evicted tasks.
  std::size_t evicted() const { return evicted_; }
  StandingLanes standing_lanes() const { return standing_lanes_; }

 private:
  std::size_t Below(std::size_t bound) { return random_() % bound; }

  void StepOfRarerKind(std::size_t dice) {
    if (dice < 60) {
      Commit();
    } else if (dice < 75) {
      Restore();
    } else {
      CountShared();
    }
  }

  GateLimits RandomLimits() {
    return {.capacity = 1 + Below(slow_ ? 20 : 6),
            .capacity_bytes = Below(slow_ ? 300 : 40),
            .waiting_max = Below(10),
            .waiting_max_bytes = Below(60),
            .by_lane = by_lanes_ && Below(5) > 0};
  }

  Entry RandomEntry(std::size_t id) {
    const bool promised = Below(2) == 0;
    return {.id = id,
            .bytes = Below(20) == 0 ? 100 : Below(15),
            .bytes_behind = Below(4) == 0 ? Below(30) : 0,
            .method = Below(kMethods),
            .promised = promised,
            .needs_commit = promised && Below(2) == 0,
            .droppable = Below(4) > 0,
            .order_key = promised ? Below(4) : 0,
            .lane = by_lanes_ ? Below(slow_ ? 2 : 4) : 0,
            .priority = by_lanes_ ? static_cast<Priority>(
                                        Below(slow_ ? 2 : kPriorities))
                                  : Priority::kNormal,
            // Often make the deadline equal to the end of a timed wait.
            .deadline = Below(slow_ ? 2 : 3) == 0
                            ? kForever
                            : now_ + milliseconds(Below(slow_ ? 1000 : 10)),
            .waits_since =
                Below(2) == 0 ? kForever : now_ - milliseconds(Below(8))};
  }

  Rules RandomRules() {
    const auto rule = [this] { return static_cast<Rule>(Below(kRules)); };
    Rules rules = {.obeyed = rule(), .shadow = std::nullopt};
    if (!parks_ && VerdictOf(rules.obeyed) == Verdict::Kind::kPark) {
      rules.obeyed = Rule::kDropOldest;
    }
    if (Below(2) == 0) rules.shadow = rule();
    return rules;
  }

  FakeTask& TaskOf(const Entry& entry) {
    FakeTask& task = tasks_[entry.id];
    task.bytes = entry.bytes;
    task.bytes_behind = entry.bytes_behind;
    task.method = entry.method;
    task.promised = entry.promised;
    task.needs_commit = entry.needs_commit;
    task.droppable = entry.droppable;
    task.order_key = entry.order_key;
    task.lane = entry.lane;
    task.priority = entry.priority;
    task.deadline = entry.deadline;
    task.waits_since = entry.waits_since;
    return task;
  }

  void Arrive() {
    if (outside_.empty()) return;
    const std::size_t id = outside_.front();
    const Entry entry = RandomEntry(id);
    FakeTask& task = TaskOf(entry);
    const Rules rules = RandomRules();
    const bool idle = model_.Idle();

    const Admission admission =
        gate_.Arrive(&task, *rules.Policy(), now_, &events_);
    if (idle) ExpectNotHopeless(admission);
    CompareAnswers(admission, model_.Arrive(entry, rules, now_));
    evicted_ += events_.ended.size();
    if (admission.kind == Admission::Kind::kAdmitted) {
      EXPECT_EQ(admission.sequence, task.sequence);
      admitted_.push_back(id);
    }
    if (admission.kind == Admission::Kind::kAdmitted ||
        admission.kind == Admission::Kind::kParked) {
      outside_.pop_front();
    }
  }

  void TurnAway() {
    Entry entry = RandomEntry(kTasks);
    entry.waits_since = kForever;
    const Rules rules = RandomRules();
    const bool idle = model_.Idle();
    entry.order_key = 0;
    entry.lane_known = !by_lanes_ || Below(2) == 0;
    const std::optional<std::uint64_t> lane =
        entry.lane_known ? std::optional(entry.lane) : std::nullopt;
    const std::optional<Admission> admission =
        gate_.TurnAway({.now = now_,
                        .deadline = entry.deadline,
                        .bytes = entry.bytes,
                        .bytes_behind = entry.bytes_behind,
                        .promised = entry.promised,
                        .priority = entry.priority,
                        .lane = lane},
                       entry.method, *rules.Policy());
    const std::optional<Admission> expected =
        model_.TurnAway(entry, rules, now_);
    ASSERT_EQ(admission.has_value(), expected.has_value());
    if (!admission.has_value()) return;
    CompareAnswers(*admission, *expected);
    if (idle) ExpectNotHopeless(*admission);
  }

  // Checks the promise about idle workers without the model: an arrival that
  // finds an idle worker and an empty queue is not hopeless.
  static void ExpectNotHopeless(const Admission& answer) {
    EXPECT_FALSE(answer.kind == Admission::Kind::kEnded &&
                 answer.result == TaskResult::kHopeless)
        << "refused beside an idle worker and an empty queue";
  }

  void Invalid() {
    const std::size_t method = Below(kMethods);
    gate_.CountArrival(method, TaskResult::kInvalid);
    model_.counters[method].received++;
    model_.counters[method].not_admitted[TaskResult::kInvalid]++;
  }

  void Take(BatchLimits limits) {
    if (by_lanes_) limits.tasks = 1;
    std::vector<Task*> batch;
    gate_.Take(limits, now_, &batch, &events_);
    const Ids ids = IdsOf(batch);
    Ids hopeless;
    for (const Ended& event : events_.ended) {
      if (event.result != TaskResult::kHopeless) continue;
      hopeless.push_back(IdOf(event.task));
    }
    ASSERT_EQ(model_.WhyNotTake(ids, hopeless, limits, now_), "")
        << testing::PrintToString(ids) << " without "
        << testing::PrintToString(hopeless);
    model_.Take(ids, hopeless, now_);
  }

  // Ends one of the batches in work.
  void Done(bool store_fails = true) {
    if (model_.batches.empty()) return;
    const std::size_t number = Below(model_.batches.size());
    std::vector<Task*> batch;
    std::vector<std::optional<TaskResult>> outcomes;
    const TimePoint again_at =
        Below(2) == 0 ? now_ : now_ + milliseconds(Below(30));
    for (const Entry& entry : model_.batches[number].entries) {
      FakeTask& task = tasks_[entry.id];
      task.again = entry.promised && store_fails && Below(3) == 0;
      task.again_at = again_at;
      task.result = kOutcomes[Below(kOutcomes.size())];
      batch.push_back(&task);
      outcomes.emplace_back(task.result);
      if (task.again) outcomes.back().reset();
      if (!task.again) outside_.push_back(entry.id);
    }
    const auto store = store_fails && (!slow_ || Below(8) == 0)
                           ? static_cast<StoreState>(Below(3))
                           : StoreState::kUp;
    gate_.Done(batch, store, now_, &events_);
    const bool straggler = model_.failures > 0 && !model_.batches[number].probe;
    if (store == StoreState::kDown && !straggler) CheckBackoff();
    model_.Done(number, outcomes, again_at, store, gate_.circuit().retry_at(),
                now_);
  }

  // Expects a delay that doubles up to a limit, with a jitter of 20 %.
  void CheckBackoff() {
    const double delay = std::min(
        100.0 * static_cast<double>(1 << std::min(model_.failures, 10)), 5e3);
    const double ms = std::chrono::duration<double, std::milli>(
                          gate_.circuit().retry_at() - now_)
                          .count();
    EXPECT_GE(ms, 0.8 * delay - 1);
    EXPECT_LE(ms, 1.2 * delay);
  }

  // Commits the oldest committing tasks, or lets their commit fail.
  void Commit() {
    if (model_.committing.empty()) return;
    const std::size_t count = 1 + Below(model_.committing.size());
    std::vector<Task*> tasks;
    for (std::size_t i = 0; i < count; ++i) {
      tasks.push_back(&tasks_[model_.committing[i].id]);
    }
    if (Below(5) > 0) {
      gate_.Committed(tasks);
      model_.Committed(count);
      return;
    }
    for (const Task* task : tasks) outside_.push_back(IdOf(task));
    gate_.CommitFailed(tasks, now_, &events_);
    model_.CommitFailed(count, now_);
  }

  void Restore() {
    if (outside_.empty() || model_.closed) return;
    Entry entry = RandomEntry(outside_.front());
    entry.promised = true;
    outside_.pop_front();
    FakeTask& task = TaskOf(entry);
    task.sequence = -1;
    gate_.Restore(&task, now_, &events_);
    model_.Restore(entry, now_);
    restored_ = true;
  }

  void CountShared() {
    const std::size_t method = Below(kMethods);
    MethodCounters& c = model_.counters[method];
    c.received++;
    const auto result = static_cast<TaskResult>(Below(kTaskResults));
    gate_.CountArrival(method, result);
    if (result <= TaskResult::kQuarantined) {
      c.admitted++;
      c.completed[result]++;
    } else {
      c.not_admitted[result]++;
    }
  }

  // Calls Leave for a random task, in whatever state it is.
  void Leave() {
    const std::size_t id = Below(kTasks);
    const bool left = gate_.Leave(&tasks_[id], now_, &events_);
    ASSERT_EQ(left, model_.Leave(id, now_));
    if (left) outside_.push_back(id);
  }

  void Expire() {
    const bool drain_is_over = gate_.next_expiry() == TimePoint::min();
    gate_.Expire(now_, &events_);
    model_.Expire(now_, drain_is_over);
  }

  void Resize() {
    const GateLimits limits = RandomLimits();
    gate_.Resize(limits, now_, &events_);
    model_.Resize(limits, now_);
  }

  void Close() {
    const TimePoint until =
        Below(4) == 0 ? kForever : now_ + milliseconds(Below(30));
    const Promises promises =
        Below(2) == 0 ? Promises::kInMemory : Promises::kDurable;
    gate_.Close(until, promises, &events_);
    model_.Close(until, promises);
  }

  void CompareAnswers(const Admission& answer, const Admission& expected) {
    EXPECT_EQ(answer.kind, expected.kind);
    EXPECT_EQ(answer.result, expected.result);
    if (answer.kind == Admission::Kind::kEnded && IsRefusal(answer.result)) {
      CheckRetryDelay(answer.retry_delay);
    }
  }

  void CheckRetryDelay(Duration delay) {
    EXPECT_GE(delay, milliseconds(50));
    EXPECT_LE(delay, std::chrono::seconds(32));
    if (model_.closed) {
      EXPECT_EQ(delay, std::chrono::seconds(1));
    }
  }

  void Compare() {
    // Restore ignores the limits, so they need not hold after it.
    const bool any_admitted =
        (!model_.unparked.empty() || !admitted_.empty()) && !restored_;
    restored_ = false;
    CompareEvents();
    CompareContent();
    EXPECT_EQ(gate_.CheckInvariants(), "");
    CheckPromises(any_admitted);
  }

  void CountStanding() {
    std::set<LaneKey, Model::LaneKeyLess> standing;
    for (const auto& [key, lane] : model_.lanes) {
      if (lane.standing.stands()) standing.insert(key);
    }
    for (const LaneKey& key : standing) {
      if (!standing_.contains(key)) ++standing_lanes_.begun;
    }
    for (const LaneKey& key : standing_) {
      if (!standing.contains(key)) ++standing_lanes_.ended;
    }
    standing_ = std::move(standing);
  }

  void CompareEvents() {
    std::vector<std::size_t> unparked;
    for (const Unparked& event : events_.admitted) {
      const auto* task = static_cast<FakeTask*>(event.listener);
      EXPECT_EQ(event.sequence, task->sequence);
      unparked.push_back(IdOf(task));
    }
    EXPECT_EQ(unparked, model_.unparked);
    admitted_.insert(admitted_.end(), unparked.begin(), unparked.end());

    std::vector<ModelEnded> ended;
    for (const Ended& event : events_.ended) {
      ended.push_back({IdOf(event.task), event.result});
      outside_.push_back(ended.back().id);
      CheckRetryDelay(event.retry_delay);
    }
    // The orders may differ: a drain ends deferred tasks first, and an opening
    // circuit ends tasks lane by lane.
    if (model_.closed || by_lanes_) {
      std::ranges::sort(ended, {}, &ModelEnded::id);
      std::ranges::sort(model_.ended, {}, &ModelEnded::id);
    }
    EXPECT_EQ(ended, model_.ended);

    // Tasks admitted since the last step have the next sequence numbers.
    EXPECT_EQ(sequence_,
              last_sequence_ + static_cast<std::int64_t>(admitted_.size()));
    for (const std::size_t id : admitted_) {
      EXPECT_EQ(tasks_[id].sequence, ++last_sequence_);
    }

    events_.clear();
    admitted_.clear();
    model_.unparked.clear();
    model_.ended.clear();
  }

  void CompareContent() {
    CompareQueues();
    EXPECT_EQ(IdsOf(gate_.committing()), IdsOf(model_.committing));
    EXPECT_EQ(IdsOf(gate_.waiting()), IdsOf(model_.waiting));
    const PoolView view = gate_.view();
    EXPECT_EQ(view.depth, model_.Depth());
    EXPECT_EQ(view.waiting, model_.waiting.size());
    EXPECT_EQ(view.held_bytes, model_.HeldBytes());
    EXPECT_EQ(view.capacity, model_.limits.capacity);
    EXPECT_EQ(view.capacity_bytes, model_.limits.capacity_bytes);
    EXPECT_EQ(view.waiting_max, model_.limits.waiting_max);
    EXPECT_EQ(gate_.in_work(), model_.InWork());
    if (gate_.next_expiry() == TimePoint::min()) {
      EXPECT_TRUE(model_.MayOutlastDrain());
    } else {
      EXPECT_FALSE(model_.MustOutlastDrain());
      EXPECT_EQ(gate_.next_expiry(), model_.NextExpiry());
    }
    EXPECT_EQ(gate_.idle(), model_.Depth() == 0 && model_.waiting.empty() &&
                                model_.batches.empty());
    EXPECT_EQ(gate_.open(), !model_.closed &&
                                !(model_.paused && model_.open()) &&
                                model_.OpenToAll());
    EXPECT_EQ(gate_.lanes(), model_.Lanes());
    EXPECT_EQ(gate_.circuit().open(), model_.open());
    // A worker sleeps until the Gate is ready, so a Gate that is not ready must
    // not have a task to take.
    EXPECT_TRUE(gate_.ready() ||
                model_.WhyNotTake({}, {}, {.tasks = 1}, now_).empty());
    for (std::size_t method = 0; method < kMethods; ++method) {
      EXPECT_EQ(gate_.counters(method), model_.counters[method]);
    }
  }

  // Compares the order of tasks that share key and lane. The order of other
  // tasks differs from the model, because the Gate reports deferred tasks
  // first.
  void CompareQueues() {
    const Ids ids = IdsOf(gate_.queued());
    // Among the tasks of one key, delayed tasks come first.
    std::vector<Entry> all = model_.delayed;
    all.insert(all.end(), model_.queue.begin(), model_.queue.end());
    EXPECT_EQ(ids.size(), all.size());
    for (const Entry& some : all) {
      if (some.order_key == 0) continue;
      Ids of_model;
      for (const Entry& entry : all) {
        if (entry.order_key == some.order_key && entry.joined == some.joined) {
          of_model.push_back(entry.id);
        }
      }
      Ids of_gate;
      for (const std::size_t id : ids) {
        if (Model::Contains(of_model, id)) of_gate.push_back(id);
      }
      EXPECT_EQ(of_gate, of_model) << "key " << some.order_key;
    }
  }

  // Checks promises without the model. A limit must hold only if a task has
  // been admitted under it, since Resize removes nothing.
  void CheckPromises(bool any_admitted) {
    for (std::size_t method = 0; method < kMethods; ++method) {
      EXPECT_TRUE(gate_.counters(method).Balanced());
    }
    const PoolView view = gate_.view();
    const std::size_t held = view.depth + model_.InWork();
    if (any_admitted) {
      EXPECT_LE(view.depth, view.capacity);
      EXPECT_TRUE(view.held_bytes <= view.capacity_bytes || held == 1);
    }
    const std::vector<const Task*> waiting = gate_.waiting();
    if (!waiting.empty() && !by_lanes_) {
      EXPECT_TRUE(view.depth >= view.capacity ||
                  view.held_bytes + waiting[0]->bytes > view.capacity_bytes ||
                  (!waiting[0]->promised &&
                   model_.HasStandingQueue(model_.ViewOf(LaneKey{}))))
          << "a task is parked while there is room";
      EXPECT_GT(held, 0u) << "a task is parked while nothing is inside";
    }
    if (waiting.size() > parked_before_) {
      std::size_t bytes = 0;
      for (const Task* task : waiting) {
        bytes += task->bytes + task->bytes_behind;
      }
      EXPECT_LE(view.waiting, view.waiting_max);
      EXPECT_TRUE(bytes <= model_.limits.waiting_max_bytes ||
                  view.waiting == 1);
    }
    parked_before_ = waiting.size();
  }

  std::size_t IdOf(const Task* task) const {
    for (std::size_t id = 0; id < kTasks; ++id) {
      if (&tasks_[id] == task) return id;
    }
    return kTasks;
  }

  template <typename Tasks>
  Ids IdsOf(const Tasks& tasks) const {
    Ids ids;
    for (const Task* task : tasks) ids.push_back(IdOf(task));
    return ids;
  }

  static Ids IdsOf(const std::vector<Entry>& entries) {
    Ids ids;
    for (const Entry& entry : entries) ids.push_back(entry.id);
    return ids;
  }

  // False in schedules without parking policies, where evictions are frequent.
  const bool parks_;
  const std::uint64_t seed_;
  std::mt19937_64 random_;
  const bool by_lanes_;
  // In slow schedules there are fewer lanes, tasks wait longer, and the store
  // seldom fails, so that lanes get standing queues.
  const bool slow_;
  TimePoint now_{std::chrono::hours(1)};
  std::atomic<std::int64_t> sequence_{0};
  Model model_;
  Gate gate_;
  std::vector<FakeTask> tasks_;
  std::deque<std::size_t> outside_;
  GateEvents events_;
  std::vector<std::size_t>
      admitted_;  // tasks admitted since the last comparison
  std::int64_t last_sequence_ = 0;
  std::size_t parked_before_ = 0;  // parked tasks at the last comparison
  bool restored_ = false;          // true if restored since the last comparison
  std::size_t evicted_ = 0;
  // Lanes that had a standing queue after the last step.
  std::set<LaneKey, Model::LaneKeyLess> standing_;
  StandingLanes standing_lanes_;
  std::size_t steps_ = 0;
  std::size_t steps_closed_ = 0;
};

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// Counts of all schedules, to check that they reach every result.
class Reached {
 public:
  void AddEvicted(std::size_t evicted) { evicted_ += evicted; }
  void AddStanding(const StandingLanes& lanes) {
    standing_.begun += lanes.begun;
    standing_.ended += lanes.ended;
  }
  void Add(const MethodCounters& counters) {
    for (std::size_t i = 0; i < kTaskResults; ++i) {
      not_admitted_.counts[i] += counters.not_admitted.counts[i];
      completed_.counts[i] += counters.completed.counts[i];
    }
    for (std::size_t i = 0; i < kVerdictKinds; ++i) {
      shadow_[i] += counters.shadow[i];
    }
  }

  void ExpectEverything() const {
    using testing::Each;
    using testing::Gt;
    for (std::size_t i = 0; i < kTaskResults; ++i) {
      const auto result = static_cast<TaskResult>(i);
      if (!IsWorked(result)) {
        EXPECT_GT(not_admitted_[result], 100u) << i;
      }
      if (OutcomeName(result) != "") {
        EXPECT_GT(completed_[result], 100u) << i;
      }
    }
    EXPECT_THAT(shadow_, Each(Gt(100u)));
    EXPECT_GT(evicted_, 100u);
    EXPECT_GT(standing_.begun, 20u);
    EXPECT_GT(standing_.ended, 20u);
  }

 private:
  ResultCounts not_admitted_;
  ResultCounts completed_;
  std::array<std::uint64_t, kVerdictKinds> shadow_{};
  std::uint64_t evicted_ = 0;
  StandingLanes standing_;
};

using Steps = std::vector<std::size_t>;

// Outcome of a schedule.
struct Played {
  std::size_t steps = 0;
  std::string failure;  // the first failure; empty if there is none
  std::array<MethodCounters, kMethods> counters{};
  std::uint64_t evicted = 0;
  StandingLanes standing_lanes;
};

// Plays `steps` up to the first failure. Returns the failure without failing
// the test.
Played Play(std::uint64_t seed, const Steps& steps) {
  testing::TestPartResultArray failures;
  const testing::ScopedFakeTestPartResultReporter reporter(
      testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
      &failures);
  Schedule schedule(seed);
  Played played;
  for (const std::size_t step : steps) {
    if (schedule.over() || failures.size() > 0) break;
    schedule.Step(step);
    ++played.steps;
  }
  if (failures.size() == 0) schedule.End();
  if (failures.size() > 0) {
    const testing::TestPartResult& first = failures.GetTestPartResult(0);
    played.failure = absl::StrCat(first.file_name(), ":", first.line_number(),
                                  ": ", first.message());
  }
  for (std::size_t method = 0; method < kMethods; ++method) {
    played.counters[method] = schedule.counters(method);
  }
  played.evicted = schedule.evicted();
  played.standing_lanes = schedule.standing_lanes();
  return played;
}

Steps AllSteps(std::size_t count) {
  Steps steps(count);
  std::iota(steps.begin(), steps.end(), std::size_t{0});
  return steps;
}

// Shrinks a failing schedule. Returns its failure and how to replay it.
std::string Explain(std::uint64_t seed, const Steps& failing) {
  const Steps least = Shrink<std::size_t>(
      failing,
      [seed](const Steps& steps) { return !Play(seed, steps).failure.empty(); },
      kTrialsMax);
  return absl::StrCat("seed ", seed, " fails with ", least.size(), " of ",
                      failing.size(), " steps: ", Play(seed, least).failure,
                      "\nto replay: SLUICE_GATE_SEED=", seed,
                      " SLUICE_GATE_ONLY=", absl::StrJoin(least, ","),
                      " pool_test --gtest_filter=GateModel.*");
}

TEST(GateModel, AgreesUnderRandomSchedules) {
  const std::uint64_t first_seed = FromEnvironment("SLUICE_GATE_SEED", 1);
  const std::uint64_t steps = FromEnvironment("SLUICE_GATE_STEPS", 300'000);
  if (const char* only = std::getenv("SLUICE_GATE_ONLY")) {
    Steps chosen;
    for (const absl::string_view step :
         absl::StrSplit(only, ',', absl::SkipEmpty())) {
      ASSERT_TRUE(absl::SimpleAtoi(step, &chosen.emplace_back())) << step;
    }
    const Played played = Play(first_seed, chosen);
    ASSERT_EQ(played.failure, "");
    return;
  }
  std::uint64_t taken = 0;
  Reached reached;
  for (std::uint64_t seed = first_seed; taken < steps; ++seed) {
    const Played played = Play(seed, AllSteps(kStepsMax));
    ASSERT_EQ(played.failure, "") << Explain(seed, AllSteps(played.steps));
    taken += played.steps;
    reached.AddEvicted(played.evicted);
    reached.AddStanding(played.standing_lanes);
    for (const MethodCounters& counters : played.counters) {
      reached.Add(counters);
    }
  }
  if (taken >= 200'000) reached.ExpectEverything();
}

}  // namespace
}  // namespace sluice

#include "server/readiness.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sluice {
namespace {

// Time between two looks at the pools. Results of checks are combined at once.
constexpr Duration kLookInterval = std::chrono::milliseconds(250);

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

absl::Status NotCheckedYet(const std::string& name) {
  return absl::UnavailableError(
      absl::StrCat(name, " has not answered its first check yet"));
}

absl::Status Hangs(std::string_view name, Duration age) {
  return absl::UnavailableError(absl::StrFormat(
      "%s does not answer: the last answered check began %.0f s ago",
      ToAbsl(name), ToSeconds(age)));
}

MethodState StateOf(Method method, const MethodContext& context,
                    const Pools& pools) {
  MethodState state;
  state.acknowledges = method != Method::kGetReceipts;
  state.queued = context.settings->Get()->config.ack == Ack::kQueued;
  const PoolSnapshot snapshot = context.pool->Snapshot();
  state.circuit_open = snapshot.circuit_open;
  state.has_task = snapshot.view.depth + snapshot.in_work > 0;
  state.full = snapshot.view.depth >= snapshot.view.capacity;
  state.replaying = snapshot.unread > 0;
  for (const auto& [name, pool] : pools.by_name()) {
    if (pool.workers.get() != context.pool || pool.journal == nullptr) continue;
    state.journal = name;
    state.reserves = pool.journal_writer->CheckReserves();
  }
  return state;
}

}  // namespace

absl::Status ReadinessOfMethod(const MethodState& method,
                               const absl::Status& store,
                               const absl::Status& journal) {
  if (method.replaying) {
    return absl::UnavailableError("the journal is being replayed");
  }
  if (method.acknowledges && method.queued) {
    if (!method.journal.empty()) {
      if (!method.reserves.ok()) return method.reserves;
      if (!journal.ok()) return journal;
    }
    // A full queue of a server that stores is load. A full queue of a server
    // that cannot store stays full.
    return method.full && (method.circuit_open || !store.ok())
               ? absl::UnavailableError(
                     "the queue is full and the store is unavailable")
               : absl::OkStatus();
  }
  if (!store.ok()) {
    return absl::UnavailableError(
        absl::StrCat("the store fails: ", store.message()));
  }
  // An open circuit closes when a probe succeeds, and a probe needs a task. An
  // empty pool gets no task while clients avoid the method because of this
  // answer, so the check of the store decides alone.
  if (method.circuit_open && method.has_task) {
    return absl::UnavailableError("the store fails");
  }
  return absl::OkStatus();
}

Readiness::Options Readiness::OptionsFor(const Pools& pools,
                                         const Methods& methods, Store* store) {
  Options options;
  options.check_store = [store] { return store->Check(); };
  for (const auto& [name, pool] : pools.by_name()) {
    if (pool.journal == nullptr) continue;
    options.journals.push_back(
        {.pool = name,
         .check = [journal = pool.journal.get()] { return journal->Check(); }});
  }
  options.methods = [&pools, &methods] {
    std::array<MethodState, kMethods> states;
    for (const Method method : kAllMethods) {
      states[Index(method)] = StateOf(method, methods[method], pools);
    }
    return states;
  };
  return options;
}

Readiness::Readiness(Options options) : options_(std::move(options)) {
  const auto on_result = [this] {
    absl::MutexLock lock(&mutex_);
    result_ = true;
    changed_.SignalAll();
  };
  Publish(MakeReport());
  checks_.emplace_back("the store", options_.check_store, on_result,
                       options_.clock);
  for (const Journal& journal : options_.journals) {
    checks_.emplace_back(absl::StrCat("the journal of pool ", journal.pool),
                         journal.check, on_result, options_.clock);
  }
  thread_ = std::thread([this] { Run(); });
}

Readiness::~Readiness() {
  RemoveListeners();
  Drain();
  thread_.join();
}

void Readiness::AwaitFirst(TimePoint deadline) {
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return report_->parts.size() > options_.journals.size() &&
           std::ranges::all_of(report_->parts, [](const Part& part) {
             return part.begun_at.has_value();
           });
  };
  absl::MutexLock lock(&mutex_);
  while (!all_answered() && options_.clock->Now() < deadline) {
    options_.clock->Wait(&changed_, &mutex_, deadline);
  }
}

void Readiness::AddListener(std::function<void()> listener) {
  absl::MutexLock lock(&listeners_mutex_);
  listener();  // for a change before this call
  listeners_.push_back(std::move(listener));
}

void Readiness::RemoveListeners() {
  absl::MutexLock lock(&listeners_mutex_);
  listeners_.clear();
}

void Readiness::Notify() {
  absl::MutexLock lock(&listeners_mutex_);
  for (const auto& listener : listeners_) listener();
}

void Readiness::Drain() {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    changed_.SignalAll();
  }
  for (PeriodicCheck& check : checks_) check.BeginStop();
  Notify();
}

bool Readiness::AwaitStopped(TimePoint deadline) {
  return std::ranges::all_of(checks_, [&](PeriodicCheck& check) {
    return check.AwaitStopped(deadline);
  });
}

void Readiness::Run() {
  TimePoint until = options_.clock->Now();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      while (!draining_ && !result_ && options_.clock->Now() < until) {
        options_.clock->Wait(&changed_, &mutex_, until);
      }
      if (draining_) return;
      result_ = false;
    }
    Publish(MakeReport());
    until = options_.clock->Now() + kLookInterval;
  }
}

Readiness::Report Readiness::MakeReport() const {
  Report report;
  report.made_at = options_.clock->Now();
  for (const PeriodicCheck& check : checks_) {
    report.parts.push_back(Look(check));
  }
  if (report.parts.empty()) {
    report.methods.fill(NotCheckedYet("the server"));
    return report;
  }
  const std::array<MethodState, kMethods> states = options_.methods();
  for (std::size_t i = 0; i < kMethods; ++i) {
    absl::Status journal;
    for (std::size_t j = 0; j < options_.journals.size(); ++j) {
      if (options_.journals[j].pool == states[i].journal) {
        journal = report.parts[j + 1].status;
      }
    }
    report.methods[i] =
        ReadinessOfMethod(states[i], report.parts[0].status, journal);
    if (states[i].acknowledges && report.methods[i].ok()) report.ready = true;
  }
  return report;
}

Readiness::Part Readiness::Look(const PeriodicCheck& check) const {
  const std::optional<PeriodicCheck::Result> last = check.last();
  if (!last.has_value()) {
    return {.name = check.name(),
            .status = NotCheckedYet(check.name()),
            .begun_at = std::nullopt};
  }
  const Duration age = options_.clock->Now() - last->begun_at;
  return {.name = check.name(),
          .status = age > kStale ? Hangs(check.name(), age) : last->status,
          .begun_at = last->begun_at};
}

void Readiness::Publish(Report report) {
  auto fresh = std::make_shared<const Report>(std::move(report));
  bool same = false;
  {
    absl::MutexLock lock(&mutex_);
    report_.swap(fresh);
    same = fresh != nullptr && fresh->ready == report_->ready &&
           std::ranges::equal(fresh->methods, report_->methods, {},
                              &absl::Status::ok, &absl::Status::ok);
    changed_.SignalAll();
  }
  if (!same) Notify();
}

absl::Status Readiness::Current(std::shared_ptr<const Report>* report) const {
  bool draining = false;
  {
    absl::MutexLock lock(&mutex_);
    *report = report_;
    draining = draining_;
  }
  if (draining) return absl::UnavailableError("draining");
  const Duration age = options_.clock->Now() - (*report)->made_at;
  return age > kStale ? Hangs("readiness", age) : absl::OkStatus();
}

std::string Readiness::Text(std::string_view first_line,
                            const Report& report) const {
  std::string text = absl::StrCat(ToAbsl(first_line), "\n");
  std::optional<TimePoint> oldest;
  std::string degraded;
  for (const Part& part : report.parts) {
    if (part.begun_at.has_value()) {
      oldest = std::min(oldest.value_or(*part.begun_at), *part.begun_at);
    }
    if (part.status.ok()) continue;
    absl::StrAppend(&degraded, "degraded: ", part.name, ": ",
                    part.status.message(), "\n");
  }
  for (const Method method : kAllMethods) {
    const absl::Status& status = report.methods[Index(method)];
    if (status.ok()) continue;
    absl::StrAppend(&degraded, "degraded: ", ToAbsl(FullMethodName(method)),
                    ": ", status.message(), "\n");
  }
  if (oldest.has_value()) {
    absl::StrAppendFormat(&text, "checked %.1f s ago\n",
                          ToSeconds(options_.clock->Now() - *oldest));
  }
  return text + degraded;
}

std::optional<HttpEndpoint::Readiness> Readiness::Answer(
    std::string_view name) const {
  std::shared_ptr<const Report> report;
  absl::Status status = Current(&report);
  std::optional<Method> method;
  if (!name.empty()) {
    method = FindMethod(name);
    if (!method.has_value()) {
      method =
          FindMethod(absl::StrCat(ToAbsl(kServiceName), "/", ToAbsl(name)));
    }
    if (!method.has_value()) return std::nullopt;
  }
  if (!status.ok()) {
    return HttpEndpoint::Readiness{
        .ready = false, .text = absl::StrCat(status.message(), "\n")};
  }
  if (method.has_value()) {
    status = report->methods[Index(*method)];
  } else if (!report->ready) {
    status = absl::UnavailableError("no method can acknowledge");
  }
  return HttpEndpoint::Readiness{
      .ready = status.ok(),
      .text = Text(status.ok() ? std::string_view("ok")
                               : std::string_view(status.message().data(),
                                                  status.message().size()),
                   *report)};
}

std::optional<bool> Readiness::Serving(std::string_view name) const {
  std::shared_ptr<const Report> report;
  const bool current = Current(&report).ok();
  if (name.empty() || name == kServiceName) return current && report->ready;
  const std::optional<Method> method = FindMethod(name);
  if (!method.has_value()) return std::nullopt;
  return current && report->methods[Index(*method)].ok();
}

}  // namespace sluice

#include "loadgen/internal/load_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <random>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "loadgen/internal/progress_text.h"
#include "loadgen/internal/timeline.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kConnectTimeout = seconds(10);
constexpr Duration kExpiryStep = milliseconds(1);
constexpr Duration kProgressStep = milliseconds(100);
// `stop` may be set without an event. This limits the delay until it is
// noticed.
constexpr Duration kPollMax = milliseconds(500);

timespec ToTimespec(Duration duration) {
  return absl::ToTimespec(
      absl::FromChrono(std::max(duration, Duration::zero())));
}

}  // namespace

LoadLoop::LoadLoop(const LoadOptions& options, const H2Target& target,
                   ProgressBar& progress, const std::atomic<bool>& stop)
    : options_(options),
      target_(target),
      progress_(progress),
      stop_(stop),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      workload_(options.method, options.samples),
      tally_(Window{}) {
  SLUICE_DCHECK(Validate(options).ok());
}

LoadLoop::~LoadLoop() { close(epoll_fd_); }

absl::Status LoadLoop::Connect() {
  const auto begin = std::chrono::steady_clock::now();
  const auto timeout = begin + kConnectTimeout;
  for (int i = 0; i < options_.connections; ++i) {
    connections_.emplace_back(options_, target_, workload_, tally_, epoll_fd_);
    connections_.back().Connect(begin);
  }
  for (;;) {
    bool all_ready = true;
    for (const LoadConnection& connection : connections_) {
      if (!connection.loss().ok()) {
        return absl::UnavailableError(
            absl::StrCat("cannot connect to ", options_.target, ": ",
                         connection.loss().message()));
      }
      all_ready &= connection.ready();
    }
    if (all_ready) return absl::OkStatus();
    if (stop_ || std::chrono::steady_clock::now() >= timeout) {
      return absl::UnavailableError(absl::StrCat(
          "cannot connect to ", options_.target, ": no HTTP/2 greeting within ",
          absl::FormatDuration(absl::FromChrono(kConnectTimeout))));
    }
    Poll(timeout);
    WriteActive();
  }
}

LoadResult LoadLoop::Run(TimePoint start) {
  SLUICE_DCHECK_EQ(connections_.size(),
                   static_cast<std::size_t>(options_.connections));
  Begin(start);
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (sending_ && (now >= tally_.window().end || !MaySend() || stop_)) {
      StopSending(now);
    }
    Reconnect(now);
    ExpireCalls(now);
    if (sending_ && schedule_) SendDue(now);
    if (sending_ && !schedule_) FillUp(now);
    WriteActive();
    if (!sending_ && (AllIdle() || now >= grace_end_)) break;
    ShowProgress(now);
    Poll(NextEvent(now));
  }
  progress_.Clear();

  const TimePoint end = std::chrono::steady_clock::now();
  LoadResult result{
      .counts = tally_.counts(),
      .seconds = std::max(0.0, ToSeconds(end - tally_.window().begin)),
      .calls_per_second = tally_.Rate(end)};
  if (tally_.timeline()) {
    result.timeline = tally_.timeline()->intervals();
    result.interval_length = tally_.timeline()->length();
  }
  for (const LoadConnection& connection : connections_) {
    result.bytes_sent += connection.bytes_sent();
    result.bytes_received += connection.bytes_received();
  }
  return result;
}

void LoadLoop::Begin(TimePoint start) {
  began_ = start;
  next_expiry_ = start;
  next_progress_ = start;
  tally_ = Tally(Window::After(start, ToMonotonic(options_.warmup),
                               ToMonotonic(options_.duration)));
  if (options_.profile) {
    schedule_ = std::make_unique<ProfileSchedule>(*options_.profile, start);
    tally_.Keep(Timeline(start, ToMonotonic(options_.duration),
                         Timeline::LengthFor(ToMonotonic(options_.duration)),
                         DeadlineOf(options_)));
  } else if (options_.rate > 0) {
    schedule_ = std::make_unique<RateSchedule>(options_.rate, options_.arrivals,
                                               options_.samples.seed, start);
  }
  for (LoadConnection& connection : connections_) Activate(connection);
}

bool LoadLoop::MaySend() const {
  return options_.requests == 0 ||
         tally_.counts().sent + tally_.counts().not_sent < options_.requests;
}

void LoadLoop::FillUp(TimePoint now) {
  const auto outstanding = static_cast<std::size_t>(options_.outstanding);
  for (LoadConnection* connection : active_) {
    while (connection->in_flight() < outstanding && MaySend() &&
           connection->Send(now, now, {})) {
    }
  }
}

void LoadLoop::SendDue(TimePoint now) {
  const auto due_end = std::min(now, tally_.window().end);
  for (; schedule_->next() <= due_end && MaySend(); schedule_->Advance()) {
    const auto intended_start = schedule_->next();
    LoadConnection* connection = NextWithRoom();
    if (connection == nullptr ||
        !connection->Send(intended_start, now, schedule_->sender())) {
      tally_.NotSent(intended_start);
      continue;
    }
    Activate(*connection);
  }
}

LoadConnection* LoadLoop::NextWithRoom() {
  const std::size_t share = std::max<std::size_t>(
      1,
      static_cast<std::size_t>(options_.in_flight_max) / connections_.size());
  for (std::size_t tried = 0; tried < connections_.size(); ++tried) {
    LoadConnection& connection = connections_[next_connection_];
    next_connection_ = (next_connection_ + 1) % connections_.size();
    if (connection.ready() && connection.in_flight() < share) {
      return &connection;
    }
  }
  return nullptr;
}

void LoadLoop::StopSending(TimePoint now) {
  // Send calls that became due while the loop was busy. Otherwise a busy loop
  // would hide them from the result.
  if (schedule_) SendDue(now);
  sending_ = false;
  grace_end_ = now + ToMonotonic(options_.grace);
  tally_.StopStarts(now + Duration(1));
  std::mt19937_64 random(options_.samples.seed);
  for (LoadConnection& connection : connections_) {
    if (options_.abandon > 0) connection.Abandon(options_.abandon, random, now);
    connection.NoMoreSends();
    Activate(connection);
  }
}

bool LoadLoop::AllIdle() const {
  return std::ranges::all_of(connections_, &LoadConnection::idle);
}

void LoadLoop::ExpireCalls(TimePoint now) {
  if (options_.deadline == absl::InfiniteDuration() || now < next_expiry_) {
    return;
  }
  next_expiry_ = now + kExpiryStep;
  for (LoadConnection& connection : connections_) {
    connection.Expire(now);
    Activate(connection);
  }
}

void LoadLoop::Reconnect(TimePoint now) {
  if (!sending_ || tally_.counts().connections_lost == 0) return;
  for (LoadConnection& connection : connections_) {
    const auto at = connection.reconnect_at();
    if (at && *at <= now) connection.Connect(now);
  }
}

void LoadLoop::ShowProgress(TimePoint now) {
  if (!progress_.visible() || now < next_progress_) return;
  next_progress_ = now + kProgressStep;
  const std::chrono::duration<double> elapsed = now - began_;
  double part = elapsed / (tally_.window().end - began_);
  if (options_.requests > 0) {
    part = std::max(part, static_cast<double>(tally_.counts().sent) /
                              static_cast<double>(options_.requests));
  }
  std::size_t in_flight = 0;
  for (const LoadConnection& connection : connections_) {
    in_flight += connection.in_flight();
  }
  progress_.Show(part, ProgressText(tally_, now - began_, now, in_flight));
}

void LoadLoop::Activate(LoadConnection& connection) {
  // Check for a repeat of the last connection only: most repeats follow each
  // other, and writing a connection twice is harmless.
  if (active_.empty() || active_.back() != &connection) {
    active_.push_back(&connection);
  }
}

void LoadLoop::WriteActive() {
  for (LoadConnection* connection : active_) connection->Write();
  active_.clear();
}

void LoadLoop::Poll(TimePoint until) {
  std::array<epoll_event, 256> events;
  const timespec timeout = ToTimespec(until - std::chrono::steady_clock::now());
  const int count =
      epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()),
                   &timeout, nullptr);
  if (count <= 0) return;  // interrupted by a signal, or the time is up
  for (const epoll_event& event :
       std::span(events).first(static_cast<std::size_t>(count))) {
    auto* connection = static_cast<LoadConnection*>(event.data.ptr);
    if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0) connection->Read();
    Activate(*connection);
  }
}

TimePoint LoadLoop::NextEvent(TimePoint now) const {
  auto next = now + kPollMax;
  if (sending_) {
    next = std::min(next, tally_.window().end);
    if (schedule_) next = std::min(next, schedule_->next());
  } else {
    next = std::min(next, grace_end_);
  }
  if (options_.deadline != absl::InfiniteDuration()) {
    next = std::min(next, next_expiry_);
  }
  if (progress_.visible()) next = std::min(next, next_progress_);
  if (sending_ && tally_.counts().connections_lost > 0) {
    for (const LoadConnection& connection : connections_) {
      if (const auto at = connection.reconnect_at()) next = std::min(next, *at);
    }
  }
  return next;
}

}  // namespace sluice

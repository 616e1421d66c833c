#include "loadgen/internal/load_connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "base/check.h"
#include "loadgen/internal/grpc_framing.h"
#include "loadgen/internal/stream_calls.h"
#include "loadgen/internal/unary_calls.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr Duration kRetryDelayMin = milliseconds(100);
constexpr Duration kRetryDelayMax = milliseconds(1000);

H2Connection::Headers CallHeaders(const LoadOptions& options) {
  H2Connection::Headers headers = {{"te", "trailers"},
                                   {"content-type", "application/grpc"},
                                   {"user-agent", "sluice-load"}};
  if (options.deadline != absl::InfiniteDuration()) {
    headers.emplace_back("grpc-timeout", FormatGrpcTimeout(options.deadline));
  }
  return headers;
}

}  // namespace

Duration DeadlineOf(const LoadOptions& options) {
  return options.deadline == absl::InfiniteDuration()
             ? Duration::max()
             : ToMonotonic(options.deadline);
}

LoadConnection::LoadConnection(const LoadOptions& options,
                               const H2Target& target, Workload& workload,
                               Tally& tally, int epoll_fd)
    : options_(options),
      target_(target),
      workload_(workload),
      tally_(tally),
      epoll_fd_(epoll_fd),
      retry_delay_(kRetryDelayMin) {}

void LoadConnection::Connect(TimePoint now) {
  SLUICE_DCHECK(h2_ == nullptr);
  retry_at_ = now + retry_delay_;
  retry_delay_ = std::min(2 * retry_delay_, kRetryDelayMax);
  auto h2 =
      H2Connection::Connect(target_, workload_.path(), CallHeaders(options_));
  loss_ = h2.status();
  if (!h2.ok()) return;
  h2_ = *std::move(h2);
  if (options_.method == LoadMethod::kStream) {
    calls_ = std::make_unique<StreamCalls>(*h2_, workload_, tally_,
                                           options_.streams);
  } else {
    calls_ = std::make_unique<UnaryCalls>(*h2_, workload_, tally_,
                                          DeadlineOf(options_));
  }
  // The socket becomes writable once it is connected.
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = this}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, h2_->fd(), &event);
  watches_writable_ = true;
}

std::optional<TimePoint> LoadConnection::reconnect_at() const {
  if (h2_ != nullptr) return std::nullopt;
  return retry_at_;
}

bool LoadConnection::Send(TimePoint intended_start, TimePoint now,
                          const LoadSender& sender) {
  return ready() && calls_->Send(intended_start, now, sender);
}

void LoadConnection::Expire(TimePoint now) {
  if (calls_ != nullptr && calls_->Expire(now)) Write();
}

void LoadConnection::Abandon(double share, std::mt19937_64& random,
                             TimePoint now) {
  if (calls_ != nullptr) calls_->Abandon(share, random, now);
}

void LoadConnection::NoMoreSends() {
  if (calls_ != nullptr) calls_->NoMoreSends();
}

void LoadConnection::Read() {
  if (h2_ == nullptr) return;
  if (const auto status = h2_->Read(); !status.ok()) return Lose(status);
  if (h2_->ready()) retry_delay_ = kRetryDelayMin;
  if (h2_->going_away() && calls_->idle()) {
    Lose(absl::UnavailableError("connection ended: the server sent GOAWAY"));
  }
}

void LoadConnection::Write() {
  if (h2_ == nullptr) return;
  if (const auto status = h2_->Write(); !status.ok()) return Lose(status);
  Watch(h2_->blocked());
}

std::int64_t LoadConnection::bytes_sent() const {
  return bytes_sent_before_ + (h2_ ? h2_->bytes_sent() : 0);
}

std::int64_t LoadConnection::bytes_received() const {
  return bytes_received_before_ + (h2_ ? h2_->bytes_received() : 0);
}

void LoadConnection::Lose(const absl::Status& why) {
  const auto now = std::chrono::steady_clock::now();
  bytes_sent_before_ = bytes_sent();
  bytes_received_before_ = bytes_received();
  calls_->ConnectionLost(now);
  calls_.reset();
  h2_.reset();  // closes the socket, which also removes it from epoll
  loss_ = why;
  retry_at_ = now + retry_delay_;
  tally_.ConnectionLost(why);
}

void LoadConnection::Watch(bool writable) {
  if (writable == watches_writable_) return;
  epoll_event event{.events = EPOLLIN | (writable ? EPOLLOUT : 0U),
                    .data = {.ptr = this}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, h2_->fd(), &event);
  watches_writable_ = writable;
}

}  // namespace sluice

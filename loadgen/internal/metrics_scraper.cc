#include "loadgen/internal/metrics_scraper.h"

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/time.h"
#include "loadgen/server_metrics.h"

namespace sluice {
namespace {

constexpr Duration kInterval = std::chrono::seconds(1);
constexpr absl::Duration kAnswerMax = absl::Seconds(1);
// Samples of a week.
constexpr std::size_t kSamplesMax = std::size_t{7} * 24 * 3600;

}  // namespace

PoolSample ReadPoolSample(absl::string_view text, const std::string& pool) {
  std::vector<std::string> labels;
  if (!pool.empty()) labels.push_back(absl::StrCat("pool=\"", pool, "\""));
  PoolSample sample;
  sample.workers = SumOfSamples(text, "sluice_workers", labels);
  sample.depth = SumOfSamples(text, "sluice_queue_depth", labels);
  sample.waiting = SumOfSamples(text, "sluice_waiting", labels);
  labels.emplace_back("state=\"busy\"");
  sample.busy = SumOfSamples(text, "sluice_workers", labels);
  return sample;
}

std::vector<PoolSample> ByInterval(const std::vector<PoolSample>& samples,
                                   TimePoint start, Duration length,
                                   std::size_t count) {
  std::vector<PoolSample> by_interval;
  by_interval.reserve(count);
  auto next = samples.begin();
  PoolSample last;
  TimePoint end = start;
  for (std::size_t i = 0; i < count; ++i) {
    end += length;
    for (; next != samples.end() && next->at < end; ++next) last = *next;
    by_interval.push_back(last);
  }
  return by_interval;
}

absl::StatusOr<std::string> MetricsScraper::HostPort(absl::string_view url) {
  absl::string_view rest = url;
  absl::ConsumePrefix(&rest, "http://");
  rest = rest.substr(0, rest.find('/'));
  if (rest.empty() || rest.find(':') == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--metrics must be like http://127.0.0.1:9464/metrics, not ", url));
  }
  return std::string(rest);
}

MetricsScraper::MetricsScraper(const H2Target& target, std::string pool)
    : target_(target), pool_(std::move(pool)), thread_([this] { Run(); }) {}

MetricsScraper::~MetricsScraper() { Stop(); }

std::vector<PoolSample> MetricsScraper::Stop() {
  if (thread_.joinable()) {
    stopped_.Notify();
    thread_.join();
  }
  return std::exchange(samples_, {});
}

void MetricsScraper::Run() {
  TimePoint next = std::chrono::steady_clock::now();
  do {
    const auto text =
        FetchMetrics(target_.address, target_.address_size, kAnswerMax);
    if (text.ok()) {
      samples_.push_back(ReadPoolSample(*text, pool_));
      samples_.back().at = std::chrono::steady_clock::now();
    }
    next += kInterval;
  } while (samples_.size() < kSamplesMax &&
           !stopped_.WaitForNotificationWithTimeout(
               absl::FromChrono(next - std::chrono::steady_clock::now())));
}

}  // namespace sluice

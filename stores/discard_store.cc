#include "stores/discard_store.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"

namespace sluice {
namespace {

double RandomUniform() {
  thread_local absl::BitGen generator;
  return absl::Uniform<double>(generator, 0.0, 1.0);
}

DiscardStoreOptions WithDefaults(DiscardStoreOptions options) {
  if (!options.uniform) options.uniform = RandomUniform;
  if (!options.sleep) options.sleep = absl::SleepFor;
  return options;
}

// The bounded Pareto distribution with mean 1 between kLeast and kMost. kLeast
// solves mean = 1; see https://en.wikipedia.org/wiki/Pareto_distribution.
double BoundedPareto(double uniform) {
  constexpr double kShape = 1.5;
  constexpr double kMost = 100;
  constexpr double kLeast = 0.3543571592;
  const double beyond_most = std::pow(kLeast / kMost, kShape);
  return kLeast * std::pow(1 - uniform * (1 - beyond_most), -1 / kShape);
}

}  // namespace

absl::Duration Jittered(absl::Duration mean, Jitter jitter, double uniform) {
  switch (jitter) {
    case Jitter::kConstant:
      return mean;
    case Jitter::kExponential:
      return mean * -std::log1p(-uniform);
    case Jitter::kPareto:
      return mean * BoundedPareto(uniform);
  }
  return mean;
}

DiscardStore::DiscardStore(DiscardStoreOptions options)
    : options_(WithDefaults(std::move(options))) {}

absl::Status DiscardStore::SaveBatch(absl::Span<const Submission> batch,
                                     absl::Span<Saved> saved) {
  Begin();
  options_.sleep(Jittered(options_.delay, options_.jitter, options_.uniform()));
  const bool fails = options_.uniform() < options_.fail_rate;
  End();
  if (fails) return absl::UnavailableError("failed as configured (fail_rate)");
  std::ranges::transform(batch, saved.begin(), [](const Submission& s) {
    return Saved{.result = Saved::Result::kStored,
                 .sequence = s.sequence,
                 .received_at = s.received_at,
                 .content_sha256 = s.content_sha256};
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
DiscardStore::FindReceipts(std::string_view,
                           absl::Span<const std::string> submission_ids) {
  return std::vector<std::optional<StoredReceipt>>(submission_ids.size());
}

absl::StatusOr<std::int64_t> DiscardStore::LastSequence() { return 0; }

absl::StatusOr<StorePage> DiscardStore::Read(std::int64_t /*after*/,
                                             std::size_t /*max*/,
                                             std::size_t /*max_bytes*/) {
  StorePage page;
  page.last = true;
  return page;
}

absl::Status DiscardStore::Check() { return absl::OkStatus(); }

int DiscardStore::in_flight() const {
  absl::MutexLock lock(&mutex_);
  return in_flight_;
}

int DiscardStore::peak_in_flight() const {
  absl::MutexLock lock(&mutex_);
  return peak_in_flight_;
}

void DiscardStore::Begin() {
  absl::MutexLock lock(&mutex_);
  peak_in_flight_ = std::max(peak_in_flight_, ++in_flight_);
}

void DiscardStore::End() {
  absl::MutexLock lock(&mutex_);
  --in_flight_;
}

// --- Configuration ---

std::optional<Jitter> ParseJitter(std::string_view name) {
  if (name == "constant") return Jitter::kConstant;
  if (name == "exponential") return Jitter::kExponential;
  if (name == "pareto") return Jitter::kPareto;
  return std::nullopt;
}

namespace {

DiscardStoreOptions ReadDiscard(StoreOptionReader& reader) {
  DiscardStoreOptions options;
  if (const std::string* delay = reader.Find("delay")) {
    // A longer one would only look like a server that hangs.
    constexpr absl::Duration kMax = absl::Minutes(1);
    if (!absl::ParseDuration(*delay, &options.delay) ||
        options.delay < absl::ZeroDuration() || options.delay > kMax) {
      reader.Error("delay", "must be a duration from 0 to 1m, such as 5ms");
    }
  }
  if (const std::string* name = reader.Find("jitter")) {
    const std::optional<Jitter> jitter = ParseJitter(*name);
    if (!jitter) {
      reader.Error("jitter", "must be constant, exponential or pareto");
    }
    options.jitter = jitter.value_or(options.jitter);
  }
  if (const std::string* rate = reader.Find("fail_rate")) {
    // Written so that NaN fails too.
    if (!absl::SimpleAtod(*rate, &options.fail_rate) ||
        !(options.fail_rate >= 0 && options.fail_rate <= 1)) {
      reader.Error("fail_rate", "must be a number from 0.0 to 1.0");
    }
  }
  return options;
}

absl::StatusOr<std::unique_ptr<Store>> OpenDiscard(
    const StoreOptions& options,
    SameContent /*unused*/) {  // NOLINT(performance-unnecessary-value-param)
  StoreOptionReader reader(options);
  return std::make_unique<DiscardStore>(ReadDiscard(reader));
}

}  // namespace

StoreKind DiscardStoreKind() {
  return {.name = "discard",
          .loses = true,
          .check = CheckStoreOptions<ReadDiscard>,
          .open = OpenDiscard};
}

}  // namespace sluice

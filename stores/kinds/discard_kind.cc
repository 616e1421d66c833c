#include "stores/kinds/discard_kind.h"

#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "base/check.h"

namespace sluice {
namespace {

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

std::optional<Jitter> ParseJitter(std::string_view name) {
  if (name == "constant") return Jitter::kConstant;
  if (name == "exponential") return Jitter::kExponential;
  if (name == "pareto") return Jitter::kPareto;
  return std::nullopt;
}

absl::Duration Jittered(absl::Duration mean, Jitter jitter, double uniform) {
  SLUICE_DCHECK(uniform >= 0 && uniform < 1);
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

DiscardStoreOptions ReadDiscardOptions(StoreOptionReader& reader) {
  DiscardStoreOptions options;
  if (const std::string* delay = reader.Find("delay")) {
    // With a longer delay the server would only seem to hang.
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

StoreKind DiscardStoreKind() {
  return {.name = "discard",
          .loses = true,
          .check = CheckStoreOptions<ReadDiscardOptions>};
}

}  // namespace sluice

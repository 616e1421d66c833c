#include "tests/sim/play.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/config.h"
#include "gtest/gtest.h"
#include "loadgen/traffic/traffic.h"
#include "tools/sim/simulation.h"

namespace sluice {

std::string ConfigYaml(const std::string& pool, const std::string& methods) {
  return absl::StrCat(
      "store: {kind: discard, allow_loss: true}\n"
      "pools: {main: ",
      pool, "}\nmethods: ", methods, "\n");
}

SimulationResult Play(const std::string& config_yaml,
                      const std::string& traffic_yaml) {
  ConfigErrors errors;
  const Config config = ParseConfig(config_yaml, &errors);
  for (const ConfigError& error : errors) {
    ADD_FAILURE() << error.ToString("config") << "\n" << config_yaml;
  }
  const Traffic traffic = ParseTraffic(traffic_yaml, &errors);
  for (const ConfigError& error : errors) {
    ADD_FAILURE() << error.ToString("traffic") << "\n" << traffic_yaml;
  }
  auto result = Simulate(config, traffic);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->Balanced());
  return *std::move(result);
}

const SourceResult& SourceOf(const SimulationResult& result,
                             const std::string& name) {
  const auto source =
      std::ranges::find(result.sources, name, &SourceResult::name);
  EXPECT_NE(source, result.sources.end()) << name;
  return *source;
}

WorkDone DoneBetween(const SimulationResult& result, double from_seconds,
                     double to_seconds) {
  const auto window = [&](double seconds) {
    return static_cast<std::size_t>(
        std::llround(seconds / result.window_seconds));
  };
  const PoolResult& pool = result.pools.front();
  WorkDone done;
  double stored = 0;
  double busy = 0;
  const std::size_t end = window(to_seconds);
  for (std::size_t i = window(from_seconds); i < end; ++i) {
    done.answered += static_cast<double>(pool.windows.at(i).answered);
    stored += static_cast<double>(pool.windows.at(i).stored);
    busy += pool.windows.at(i).busy.mean * result.window_seconds;
  }
  done.borne = stored / busy * static_cast<double>(pool.workers) *
               (to_seconds - from_seconds);
  return done;
}

std::vector<std::string> SimulatedJitters() {
#ifdef SLUICE_SANITIZED
  return {"exponential"};
#else
  return {"constant", "exponential", "pareto"};
#endif
}

}  // namespace sluice

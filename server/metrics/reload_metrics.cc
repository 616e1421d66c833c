#include "server/metrics/reload_metrics.h"

#include "server/metrics/families.h"

namespace sluice {
namespace {

prometheus::Counter* AddReloads(const char* result,
                                prometheus::Registry* registry) {
  return AddCounter("sluice_config_reloads_total",
                    "Reloads of the configuration, by result.",
                    {{"result", result}}, registry);
}

}  // namespace

ReloadMetrics::ReloadMetrics(prometheus::Registry* registry)
    : successful_(AddGauge("sluice_config_last_reload_successful",
                           "1 if the last reload of the configuration took it "
                           "over, 0 if it was not valid.",
                           {}, registry)),
      success_timestamp_(AddGauge(
          "sluice_config_last_reload_success_timestamp_seconds",
          "Unix time when a configuration was last taken over.", {}, registry)),
      successes_(AddReloads("success", registry)),
      failures_(AddReloads("failure", registry)) {
  successful_->Set(1);
  success_timestamp_->SetToCurrentTime();
}

void ReloadMetrics::Succeeded() {
  successful_->Set(1);
  success_timestamp_->SetToCurrentTime();
  successes_->Increment();
}

void ReloadMetrics::Failed() {
  successful_->Set(0);
  failures_->Increment();
}

}  // namespace sluice

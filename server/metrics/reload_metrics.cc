#include "server/metrics/reload_metrics.h"

namespace sluice {
namespace {

prometheus::Gauge* Gauge(const char* name, const char* help,
                         prometheus::Registry* registry) {
  return &prometheus::BuildGauge()
              .Name(name)
              .Help(help)
              .Register(*registry)
              .Add({});
}

prometheus::Counter* Reloads(const char* result,
                             prometheus::Registry* registry) {
  return &prometheus::BuildCounter()
              .Name("sluice_config_reloads_total")
              .Help("Reloads of the configuration, by result.")
              .Register(*registry)
              .Add({{"result", result}});
}

}  // namespace

ReloadMetrics::ReloadMetrics(prometheus::Registry* registry)
    : successful_(Gauge("sluice_config_last_reload_successful",
                        "1 if the last reload of the configuration took it "
                        "over, 0 if it was not valid.",
                        registry)),
      success_timestamp_(Gauge(
          "sluice_config_last_reload_success_timestamp_seconds",
          "Unix time when a configuration was last taken over.", registry)),
      successes_(Reloads("success", registry)),
      failures_(Reloads("failure", registry)) {
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

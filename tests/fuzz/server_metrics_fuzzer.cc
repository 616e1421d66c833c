// Any text is read as the metrics of a server. The sum of a metric is the sum
// of its own lines, and depends on no other line.
//
// Input: the text of /metrics.

#include <cmath>
#include <string>

#include "loadgen/internal/metrics_scraper.h"
#include "loadgen/server_metrics.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {

void FuzzOne(std::string_view input) {
  const absl::string_view text(input.data(), input.size());
  const double workers = SumOfSamples(text, "sluice_workers");
  const std::string more = std::string(text) + "\nsluice_workers_other 5\n";
  const double again = SumOfSamples(more, "sluice_workers");
  Require(again == workers || (std::isnan(again) && std::isnan(workers)),
          "a line of another metric changes nothing");
  IsWorkedOff(text);
  ReadPoolSample(text, "clinical");
  ReadPoolSample(text, "");
  const auto host_port = MetricsScraper::HostPort(text.substr(0, 100));
  if (host_port.ok()) Require(!host_port->empty(), "a host is named");
}

}  // namespace sluice

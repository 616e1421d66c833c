// Metrics of the connections that a ConnectionAcceptor has accepted.

#ifndef SLUICE_SERVER_METRICS_CONNECTION_METRICS_H_
#define SLUICE_SERVER_METRICS_CONNECTION_METRICS_H_

#include <memory>
#include <utility>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/transport/connection_acceptor.h"

namespace sluice {

// Thread-safe.
class ConnectionMetrics final : public prometheus::Collectable {
 public:
  explicit ConnectionMetrics(std::shared_ptr<const ConnectionAcceptor> acceptor)
      : acceptor_(std::move(acceptor)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::shared_ptr<const ConnectionAcceptor> acceptor_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_CONNECTION_METRICS_H_

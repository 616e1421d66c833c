#include "server/metrics/rpc_metrics.h"

#include <string>

#include "base/check.h"
#include "server/metrics/families.h"

namespace sluice {
namespace {

constexpr const char* kCodeNames[] = {"OK",
                                      "Canceled",
                                      "Unknown",
                                      "InvalidArgument",
                                      "DeadlineExceeded",
                                      "NotFound",
                                      "AlreadyExists",
                                      "PermissionDenied",
                                      "ResourceExhausted",
                                      "FailedPrecondition",
                                      "Aborted",
                                      "OutOfRange",
                                      "Unimplemented",
                                      "Internal",
                                      "Unavailable",
                                      "DataLoss",
                                      "Unauthenticated"};

prometheus::Labels RpcLabels(Method method) {
  return {
      {"grpc_service", std::string(kServiceName)},
      {"grpc_method", std::string(MethodName(method))},
      {"grpc_type", method == Method::kSubmitStream ? "bidi_stream" : "unary"}};
}

}  // namespace

RpcMetrics::RpcMetrics(Method method, prometheus::Registry* registry) {
  const prometheus::Labels labels = RpcLabels(method);
  started_ = AddCounter("grpc_server_started_total",
                        "RPCs started on the server.", labels, registry);
  for (std::size_t code = 0; code < kCodes; ++code) {
    prometheus::Labels with_code = labels;
    with_code["grpc_code"] = kCodeNames[code];
    handled_[code] =
        AddCounter("grpc_server_handled_total",
                   "RPCs completed on the server, whatever their status.",
                   with_code, registry);
  }
  handling_seconds_ = AddHistogram(
      "grpc_server_handling_seconds",
      "Time from the arrival of an RPC until its last operation.", labels,
      {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
       30},
      registry);
  in_flight_ =
      AddGauge("sluice_in_flight", "RPCs accepted and not yet finished.",
               {{"method", std::string(MethodName(method))}}, registry);
}

void RpcMetrics::Started() {
  started_->Increment();
  in_flight_->Increment();
}

void RpcMetrics::Handled(grpc::StatusCode code, absl::Duration handling) {
  const auto index = static_cast<std::size_t>(code);
  SLUICE_DCHECK_LT(index, kCodes);
  handled_[index]->Increment();
  handling_seconds_->Observe(absl::ToDoubleSeconds(handling));
  in_flight_->Decrement();
}

}  // namespace sluice

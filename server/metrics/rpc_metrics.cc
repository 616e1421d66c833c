#include "server/metrics/rpc_metrics.h"

#include <string>

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
  started_ = &prometheus::BuildCounter()
                  .Name("grpc_server_started_total")
                  .Help("RPCs started on the server.")
                  .Register(*registry)
                  .Add(labels);
  auto& handled =
      prometheus::BuildCounter()
          .Name("grpc_server_handled_total")
          .Help("RPCs completed on the server, whatever their status.")
          .Register(*registry);
  for (std::size_t code = 0; code < kCodes; ++code) {
    prometheus::Labels with_code = labels;
    with_code["grpc_code"] = kCodeNames[code];
    handled_[code] = &handled.Add(with_code);
  }
  handling_seconds_ =
      &prometheus::BuildHistogram()
           .Name("grpc_server_handling_seconds")
           .Help("Time from the arrival of an RPC until its last operation.")
           .Register(*registry)
           .Add(labels, prometheus::Histogram::BucketBoundaries{
                            .0005, .001, .0025, .005, .01, .025, .05, .1, .25,
                            .5, 1, 2.5, 5, 10, 30});
  in_flight_ = &prometheus::BuildGauge()
                    .Name("sluice_in_flight")
                    .Help("RPCs accepted and not yet finished.")
                    .Register(*registry)
                    .Add({{"method", std::string(MethodName(method))}});
}

void RpcMetrics::Started() {
  started_->Increment();
  in_flight_->Increment();
}

void RpcMetrics::Handled(grpc::StatusCode code, absl::Duration handling) {
  handled_[static_cast<std::size_t>(code)]->Increment();
  handling_seconds_->Observe(absl::ToDoubleSeconds(handling));
  in_flight_->Decrement();
}

}  // namespace sluice

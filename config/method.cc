#include "config/method.h"

#include <algorithm>
#include <string>

#include "google/protobuf/descriptor.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, kMethods> kFullNames = {
    "sluice.v1.Ingestion/Submit", "sluice.v1.Ingestion/SubmitStream",
    "sluice.v1.Ingestion/ImportPatients", "sluice.v1.Ingestion/RecordEvents",
    "sluice.v1.Ingestion/GetReceipts"};

bool OptionMayLose(Method method) {
  const google::protobuf::ServiceDescriptor* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(kServiceName));
  const google::protobuf::MethodDescriptor* descriptor =
      service->FindMethodByName(std::string(MethodName(method)));
  return descriptor->options().GetExtension(v1::may_lose);
}

}  // namespace

std::string_view MethodName(Method method) {
  return FullMethodName(method).substr(kServiceName.size() + 1);
}

std::string_view FullMethodName(Method method) {
  return kFullNames[Index(method)];
}

std::optional<Method> FindMethod(std::string_view full_name) {
  const auto* method =
      std::ranges::find(kAllMethods, full_name, FullMethodName);
  if (method == kAllMethods.end()) return std::nullopt;
  return *method;
}

bool MayLose(Method method) {
  static const std::array<bool, kMethods> may_lose = [] {
    std::array<bool, kMethods> by_method{};
    for (const Method m : kAllMethods) by_method[Index(m)] = OptionMayLose(m);
    return by_method;
  }();
  return may_lose[Index(method)];
}

}  // namespace sluice

#include "config/method.h"

#include <algorithm>

#include "base/check.h"

namespace sluice {
namespace {

constexpr std::array<std::string_view, kMethods> kFullNames = {
    "sluice.v1.Ingestion/Submit", "sluice.v1.Ingestion/SubmitStream",
    "sluice.v1.Ingestion/ImportPatients", "sluice.v1.Ingestion/RecordEvents",
    "sluice.v1.Ingestion/GetReceipts"};

}  // namespace

std::string_view MethodName(Method method) {
  return FullMethodName(method).substr(kServiceName.size() + 1);
}

std::string_view FullMethodName(Method method) {
  SLUICE_DCHECK_LT(Index(method), kMethods);
  return kFullNames[Index(method)];
}

std::optional<Method> FindMethod(std::string_view full_name) {
  const auto* method =
      std::ranges::find(kAllMethods, full_name, FullMethodName);
  if (method == kAllMethods.end()) return std::nullopt;
  return *method;
}

bool MayLose(Method method) {
  // may_lose is repeated here and not read from the proto, so that checking a
  // configuration needs no protobuf. A test compares the two.
  return method == Method::kRecordEvents;
}

}  // namespace sluice

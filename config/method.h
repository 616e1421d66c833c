// The RPCs of sluice.v1.Ingestion as an enumeration, which indexes values that
// exist per method.

#ifndef SLUICE_CONFIG_METHOD_H_
#define SLUICE_CONFIG_METHOD_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

// The methods, in the order of the proto.
enum class Method : std::size_t {
  kSubmit,
  kSubmitStream,
  kImportPatients,
  kRecordEvents,
  kGetReceipts,
};
inline constexpr std::size_t kMethods = 5;

inline constexpr std::array<Method, kMethods> kAllMethods = {
    Method::kSubmit, Method::kSubmitStream, Method::kImportPatients,
    Method::kRecordEvents, Method::kGetReceipts};

constexpr std::size_t Index(Method method) {
  return static_cast<std::size_t>(method);
}

inline constexpr std::string_view kServiceName = "sluice.v1.Ingestion";

// Returns the short name, such as "Submit".
std::string_view MethodName(Method method);

// Returns the full name, such as "sluice.v1.Ingestion/Submit", which the
// configuration uses.
std::string_view FullMethodName(Method method);

// Returns the method with this full name, if there is one.
std::optional<Method> FindMethod(std::string_view full_name);

// True if the method may lose submissions that it has acknowledged: the method
// option may_lose in ingestion.proto.
bool MayLose(Method method);

}  // namespace sluice

#endif  // SLUICE_CONFIG_METHOD_H_

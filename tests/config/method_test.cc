#include "config/method.h"

#include <string>

#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

TEST(Method, EveryMethodOfTheServiceIsThereUnderItsName) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(kServiceName));
  ASSERT_NE(service, nullptr);
  ASSERT_EQ(service->method_count(), static_cast<int>(kMethods));
  for (const Method method : kAllMethods) {
    const std::string name(MethodName(method));
    EXPECT_EQ(service->method(static_cast<int>(Index(method)))->name(), name);
    EXPECT_EQ(FullMethodName(method), std::string(kServiceName) + "/" + name);
    EXPECT_EQ(FindMethod(FullMethodName(method)), method);
  }
}

TEST(Method, OtherNamesAreNotFound) {
  for (const char* name :
       {"", "Submit", "/sluice.v1.Ingestion/Submit",
        "sluice.v1.Ingestion/submit", "sluice.v1.Ingestion/Submit "}) {
    EXPECT_EQ(FindMethod(name), std::nullopt) << name;
  }
}

TEST(Method, MayLoseIsWhatTheProtoSays) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(kServiceName));
  ASSERT_NE(service, nullptr);
  for (const Method method : kAllMethods) {
    const auto& options =
        service->method(static_cast<int>(Index(method)))->options();
    EXPECT_EQ(MayLose(method), options.GetExtension(v1::may_lose))
        << MethodName(method);
    EXPECT_EQ(MayLose(method), method == Method::kRecordEvents);
  }
}

}  // namespace
}  // namespace sluice

#include "server/raw_service.h"

#include <cstdint>

#include "grpcpp/support/slice.h"

namespace sluice {

grpc::ByteBuffer ToByteBuffer(const google::protobuf::MessageLite& message) {
  grpc::Slice slice(message.ByteSizeLong());
  // The slice is not shared yet.
  message.SerializeWithCachedSizesToArray(
      const_cast<std::uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace sluice

#include "server/raw_service.h"

#include "grpcpp/support/slice.h"

namespace sluice {

grpc::ByteBuffer ToByteBuffer(std::string_view message) {
  const grpc::Slice slice(message.data(), message.size());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace sluice

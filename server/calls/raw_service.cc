#include "server/calls/raw_service.h"

namespace sluice {
namespace {

// gRPC numbers methods in the order of the proto, and so does Method.
int IndexInService(Method method) { return static_cast<int>(Index(method)); }

}  // namespace

void RawService::Await(Method method, grpc::ServerContext* context,
                       grpc::ByteBuffer* request, Responder* responder,
                       grpc::ServerCompletionQueue* queue, void* tag) {
  RequestAsyncUnary(IndexInService(method), context, request, responder, queue,
                    queue, tag);
}

void RawService::AwaitStream(Method method, grpc::ServerContext* context,
                             Stream* stream, grpc::ServerCompletionQueue* queue,
                             void* tag) {
  RequestAsyncBidiStreaming(IndexInService(method), context, stream, queue,
                            queue, tag);
}

}  // namespace sluice

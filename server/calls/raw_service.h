// The service with every request and response as raw bytes.

#ifndef SLUICE_SERVER_CALLS_RAW_SERVICE_H_
#define SLUICE_SERVER_CALLS_RAW_SERVICE_H_

#include <string_view>

#include "config/method.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "grpcpp/support/status.h"
#include "sluice/v1/ingestion.grpc.pb.h"

namespace sluice {

// A serialized message on its way out. Of a ByteBuffer, gRPC would make another
// to send.
struct SerializedMessage {
  explicit SerializedMessage(std::string_view message)
      : bytes(message.data(), message.size()) {}

  grpc::Slice bytes;
};

class RawService final
    : public v1::Ingestion::WithRawMethod_Submit<
          v1::Ingestion::WithRawMethod_SubmitStream<
              v1::Ingestion::WithRawMethod_ImportPatients<
                  v1::Ingestion::WithRawMethod_RecordEvents<
                      v1::Ingestion::WithRawMethod_GetReceipts<
                          v1::Ingestion::Service>>>>> {
 public:
  using Responder = grpc::ServerAsyncResponseWriter<SerializedMessage>;
  using Stream =
      grpc::ServerAsyncReaderWriter<SerializedMessage, grpc::ByteBuffer>;

  // Asks for the next call, as gRPC's generated functions do: `tag` returns
  // from `queue` when it has come. `method` is a unary one.
  void Await(Method method, grpc::ServerContext* context,
             grpc::ByteBuffer* request, Responder* responder,
             grpc::ServerCompletionQueue* queue, void* tag);
  void AwaitStream(Method method, grpc::ServerContext* context, Stream* stream,
                   grpc::ServerCompletionQueue* queue, void* tag);
};

}  // namespace sluice

// How gRPC learns to send one.
template <>
class grpc::SerializationTraits<sluice::SerializedMessage> {
 public:
  static Status Serialize(const sluice::SerializedMessage& message,
                          ByteBuffer* buffer, bool* own_buffer) {
    ByteBuffer made(&message.bytes, 1);
    buffer->Swap(&made);
    *own_buffer = true;
    return Status::OK;
  }
};

#endif  // SLUICE_SERVER_CALLS_RAW_SERVICE_H_

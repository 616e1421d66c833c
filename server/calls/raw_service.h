// The service Ingestion, with requests and responses as raw bytes.

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

// A serialized message to send. Used instead of a ByteBuffer, which gRPC would
// copy before sending.
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

  // Asks for the next call of a unary method, as gRPC's generated functions do.
  // `tag` returns from `queue` when the call has arrived.
  void Await(Method method, grpc::ServerContext* context,
             grpc::ByteBuffer* request, Responder* responder,
             grpc::ServerCompletionQueue* queue, void* tag);
  // Asks for the next call of a streaming method.
  void AwaitStream(Method method, grpc::ServerContext* context, Stream* stream,
                   grpc::ServerCompletionQueue* queue, void* tag);
};

}  // namespace sluice

// Tells gRPC how to send a SerializedMessage.
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

// The service with every request and response as raw bytes.

#ifndef SLUICE_SERVER_RAW_SERVICE_H_
#define SLUICE_SERVER_RAW_SERVICE_H_

#include <string_view>

#include "grpcpp/support/byte_buffer.h"
#include "sluice/v1/ingestion.grpc.pb.h"

namespace sluice {

using RawService = v1::Ingestion::WithRawMethod_Submit<
    v1::Ingestion::WithRawMethod_SubmitStream<
        v1::Ingestion::WithRawMethod_ImportPatients<
            v1::Ingestion::WithRawMethod_RecordEvents<
                v1::Ingestion::WithRawMethod_GetReceipts<
                    v1::Ingestion::Service>>>>>;

// A serialized message as gRPC sends it.
grpc::ByteBuffer ToByteBuffer(std::string_view message);

}  // namespace sluice

#endif  // SLUICE_SERVER_RAW_SERVICE_H_

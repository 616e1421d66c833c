// Messages of gRPC in the log of the server.

#ifndef SLUICE_SERVER_GRPC_LOG_H_
#define SLUICE_SERVER_GRPC_LOG_H_

#include <string>
#include <string_view>

namespace sluice {

// Logs the messages of gRPC with their text. Some clients cause a message with
// each of their calls, so each place in the source of gRPC logs at most once a
// second (log_pace.h).
void LogMessagesOfGrpc();

// Returns a message of gRPC as it is logged: without control characters, which
// a client could use to forge lines, and cut after 300 bytes.
std::string PrintableGrpcMessage(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_SERVER_GRPC_LOG_H_

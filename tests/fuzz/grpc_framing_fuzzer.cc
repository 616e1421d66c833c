// A reader finds all framed messages, whether the bytes of a stream arrive at
// once or in pieces. Any headers give an outcome.
//
// Input: a byte that chooses among framed messages, a stream, and headers.

#include <algorithm>
#include <string>
#include <vector>

#include "loadgen/internal/grpc_framing.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

struct Received {
  bool ok = true;
  bool inside = false;
  std::vector<std::string> messages;

  bool operator==(const Received&) const = default;
};

Received Receive(std::string_view bytes, std::size_t piece) {
  Received received;
  GrpcMessageReader reader;
  while (!bytes.empty() && received.ok) {
    const absl::string_view part(bytes.data(), std::min(piece, bytes.size()));
    received.ok = reader
                      .Read(part,
                            [&](absl::string_view message) {
                              received.messages.emplace_back(message);
                            })
                      .ok();
    bytes.remove_prefix(part.size());
  }
  received.inside = received.ok && reader.inside_message();
  return received;
}

void FuzzMessages(InputReader& reader) {
  const std::size_t piece = reader.Byte() + std::size_t{1};
  std::vector<std::string> messages;
  std::string stream;
  while (!reader.empty()) {
    messages.emplace_back(reader.Text());
    AppendGrpcMessage(messages.back(), stream);
  }
  Require(Receive(stream, piece) ==
              Received{.ok = true, .inside = false, .messages = messages},
          "messages that are framed are received");
}

void FuzzStream(InputReader& reader) {
  const std::size_t piece = reader.Byte() + std::size_t{1};
  const std::string_view stream = reader.Rest();
  Require(Receive(stream, piece) == Receive(stream, stream.size() + 1),
          "pieces do not matter");
}

void FuzzOutcome(InputReader& reader) {
  static const std::vector<std::string> kNames = {":status",
                                                  "grpc-status",
                                                  "grpc-message",
                                                  "grpc-status-details-bin",
                                                  "grpc-retry-pushback-ms",
                                                  "other"};
  GrpcOutcome outcome;
  while (!reader.empty()) {
    const std::string& name = kNames[reader.Below(kNames.size())];
    const std::string_view value = reader.Text();
    outcome.ReadHeader(name, {value.data(), value.size()});
  }
  const int code = static_cast<int>(outcome.Code(reader.Word()));
  Require(code >= 0 && code <= 16, "a code is one of gRPC's");
  outcome.Message();
  outcome.Reason();
  Require(outcome.pushback_ms().value_or(0) >= -1,
          "a pushback is -1 or a time");
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  switch (reader.Below(3)) {
    case 0:
      return FuzzMessages(reader);
    case 1:
      return FuzzStream(reader);
    default:
      return FuzzOutcome(reader);
  }
}

}  // namespace sluice

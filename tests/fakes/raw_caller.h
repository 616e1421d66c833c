// Calls any method of a gRPC server with arbitrary bytes.

#ifndef SLUICE_TESTS_FAKES_RAW_CALLER_H_
#define SLUICE_TESTS_FAKES_RAW_CALLER_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace sluice {

class RawCaller {
 public:
  explicit RawCaller(std::shared_ptr<grpc::Channel> channel)
      : stub_(std::move(channel)) {}

  // Makes a unary call and returns its status. If the status is OK, `response`
  // has the bytes of the answer.
  grpc::Status Call(const std::string& path, std::string_view message,
                    std::string* response = nullptr) {
    grpc::ClientContext context;
    return Call(&context, path, message, response);
  }

  grpc::Status Call(grpc::ClientContext* context, const std::string& path,
                    std::string_view message, std::string* response = nullptr) {
    const auto reader =
        stub_.PrepareUnaryCall(context, path, Buffer(message), &queue_);
    reader->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    reader->Finish(&answer, &status, nullptr);
    Next();
    if (response != nullptr) *response = Bytes(answer);
    return status;
  }

  // Sends all messages, one after the other, and collects the answers.
  grpc::Status Stream(const std::string& path,
                      const std::vector<std::string>& messages,
                      std::vector<std::string>* responses) {
    grpc::ClientContext context;
    const auto stream = stub_.PrepareCall(&context, path, &queue_);
    stream->StartCall(nullptr);
    bool ok = Next();
    grpc::ByteBuffer answer;
    for (const std::string& message : messages) {
      if (!ok) break;
      stream->Write(Buffer(message), nullptr);
      ok = Next();
      if (!ok) break;
      stream->Read(&answer, nullptr);
      ok = Next();
      if (ok) responses->push_back(Bytes(answer));
    }
    if (ok) {
      stream->WritesDone(nullptr);
      Next();
    }
    grpc::Status status;
    stream->Finish(&status, nullptr);
    Next();
    return status;
  }

 private:
  static grpc::ByteBuffer Buffer(std::string_view bytes) {
    const grpc::Slice slice(bytes.data(), bytes.size());
    return {&slice, 1};
  }

  static std::string Bytes(const grpc::ByteBuffer& buffer) {
    std::string bytes;
    std::vector<grpc::Slice> slices;
    if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
    for (const grpc::Slice& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return bytes;
  }

  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_RAW_CALLER_H_

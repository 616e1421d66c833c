// Code shared by the servers that are compared with Sluice: a service on one
// completion queue, and a constant answer.

#ifndef SLUICE_BENCH_QUEUE_SERVER_H_
#define SLUICE_BENCH_QUEUE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "sluice/v1/ingestion.grpc.pb.h"

namespace sluice {

// Number of calls that are requested at the same time.
inline constexpr int kPrePosted = 64;

inline v1::Receipt FixedReceipt() {
  v1::Receipt receipt;
  receipt.set_submission_id("00000000-0000-7000-8000-000000000000");
  receipt.set_disposition(v1::Receipt::STORED);
  receipt.set_sequence(1);
  receipt.mutable_received_at()->set_seconds(1'772'395'200);
  receipt.set_content_sha256(std::string(32, '\0'));
  return receipt;
}

template <typename Service>
class QueueServer {
 public:
  // Starts the server. Returns false if it cannot listen.
  bool Start(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    return server_ != nullptr;
  }

  int port() const { return port_; }
  Service& service() { return service_; }
  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // After this, no operation may be started on the queue, and it must be
  // drained.
  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now() +
                      std::chrono::seconds(1));
    queue_->Shutdown();
  }

 private:
  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice

#endif  // SLUICE_BENCH_QUEUE_SERVER_H_

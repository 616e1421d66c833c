// A whole server in the test's process, on free ports, with a real client.

#ifndef SLUICE_TESTS_FAKES_TEST_SERVER_H_
#define SLUICE_TESTS_FAKES_TEST_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "server/ingestion_server.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/patience.h"

namespace sluice {

// Every method on one pool of one worker that takes one submission at a time,
// with room for `capacity` in its queue: the smallest server that can be full.
Config SmallConfig(std::string_view on_full, std::size_t capacity);

// A request with an answer, unique by `submission_id`.
v1::SubmitRequest MakeSubmit(std::string_view submission_id);

class TestServer {
 public:
  // With a GatedStore; `step` as in IngestionServer::Options.
  explicit TestServer(const Config& config, ProcessingStep step = {},
                      Clock* clock = SystemClock());
  // With a store of the test's.
  TestServer(const Config& config, std::unique_ptr<Store> store,
             ProcessingStep step = {});
  // Drains, and fails the test unless the counters balance, and nothing is in
  // flight, waiting, queued or in work.
  ~TestServer();

  // The store; only of the first constructor.
  GatedStore& store() { return gated_store_; }
  IngestionServer& server() { return *server_; }
  v1::Ingestion::Stub& stub() { return *stub_; }

  // Another connection, which is open, with more options if the test has any.
  std::shared_ptr<grpc::Channel> NewChannel(
      grpc::ChannelArguments arguments = {}) const;
  std::string address() const;
  // The body of GET `path` of the metrics address.
  std::string Get(std::string_view path) const;

  PoolView view(const std::string& pool = "clinical") const;
  MethodCounters counters(Method method) const;
  // Waits until the pool has so many.
  void AwaitQueued(std::size_t count);
  void AwaitWaiting(std::size_t count);

  // Drains now; the destructor checks what is left to check.
  DrainReport Drain();

 private:
  void Start(const Config& config, std::unique_ptr<Store> store,
             ProcessingStep step, Clock* clock = SystemClock());

  std::shared_ptr<grpc::Channel> MakeChannel(
      grpc::ChannelArguments arguments) const;

  GatedStore gated_store_;
  std::unique_ptr<IngestionServer> server_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
  bool drained_ = false;
};

// What GetReceipts says of the submission in MakeSubmit's study.
v1::Receipt Lookup(TestServer& server, const std::string& submission_id);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_TEST_SERVER_H_

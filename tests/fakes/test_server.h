// A whole server on free ports, in the process of the test, with a real client.

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

// Returns the configuration of a small server: all methods share a pool whose
// queue has `capacity` places, and whose only worker takes one submission at a
// time.
Config SmallConfig(std::string_view on_full, std::size_t capacity);

// Returns a request with one answer and this id.
v1::SubmitRequest MakeSubmit(std::string_view submission_id);

class TestServer {
 public:
  // Starts a server with a GatedStore. `step` is as in
  // IngestionServer::Options.
  explicit TestServer(const Config& config, ProcessingStep step = {},
                      Clock* clock = SystemClock());
  // Starts a server with a store that the test provides.
  TestServer(const Config& config, std::unique_ptr<Store> store,
             ProcessingStep step = {});
  // Drains the server. Fails the test if the counters do not balance, or
  // anything is in flight, parked, queued or in work.
  ~TestServer();

  // Returns the store. Only for servers that were started with a GatedStore.
  GatedStore& store() { return gated_store_; }
  IngestionServer& server() { return *server_; }
  v1::Ingestion::Stub& stub() { return *stub_; }

  // Returns a new connection, which is open. `arguments` are additional channel
  // arguments.
  std::shared_ptr<grpc::Channel> NewChannel(
      grpc::ChannelArguments arguments = {}) const;
  std::string address() const;
  // Returns the body of GET `path` from the metrics address.
  std::string Get(std::string_view path) const;
  // Waits until /readyz reports that nothing is degraded.
  void AwaitReady() const;
  // Waits until /readyz reports something degraded, with this text.
  void AwaitDegraded(std::string_view text) const;

  PoolView view(const std::string& pool = "clinical") const;
  MethodCounters counters(Method method) const;
  // Wait until the pool has `count` queued or parked submissions.
  void AwaitQueued(std::size_t count);
  void AwaitWaiting(std::size_t count);

  // Drains the server now, with the same checks as the destructor.
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

// Returns the receipt that GetReceipts gives for the submission, in the study
// of MakeSubmit.
v1::Receipt Lookup(TestServer& server, const std::string& submission_id);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_TEST_SERVER_H_

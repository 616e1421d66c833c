// A server whose store is blocked and whose queue is full.

#ifndef SLUICE_TESTS_FAKES_FULL_SERVER_H_
#define SLUICE_TESTS_FAKES_FULL_SERVER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/test_server.h"

namespace sluice {

class FullServer {
 public:
  // Submits "in work" and, for each place in the queue, "queued 1", "queued 2"
  // and so on. The pool must have one worker that takes one submission at a
  // time.
  explicit FullServer(const Config& config);
  // Releases the store.
  ~FullServer();

  TestServer& server() { return server_; }
  GatedStore& store() { return server_.store(); }
  // Returns the caller that has filled the queue. Tests may use it for more
  // calls.
  AsyncCaller& caller() { return caller_; }

  // Returns the call "queued <i>", with i from 1.
  AsyncSubmit& queued(std::size_t i) { return *queued_[i - 1]; }

  // Submits `request`, and waits until it is parked.
  AsyncSubmit& Park(const v1::SubmitRequest& request);

 private:
  TestServer server_;
  AsyncCaller caller_;
  std::vector<AsyncSubmit*> queued_;
};

// Returns the ids of the stored submissions, in the order of storing.
std::vector<std::string> StoredIds(const GatedStore& store);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FULL_SERVER_H_
